//! The two users that alternate, and the tasks of a master user.

use crate::schema::EngineSpec;

/// The task of a master user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MasterTask<'a> {
    /// To sync the alternate user with the base user, and to set the passwords of both.
    Alternate(&'a UserPair),
    /// To set the password of this user.
    SetPassword(&'a str),
}

impl<'a> MasterTask<'a> {
    /// Returns the users that the master user administers.
    pub fn users(self) -> Vec<&'a str> {
        match self {
            Self::Alternate(pair) => vec![&pair.base, &pair.alternate],
            Self::SetPassword(user) => vec![user],
        }
    }

    /// Returns `true` if the task includes creating a user and reading the privileges of users.
    pub fn copies(self) -> bool {
        matches!(self, Self::Alternate(_))
    }
}

/// The two users of the strategy with alternating users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserPair {
    /// The base user, which an operator created. Its privileges are the model for both users.
    pub base: String,
    /// The alternate user, which is kept in sync with the base user.
    pub alternate: String,
}

impl UserPair {
    /// Returns the pair to which `user` belongs. A name that ends in the engine's suffix is the
    /// name of an alternate user, and the name without the suffix is that of its base user.
    pub fn of(user: &str, spec: &EngineSpec) -> Self {
        let quoted = user.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        if let Some(name) = quoted.filter(|name| spec.strips_quotes && !name.is_empty()) {
            let Self { base, alternate } = Self::of_bare(name, spec);
            return Self { base: format!("\"{base}\""), alternate: format!("\"{alternate}\"") };
        }
        Self::of_bare(user, spec)
    }

    fn of_bare(user: &str, spec: &EngineSpec) -> Self {
        let suffix = spec.alternate_suffix;
        let base =
            match user.len().checked_sub(suffix.len()).and_then(|at| user.split_at_checked(at)) {
                Some((base, end)) if !base.is_empty() && end == suffix => base,
                _ => return Self { base: user.to_owned(), alternate: format!("{user}{suffix}") },
            };
        Self { base: base.to_owned(), alternate: user.to_owned() }
    }

    /// Returns the user of the pair that is not `user`.
    pub fn other_than(&self, user: &str) -> &str {
        if user == self.alternate { &self.base } else { &self.alternate }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::POSTGRES;
    use proptest::prelude::*;

    #[test]
    fn a_name_that_is_only_the_suffix_is_a_base() {
        assert_eq!(UserPair::of("_clone", &POSTGRES).alternate, "_clone_clone");
    }

    #[test]
    fn a_name_in_quotes_gets_its_suffix_inside_of_them() {
        let pair = UserPair::of("\"My App\"", &crate::schema::ORACLE);
        assert_eq!(pair.alternate, "\"My App_CLONE\"");
        assert_eq!(UserPair::of(&pair.alternate, &crate::schema::ORACLE), pair);
        assert_eq!(UserPair::of("\"a\"", &POSTGRES).alternate, "\"a\"_clone");
    }

    proptest! {
        #[test]
        fn alternating_twice_comes_back(user in "\\PC{1,40}") {
            let other = UserPair::of(&user, &POSTGRES).other_than(&user).to_owned();
            prop_assert_ne!(&other, &user);
            let pair = UserPair::of(&other, &POSTGRES);
            prop_assert_eq!(pair.other_than(&other), user);
        }
    }
}
