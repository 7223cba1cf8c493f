//! Quoting for statements that take no parameters.
//!
//! [String literals](https://dev.mysql.com/doc/refman/8.4/en/string-literals.html),
//! [identifiers](https://dev.mysql.com/doc/refman/8.4/en/identifiers.html).

/// An identifier in backticks, which no SQL mode changes.
pub fn identifier(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// How the session reads string literals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Literals {
    /// A backslash escapes: the default.
    BackslashEscapes,
    /// `sql_mode` has `NO_BACKSLASH_ESCAPES`: a backslash is a backslash.
    NoBackslashEscapes,
}

impl Literals {
    /// Reads a session's `sql_mode`.
    pub fn of(sql_mode: &str) -> Self {
        if sql_mode.split(',').any(|mode| mode.eq_ignore_ascii_case("NO_BACKSLASH_ESCAPES")) {
            Self::NoBackslashEscapes
        } else {
            Self::BackslashEscapes
        }
    }

    /// A string literal.
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
    fn quotes_and_backslashes_are_doubled_where_they_mean_something() {
        assert_eq!(identifier("a`b'c"), "`a``b'c`");
        assert_eq!(Literals::of("STRICT_TRANS_TABLES").quote(r"a'b\c"), r"'a''b\\c'");
        assert_eq!(Literals::of("ANSI,NO_BACKSLASH_ESCAPES").quote(r"a'b\c"), r"'a''b\c'");
    }
}
