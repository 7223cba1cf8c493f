//! Validation of requests against the limits in AWS's own model of the service.
//!
//! The model is `secretsmanager/2017-10-17/service-2.json` in botocore. A test compares all of it
//! with the `registry` of operations.

use serde_json::{Map, Value, json};

use crate::error::ServiceError;

/// The type and limits of a member of a request.
#[derive(Debug)]
pub(crate) enum Shape {
    /// A string, with limits of its length in characters, a pattern, and the allowed values.
    Text {
        min: usize,
        max: Option<usize>,
        pattern: Option<&'static str>,
        one_of: &'static [&'static str],
    },
    /// Bytes in Base64, with limits of their number.
    Blob { min: usize, max: usize },
    /// An integer, with limits.
    Whole { min: Option<i64>, max: Option<i64> },
    /// A boolean, `true` or `false` in JSON.
    Flag,
    /// A list, with limits of its length and the shape of its items.
    List { min: usize, max: Option<usize>, of: &'static Shape },
    /// An object, with the members that it can have.
    Structure(&'static [Member]),
}

/// A member of a request, or of an object in a request.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: &'static str,
    pub(crate) required: bool,
    /// `true` if error messages must not contain its value.
    pub(crate) sensitive: bool,
    pub(crate) shape: Shape,
}

/// Validates a request. One error reports all violations, with the texts that AWS's services use.
pub(crate) fn check(members: &[Member], body: &Value) -> Result<(), ServiceError> {
    let token = body.get("ClientRequestToken").and_then(Value::as_str);
    if token.is_some_and(|token| !(32..=64).contains(&token.chars().count())) {
        // AWS checks this limit in the service itself, so its error differs from the others.
        return Err(ServiceError::parameter("ClientRequestToken must be 32-64 characters long."));
    }
    let mut faults = Vec::new();
    structure(members, body, "", &mut faults)?;
    if faults.is_empty() {
        return Ok(());
    }
    let count = faults.len();
    let s = if count == 1 { "" } else { "s" };
    Err(ServiceError::validation(format!(
        "{count} validation error{s} detected: {}",
        faults.join("; ")
    )))
}

fn structure(
    members: &[Member],
    body: &Value,
    path: &str,
    faults: &mut Vec<String>,
) -> Result<(), ServiceError> {
    let Some(fields) = body.as_object() else { return Err(wrong_type(path, "an object")) };
    for member in members {
        let path = format!("{path}{}", camel(member.name));
        match fields.get(member.name) {
            None | Some(Value::Null) if member.required => {
                faults.push(format!(
                    "Value null at '{path}' failed to satisfy constraint: Member must not be null"
                ));
            }
            None | Some(Value::Null) => {}
            Some(value) => one(&member.shape, value, &path, member.sensitive, faults)?,
        }
    }
    Ok(())
}

fn one(
    shape: &Shape,
    value: &Value,
    path: &str,
    sensitive: bool,
    faults: &mut Vec<String>,
) -> Result<(), ServiceError> {
    let shown = match value {
        _ if sensitive => String::new(),
        Value::String(text) => format!("'{text}' "),
        Value::Number(number) => format!("'{number}' "),
        _ => String::new(),
    };
    let mut fault = |constraint: String| {
        faults.push(format!("Value {shown}at '{path}' failed to satisfy constraint: {constraint}"));
    };
    let mut length = |length: usize, min: usize, max: Option<usize>| {
        if length < min {
            fault(format!("Member must have length greater than or equal to {min}"));
        }
        if let Some(max) = max.filter(|max| length > *max) {
            fault(format!("Member must have length less than or equal to {max}"));
        }
    };
    match shape {
        Shape::Text { min, max, pattern, one_of } => {
            let Some(text) = value.as_str() else { return Err(wrong_type(path, "a string")) };
            length(text.chars().count(), *min, *max);
            if let Some(pattern) = pattern.filter(|pattern| !matches_whole(pattern, text)) {
                fault(format!("Member must satisfy regular expression pattern: {pattern}"));
            }
            if !one_of.is_empty() && !one_of.contains(&text) {
                fault(format!("Member must satisfy enum value set: [{}]", one_of.join(", ")));
            }
        }
        Shape::Blob { min, max } => {
            let Some(bytes) = blob(value) else { return Err(wrong_type(path, "bytes in Base64")) };
            length(bytes.len(), *min, Some(*max));
        }
        Shape::Whole { min, max } => {
            let Some(number) = value.as_i64() else {
                return Err(wrong_type(path, "an integer"));
            };
            if let Some(min) = min.filter(|min| number < *min) {
                fault(format!("Member must have value greater than or equal to {min}"));
            }
            if let Some(max) = max.filter(|max| number > *max) {
                fault(format!("Member must have value less than or equal to {max}"));
            }
        }
        Shape::Flag if value.is_boolean() => {}
        Shape::Flag => return Err(wrong_type(path, "true or false")),
        Shape::List { min, max, of } => {
            let Some(items) = value.as_array() else { return Err(wrong_type(path, "a list")) };
            length(items.len(), *min, *max);
            for (at, item) in items.iter().enumerate() {
                one(of, item, &format!("{path}.{}.member", at + 1), sensitive, faults)?;
            }
        }
        Shape::Structure(members) => structure(members, value, &format!("{path}."), faults)?,
    }
    Ok(())
}

/// Returns the bytes of a Base64 value.
pub(crate) fn blob(value: &Value) -> Option<Vec<u8>> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(value.as_str()?).ok()
}

fn matches_whole(pattern: &str, text: &str) -> bool {
    // Every pattern is valid: they all come from the table, which a test checks.
    regex_lite::Regex::new(&format!("^(?:{pattern})$")).is_ok_and(|pattern| pattern.is_match(text))
}

fn wrong_type(path: &str, wanted: &str) -> ServiceError {
    let what = if path.is_empty() { "the request" } else { path };
    ServiceError::new("SerializationException", format!("{what} must be {wanted}"))
}

/// Returns a member's name as AWS's messages write it: `SecretId` as `secretId`, and `KMSKey` as
/// `kMSKey`.
fn camel(name: &str) -> String {
    let mut letters = name.chars();
    letters
        .next()
        .map(|first| first.to_ascii_lowercase().to_string() + letters.as_str())
        .unwrap_or_default()
}

pub(crate) fn members_as_json(members: &[Member]) -> Value {
    let member = |member: &Member| {
        let mut described = shape_as_json(&member.shape);
        described["required"] = member.required.into();
        described["sensitive"] = member.sensitive.into();
        (member.name.to_owned(), described)
    };
    Value::Object(members.iter().map(member).collect::<Map<_, _>>())
}

fn shape_as_json(shape: &Shape) -> Value {
    match shape {
        Shape::Text { min, max, pattern, one_of } => {
            json!({"type": "string", "min": min, "max": max, "pattern": pattern, "enum": one_of})
        }
        Shape::Blob { min, max } => json!({"type": "blob", "min": min, "max": max}),
        Shape::Whole { min, max } => json!({"type": "number", "min": min, "max": max}),
        Shape::Flag => json!({"type": "boolean"}),
        Shape::List { min, max, of } => {
            json!({"type": "list", "min": min, "max": max, "of": shape_as_json(of)})
        }
        Shape::Structure(members) => {
            json!({"type": "structure", "members": members_as_json(members)})
        }
    }
}
