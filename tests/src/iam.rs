//! Evaluates policies as IAM does, for the operators that the policies of this project use.

use serde_json::Value;

use crate::template::texts;

/// Returns `true` if an IAM pattern with `*` and `?` matches a text.
pub fn matches(pattern: &str, text: &str) -> bool {
    match pattern.chars().next() {
        None => text.is_empty(),
        Some('*') => {
            let rest = &pattern[1..];
            text.char_indices()
                .map(|(at, _)| at)
                .chain([text.len()])
                .any(|at| matches(rest, &text[at..]))
        }
        Some(first) => text.chars().next().is_some_and(|found| {
            (first == '?' || first == found)
                && matches(&pattern[first.len_utf8()..], &text[found.len_utf8()..])
        }),
    }
}

/// Returns `true` if a condition of a statement holds. `context` has the condition keys of the
/// request.
fn holds(operator: &str, wanted: &[String], found: Option<&str>) -> bool {
    let is_like = |found: &str| wanted.iter().any(|wanted| matches(wanted, found));
    match operator {
        "StringEquals" => found.is_some_and(|found| wanted.iter().any(|wanted| wanted == found)),
        "StringLike" | "ArnLike" => found.is_some_and(is_like),
        "StringLikeIfExists" => found.is_none_or(is_like),
        // A negated operator also matches if the key is missing.
        "ArnNotLike" => !found.is_some_and(is_like),
        other => panic!("the test does not support the condition {other}"),
    }
}

/// Returns `true` if the statements allow an action on a resource, and none of them denies it.
/// `context` has the request's condition keys.
pub fn allow(statements: &[Value], action: &str, resource: &str, context: &[(&str, &str)]) -> bool {
    let applies = |statement: &&Value| {
        let conditions = statement["Condition"].as_object();
        let conditions = conditions.into_iter().flatten().all(|(operator, keys)| {
            keys.as_object().into_iter().flatten().all(|(key, wanted)| {
                let found = context.iter().find(|(name, _)| name == key).map(|(_, value)| *value);
                holds(operator, &texts(wanted), found)
            })
        });
        conditions
            && texts(&statement["Action"]).iter().any(|pattern| matches(pattern, action))
            && texts(&statement["Resource"]).iter().any(|pattern| matches(pattern, resource))
    };
    let effects: Vec<_> =
        statements.iter().filter(applies).map(|statement| &statement["Effect"]).collect();
    !effects.iter().any(|effect| *effect == "Deny") && effects.iter().any(|e| *e == "Allow")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn evaluator_denies_unlisted_action() {
        let statements = [json!({
            "Effect": "Allow",
            "Action": ["a:Get*"],
            "Resource": "arn:x:*:end",
            "Condition": {"StringEquals": {"k": "v"}},
        })];
        assert!(allow(&statements, "a:GetIt", "arn:x:1:end", &[("k", "v")]));
        for (action, resource, context) in [
            ("a:PutIt", "arn:x:1:end", ("k", "v")),
            ("a:GetIt", "arn:x:1:other", ("k", "v")),
            ("a:GetIt", "arn:x:1:end", ("k", "w")),
            ("a:GetIt", "arn:x:1:end", ("other", "v")),
        ] {
            assert!(!allow(&statements, action, resource, &[context]), "{action} {resource}");
        }
    }

    #[test]
    fn denial_has_precedence_and_negated_operator_matches_missing_key() {
        let allowed = json!({"Effect": "Allow", "Action": "*", "Resource": "*"});
        let denied = json!({
            "Effect": "Deny",
            "Action": "a:*",
            "Resource": "*",
            "Condition": {"ArnNotLike": {"source": "arn:x"}},
        });
        let statements = [allowed, denied];
        assert!(allow(&statements, "a:Get", "r", &[("source", "arn:x")]));
        assert!(!allow(&statements, "a:Get", "r", &[("source", "arn:y")]));
        assert!(!allow(&statements, "a:Get", "r", &[]));
        assert!(allow(&statements, "b:Get", "r", &[]));
    }

    #[test]
    fn all_conditions_hold_and_optional_condition_matches_missing_key() {
        let statements = [json!({
            "Effect": "Allow",
            "Action": "*",
            "Resource": "*",
            "Condition": {"StringLike": {"k": "*:2"}, "StringLikeIfExists": {"k": "1:*", "o": "v"}},
        })];
        assert!(allow(&statements, "a:Get", "r", &[("k", "1:2")]));
        assert!(!allow(&statements, "a:Get", "r", &[("k", "3:2")]));
        assert!(!allow(&statements, "a:Get", "r", &[("k", "1:3")]));
        assert!(!allow(&statements, "a:Get", "r", &[]));
        assert!(!allow(&statements, "a:Get", "r", &[("k", "1:2"), ("o", "w")]));
    }

    #[test]
    fn patterns_match_as_in_iam() {
        for (pattern, text) in [("*", "anything"), ("a*b*c", "axxbyyc"), ("a?c", "abc"), ("", "")] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("a*b", "axxc"), ("a", "ab"), ("a?", "a"), ("", "a")] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }
}
