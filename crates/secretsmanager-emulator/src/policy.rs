//! Validation of resource policies: their syntax, and whether they grant public access.

use serde_json::Value;

/// A problem of a policy, as `ValidateResourcePolicy` returns it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) check: &'static str,
    pub(crate) message: String,
}

/// Returns the syntax problems of a policy.
pub(crate) fn faults(policy: &str) -> Vec<Fault> {
    let syntax =
        |message: &str| vec![Fault { check: "POLICY_SYNTAX", message: message.to_owned() }];
    let Ok(policy) = serde_json::from_str::<Value>(policy) else {
        return syntax("The policy is not JSON.");
    };
    let Some(policy) = policy.as_object() else {
        return syntax("The policy is not a JSON object.");
    };
    let version = policy.get("Version").and_then(Value::as_str);
    if !matches!(version, Some("2012-10-17" | "2008-10-17")) {
        return syntax("The policy's Version must be 2012-10-17 or 2008-10-17.");
    }
    let statements = match policy.get("Statement") {
        Some(Value::Array(statements)) if !statements.is_empty() => statements.as_slice(),
        Some(statement @ Value::Object(_)) => std::slice::from_ref(statement),
        _ => return syntax("The policy has no Statement."),
    };
    for statement in statements {
        if !matches!(statement["Effect"].as_str(), Some("Allow" | "Deny")) {
            return syntax("A statement's Effect must be Allow or Deny.");
        }
        for [one, other] in
            [["Principal", "NotPrincipal"], ["Action", "NotAction"], ["Resource", "NotResource"]]
        {
            if statement.get(one).is_some() == statement.get(other).is_some() {
                return syntax(&format!("A statement must have either {one} or {other}."));
            }
        }
    }
    Vec::new()
}

/// Returns `true` if a valid policy grants public access.
pub(crate) fn is_public(policy: &str) -> bool {
    let Ok(policy) = serde_json::from_str::<Value>(policy) else { return false };
    let statements = match &policy["Statement"] {
        Value::Array(statements) => statements.as_slice(),
        one => std::slice::from_ref(one),
    };
    statements.iter().any(|statement| {
        let principal = &statement["Principal"];
        let everybody = |who: &Value| match who {
            Value::Array(many) => many.iter().any(|one| one == "*"),
            one => one == "*",
        };
        statement["Effect"] == "Allow"
            && statement.get("Condition").is_none()
            && (everybody(principal) || everybody(&principal["AWS"]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow",
        "Principal":{"AWS":"arn:aws:iam::123456789012:root"},
        "Action":"secretsmanager:GetSecretValue","Resource":"*"}]}"#;

    #[test]
    fn invalid_and_public_policies_are_detected() {
        assert!(faults(GOOD).is_empty() && !is_public(GOOD));
        for (from, to) in [
            ("2012-10-17", "2020"),
            ("Allow", "Permit"),
            ("Action", "Actions"),
            ("[{", "["),
            ("{", ""),
        ] {
            assert!(!faults(&GOOD.replacen(from, to, 1)).is_empty(), "{from} → {to}");
        }
        for everybody in ["\"*\"", "{\"AWS\":[\"*\"]}"] {
            let public = GOOD.replace(r#"{"AWS":"arn:aws:iam::123456789012:root"}"#, everybody);
            assert!(faults(&public).is_empty() && is_public(&public));
        }
    }
}
