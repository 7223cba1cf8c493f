//! Quoting for statements that take no parameters.
//!
//! [String literals](https://dev.mysql.com/doc/refman/8.4/en/string-literals.html),
//! [identifiers](https://dev.mysql.com/doc/refman/8.4/en/identifiers.html).

/// Returns an identifier in backticks, which mean the same in every SQL mode.
pub fn identifier(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// The meaning of a backslash in the session's string literals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Literals {
    /// A backslash is the escape character, which is the default.
    BackslashEscapes,
    /// A backslash is an ordinary character, because `sql_mode` has `NO_BACKSLASH_ESCAPES`.
    NoBackslashEscapes,
}

impl Literals {
    /// Parses the `sql_mode` of a session.
    pub fn of(sql_mode: &str) -> Self {
        if sql_mode.split(',').any(|mode| mode.eq_ignore_ascii_case("NO_BACKSLASH_ESCAPES")) {
            Self::NoBackslashEscapes
        } else {
            Self::BackslashEscapes
        }
    }

    /// Returns a string literal.
    pub fn quote(self, text: &str) -> String {
        let text = text.replace('\'', "''");
        match self {
            Self::BackslashEscapes => format!("'{}'", text.replace('\\', "\\\\")),
            Self::NoBackslashEscapes => format!("'{text}'"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_backslashes_are_escaped_by_sql_mode() {
        assert_eq!(identifier("a`b'c"), "`a``b'c`");
        assert_eq!(Literals::of("STRICT_TRANS_TABLES").quote(r"a'b\c"), r"'a''b\\c'");
        assert_eq!(Literals::of("ANSI,NO_BACKSLASH_ESCAPES").quote(r"a'b\c"), r"'a''b\c'");
    }
}
