//! A lexer for statements that the server shows. Its tokens are names in backticks, strings in
//! quotes, words and signs.

use rotation_database::EngineError;

/// A token of a statement that the server shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    /// A name in backticks, without the backticks.
    Name(String),
    /// The value of a string in quotes.
    Text(String),
    /// A keyword or number, in upper case.
    Word(String),
    /// One of `,` `.` `(` `)` `@` `*`.
    Sign(char),
}

impl Token {
    /// Returns `true` if the token is this keyword.
    pub(crate) fn is(&self, word: &str) -> bool {
        matches!(self, Self::Word(own) if own == word)
    }
}

/// Splits a statement from `SHOW CREATE USER` or `SHOW GRANTS` into tokens.
///
/// # Errors
/// If the statement is not valid SQL. For example, MySQL shows an issuer with an apostrophe without
/// escaping it. It is better to copy nothing than to copy something wrong.
pub(crate) fn tokens(statement: &str) -> Result<Vec<Token>, EngineError> {
    let mut tokens = Vec::new();
    let mut characters = statement.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            c if c.is_whitespace() => {}
            '`' | '\'' | '"' => {
                let mut value = String::new();
                loop {
                    match characters.next() {
                        Some(c) if c == character => {
                            if characters.next_if_eq(&character).is_none() {
                                break;
                            }
                            value.push(c);
                        }
                        Some('\\') if character != '`' => match characters.next() {
                            Some('n') => value.push('\n'),
                            Some('r') => value.push('\r'),
                            Some('t') => value.push('\t'),
                            Some('0') => value.push('\0'),
                            Some(c) => value.push(c),
                            None => return Err(unreadable("a string is not terminated")),
                        },
                        Some(c) => value.push(c),
                        None => {
                            return Err(unreadable("a quoted name or string is not terminated"));
                        }
                    }
                }
                tokens.push(if character == '`' { Token::Name(value) } else { Token::Text(value) });
            }
            ',' | '.' | '(' | ')' | '@' | '*' => tokens.push(Token::Sign(character)),
            c if c.is_alphanumeric() || c == '_' => {
                // The servers' words are ASCII. Other letters can become several characters.
                let mut word = c.to_ascii_uppercase().to_string();
                while let Some(c) = characters.next_if(|c| c.is_alphanumeric() || *c == '_') {
                    word.push(c.to_ascii_uppercase());
                }
                tokens.push(Token::Word(word));
            }
            other => return Err(unreadable(&format!("unexpected character {other:?}"))),
        }
    }
    Ok(tokens)
}

/// Returns the error for a statement from the server that cannot be parsed.
pub(crate) fn unreadable(why: &str) -> EngineError {
    EngineError::NeedsDecision {
        what: format!("could not parse the server's SHOW CREATE USER or SHOW GRANTS: {why}"),
        remedy: "Look for an unusual name or issuer in SHOW CREATE USER and SHOW GRANTS of the \
            base user, and rename it. Or rotate with a single user."
            .into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The uppercase form of this letter has combining marks, which are in no word.
    #[test]
    fn word_with_other_letters_is_read_again_as_it_is_written() {
        let read = tokens("cre \u{3b0}").unwrap();
        assert_eq!(read, [Token::Word("CRE".into()), Token::Word("\u{3b0}".into())]);
        assert_eq!(tokens(&crate::create_user::render(&read)).unwrap(), read);
    }

    #[test]
    fn quoted_part_is_one_token() {
        let statement =
            r"GRANT SELECT (`a``b`) ON `t TO x`.* TO `o'x`@`%` COMMENT 'it\'s ''q''' 90";
        let expected = [
            Token::Word("GRANT".into()),
            Token::Word("SELECT".into()),
            Token::Sign('('),
            Token::Name("a`b".into()),
            Token::Sign(')'),
            Token::Word("ON".into()),
            Token::Name("t TO x".into()),
            Token::Sign('.'),
            Token::Sign('*'),
            Token::Word("TO".into()),
            Token::Name("o'x".into()),
            Token::Sign('@'),
            Token::Name("%".into()),
            Token::Word("COMMENT".into()),
            Token::Text("it's 'q'".into()),
            Token::Word("90".into()),
        ];
        assert_eq!(tokens(statement).unwrap(), expected);
    }

    #[test]
    fn unterminated_string_is_rejected() {
        assert!(tokens("REQUIRE ISSUER 'it's'").is_err());
    }

    proptest! {
        #[test]
        fn quoted_name_is_one_token(name in "\\PC{0,40}") {
            prop_assert_eq!(
                tokens(&crate::quote::identifier(&name)).unwrap(),
                vec![Token::Name(name)]
            );
        }

        #[test]
        fn quoted_string_is_one_token(text in "\\PC{0,40}") {
            let quoted = crate::quote::Literals::BackslashEscapes.quote(&text);
            prop_assert_eq!(tokens(&quoted).unwrap(), vec![Token::Text(text)]);
        }

        #[test]
        fn any_text_parses_without_panic(text in "\\PC{0,80}") {
            let _ = tokens(&text);
        }
    }
}
