//! Quoting for statements that take no parameters.
//!
//! [Lexical structure](https://www.postgresql.org/docs/current/sql-syntax-lexical.html), sections
//! 4.1.1 and 4.1.2.

/// Returns a quoted identifier. It is always quoted, so that the server does not read a name as a
/// keyword and does not fold its case.
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Returns a string literal for a session with `standard_conforming_strings = on` (which
/// [`crate::Session`] sets).
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_doubled_and_nothing_else_changes() {
        assert_eq!(identifier(r#"a"b'c\d %s"#), r#""a""b'c\d %s""#);
        assert_eq!(literal(r#"a"b'c\d"#), r#"'a"b''c\d'"#);
    }
}
