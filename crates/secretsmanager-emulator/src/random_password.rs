//! The operation `GetRandomPassword`, which generates a password without storing it.

use rand::seq::{IndexedRandom, SliceRandom};
use serde_json::Value;

use crate::error::ServiceError;

const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const DIGITS: &str = "0123456789";
/// The punctuation characters that the API reference lists.
const PUNCTUATION: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

/// Generates a password according to the options of the request.
pub(crate) fn random_password(request: &Value) -> Result<String, ServiceError> {
    let flag =
        |name: &str, default: bool| request.get(name).and_then(Value::as_bool).unwrap_or(default);
    let length = request.get("PasswordLength").map_or(Some(32), Value::as_u64);
    let length = length
        .and_then(|length| usize::try_from(length).ok())
        .filter(|length| (1..=4096).contains(length))
        .ok_or_else(|| ServiceError::parameter("PasswordLength must be from 1 to 4096."))?;
    let excluded = request.get("ExcludeCharacters").and_then(Value::as_str).unwrap_or("");

    let mut types = Vec::new();
    for (option, characters) in [
        ("ExcludeLowercase", LOWER),
        ("ExcludeUppercase", UPPER),
        ("ExcludeNumbers", DIGITS),
        ("ExcludePunctuation", PUNCTUATION),
    ] {
        if !flag(option, false) {
            types.push(characters.chars().filter(|c| !excluded.contains(*c)).collect::<Vec<_>>());
        }
    }
    if flag("IncludeSpace", false) && !excluded.contains(' ') {
        types.push(vec![' ']);
    }
    types.retain(|characters| !characters.is_empty());
    let all: Vec<char> = types.concat();
    if all.is_empty() {
        return Err(ServiceError::parameter(
            "The password can't be generated: every character is excluded.",
        ));
    }
    let mut random = rand::rng();
    let mut password: Vec<char> = Vec::with_capacity(length);
    if flag("RequireEachIncludedType", true) {
        if types.len() > length {
            return Err(ServiceError::parameter(
                "The password length is too short for the required types.",
            ));
        }
        password.extend(types.iter().filter_map(|characters| characters.choose(&mut random)));
    }
    while password.len() < length {
        password.extend(all.choose(&mut random));
    }
    password.shuffle(&mut random);
    Ok(password.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn password_follows_every_option() {
        let request =
            json!({"PasswordLength": 12, "ExcludeCharacters": "abc!/", "ExcludeNumbers": true});
        for _ in 0..200 {
            let password = random_password(&request).unwrap();
            assert_eq!(password.chars().count(), 12);
            assert!(
                !password.contains(|c: char| c.is_ascii_digit() || "abc!/".contains(c)),
                "{password}"
            );
            for class in [LOWER, UPPER, PUNCTUATION] {
                assert!(password.contains(|c| class.contains(c)), "{password}");
            }
        }
    }

    #[test]
    fn excluded_space_is_never_in_password() {
        for excluded in [" ", "a b"] {
            let request = json!({"IncludeSpace": true, "ExcludeCharacters": excluded});
            for _ in 0..200 {
                let password = random_password(&request).unwrap();
                assert!(!password.contains(|c| excluded.contains(c)), "{password}");
            }
        }
        let included = random_password(&json!({"IncludeSpace": true})).unwrap();
        assert!(included.contains(' '), "{included}");
    }

    #[test]
    fn impossible_password_options_are_rejected() {
        for request in [
            json!({"PasswordLength": 0}),
            json!({"PasswordLength": 3}),
            json!({"PasswordLength": 5000}),
        ] {
            assert_eq!(random_password(&request).unwrap_err().code, "InvalidParameterException");
        }
    }
}
