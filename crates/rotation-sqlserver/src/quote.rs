//! Quoting for statements that take no parameters.
//!
//! The rules are those for [identifiers][names] and [constants].
//!
//! [names]: https://learn.microsoft.com/sql/relational-databases/databases/database-identifiers
//! [constants]: https://learn.microsoft.com/sql/t-sql/data-types/constants-transact-sql

/// Returns an identifier in brackets, as `QUOTENAME` does.
pub fn identifier(name: &str) -> String {
    format!("[{}]", name.replace(']', "]]"))
}

/// Returns a Unicode string literal, or `None` for a text that no literal can contain.
///
/// That is a text with a backslash at the end of a line: the backslash [continues][backslash] the
/// literal on the next line, and the server drops it.
///
/// [backslash]: https://learn.microsoft.com/sql/t-sql/language-elements/sql-server-utilities-statements-backslash
pub fn literal(text: &str) -> Option<String> {
    let continued = text.contains("\\\n") || text.contains("\\\r\n");
    (!continued).then(|| format!("N'{}'", text.replace('\'', "''")))
}

/// Returns a binary literal.
pub(crate) fn binary(bytes: &[u8]) -> String {
    bytes.iter().fold("0x".to_owned(), |text, byte| text + &format!("{byte:02X}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reads a delimited text as the server does: up to the first delimiter that is not doubled.
    fn read(text: &str, open: &str, close: char) -> Option<(String, String)> {
        let mut rest = text.strip_prefix(open)?.chars().peekable();
        let mut value = String::new();
        while let Some(character) = rest.next() {
            if character == close && rest.next_if_eq(&close).is_none() {
                return Some((value, rest.collect()));
            }
            value.push(character);
        }
        None
    }

    proptest! {
        #[test]
        fn quoted_text_is_read_back_completely(text in "(?s).{0,40}") {
            prop_assert_eq!(
                read(&identifier(&text), "[", ']'),
                Some((text.clone(), String::new()))
            );
            match literal(&text) {
                Some(literal) => prop_assert_eq!(
                    read(&literal, "N'", '\''),
                    Some((text, String::new()))
                ),
                None => prop_assert!(text.contains("\\\n") || text.contains("\\\r\n")),
            }
        }
    }

    #[test]
    fn delimiters_are_doubled() {
        assert_eq!(identifier("a]b[c"), "[a]]b[c]");
        assert_eq!(literal("a'b\\c").as_deref(), Some("N'a''b\\c'"));
        assert_eq!(literal("a\\\nb"), None);
        assert_eq!(binary(&[0, 255]), "0x00FF");
    }
}
