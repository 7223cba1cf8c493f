//! The mask that everything written passes through.
//!
//! The types in [`crate::secret`] keep passwords out of our own messages. What a driver, a server or a panic says
//! is not ours: a server may quote the statement it did not like. So the passwords of the invocation are
//! remembered here, and replaced wherever they appear in text from outside and in every line of the log.

use std::borrow::Cow;
use std::sync::{Mutex, MutexGuard, PoisonError};

use zeroize::Zeroizing;

/// What a password is replaced with.
const MASK: &str = "****";

/// Shorter texts are masked in messages, but not in whole log lines, where they would blot out field names.
const SHORTEST_IN_A_LINE: usize = 6;

static KNOWN: Mutex<Vec<Zeroizing<String>>> = Mutex::new(Vec::new());

fn known() -> MutexGuard<'static, Vec<Zeroizing<String>>> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Remembers a secret text, in the forms it takes inside SQL and JSON.
pub(crate) fn remember(secret: &str) {
    if secret.is_empty() {
        return;
    }
    let json = serde_json::Value::String(secret.to_owned()).to_string();
    let forms = [
        secret.to_owned(),
        secret.replace('\'', "''"),
        secret.replace('\\', "\\\\").replace('\'', "\\'"),
        secret.replace('\\', "\\\\").replace('\'', "''"),
        secret.replace('"', "\"\""),
        json[1..json.len() - 1].to_owned(),
    ];
    let mut known = known();
    for form in forms {
        if !known.iter().any(|k| **k == form) {
            known.push(Zeroizing::new(form));
        }
    }
    // Longest first, so that a password which contains another is not left half visible.
    known.sort_by_key(|form| std::cmp::Reverse(form.len()));
}

/// Forgets all secrets: called when an invocation is over.
pub(crate) fn forget() {
    known().clear();
}

/// Replaces every password of this invocation in a text that came from outside: a driver's or a server's message.
pub fn mask(text: &str) -> Cow<'_, str> {
    replace(text, 1)
}

/// Replaces the passwords of this invocation in a whole line of output.
pub(crate) fn mask_line(line: &str) -> Cow<'_, str> {
    replace(line, SHORTEST_IN_A_LINE)
}

fn replace(text: &str, shortest: usize) -> Cow<'_, str> {
    let mut masked = Cow::Borrowed(text);
    for secret in known().iter().filter(|secret| secret.len() >= shortest) {
        if masked.contains(secret.as_str()) {
            masked = Cow::Owned(masked.replace(secret.as_str(), MASK));
        }
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_masked_in_every_form_it_takes() {
        remember(r#"p'a"s\s-word"#);
        for text in [
            r#"IDENTIFIED BY 'p''a"s\\s-word'"#,
            r#"near "p'a"s\s-word""#,
            r#"IDENTIFIED BY 'p''a"s\s-word'"#,
            r#"{"message":"p'a\"s\\s-word"}"#,
        ] {
            let masked = mask(text);
            assert!(masked.contains(MASK) && !masked.contains("s-word"), "{masked}");
        }
    }

    #[test]
    fn a_password_inside_a_longer_one_does_not_show_the_rest() {
        remember("inner-secret");
        remember("outer-inner-secret-tail");
        assert_eq!(mask("x outer-inner-secret-tail y"), "x **** y");
    }
}
