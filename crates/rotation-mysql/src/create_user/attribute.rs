//! The `ATTRIBUTE` of a MySQL user, which `ALTER USER` merges.

use serde_json::Value;

use crate::tokens::Token;

/// Returns the clause that turns one attribute into another. The server merges an attribute into
/// the one that it has, and removes a key only if its value is `null` ([RFC
/// 7396](https://www.rfc-editor.org/rfc/rfc7396)).
pub(super) fn to_become(has: &[Token], wanted: &[Token]) -> Vec<Token> {
    let json = |tokens: &[Token]| match tokens {
        [_, Token::Text(text)] => serde_json::from_str::<Value>(text).ok(),
        _ => None,
    };
    match (json(has), json(wanted)) {
        (Some(has), Some(wanted_value))
            if wanted.first().is_some_and(|token| token.is("ATTRIBUTE")) =>
        {
            let patch = patch_to(&has, &wanted_value).to_string();
            vec![Token::Word("ATTRIBUTE".into()), Token::Text(patch)]
        }
        _ => wanted.to_vec(),
    }
}

/// Returns `wanted`, with `null` for every key that is only in `has`.
fn patch_to(has: &Value, wanted: &Value) -> Value {
    let (Value::Object(has), Value::Object(wanted)) = (has, wanted) else { return wanted.clone() };
    let kept = wanted.iter().map(|(key, value)| {
        let patch = has.get(key).map_or_else(|| value.clone(), |has| patch_to(has, value));
        (key.clone(), patch)
    });
    let removed =
        has.keys().filter(|key| !wanted.contains_key(*key)).map(|key| (key.clone(), Value::Null));
    kept.chain(removed).collect::<serde_json::Map<_, _>>().into()
}

#[cfg(test)]
mod tests {
    use super::super::parse;

    #[test]
    fn key_that_is_gone_from_an_attribute_is_removed() {
        let user = |attribute: &str| {
            parse(&format!("CREATE USER `a`@`%` ACCOUNT UNLOCK ATTRIBUTE '{attribute}'")).unwrap()
        };
        let has = user(r#"{"comment": "x", "deep": {"a": 1, "b": 2}, "team": "red"}"#);
        let wanted = user(r#"{"deep": {"a": 1}, "team": "blue"}"#);
        assert_eq!(
            has.clauses_to(&wanted),
            r#"ATTRIBUTE '{"deep":{"a":1,"b":null},"team":"blue","comment":null}'"#
        );
        assert_eq!(wanted.clauses_to(&wanted), "");
    }
}
