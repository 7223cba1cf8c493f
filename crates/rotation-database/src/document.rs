//! The JSON of a secret: read field by field, with every fault, and without a word of what it holds.

use rotation::SecretValue;
use serde_json::{Map, Value};
use zeroize::Zeroize;

use crate::schema::{EngineSpec, SCHEMAS};

/// The key `ssl` of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ssl {
    /// `true`: verified TLS or an error.
    Required,
    /// `false`: no TLS.
    Off,
    /// Absent or unreadable: `TLS_MODE` decides.
    Unsaid,
}

/// The JSON object of a secret, its keys in order. Its texts are zeroed when it is dropped.
#[derive(Clone)]
pub(crate) struct Document(pub(crate) Map<String, Value>);

impl Document {
    pub(crate) fn parse(value: &SecretValue) -> Result<Self, Vec<String>> {
        match serde_json::from_str(value.expose()) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(_) => Err(vec!["it is JSON, but not an object of keys and values".to_owned()]),
            // serde_json tells the place of a syntax error, and nothing of the text.
            Err(error) => Err(vec![format!("it is not JSON ({error})")]),
        }
    }
}

impl std::fmt::Debug for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

impl Drop for Document {
    fn drop(&mut self) {
        for value in self.0.values_mut() {
            if let Value::String(text) = value {
                text.zeroize();
            }
        }
    }
}

/// What stands under a key that should hold text.
pub(crate) enum Field {
    Is(String),
    Missing,
    Empty,
    Unfit(&'static str),
}

impl Field {
    pub(crate) fn fault(self, key: &str, document: &Document) -> Option<String> {
        match self {
            Self::Is(_) => None,
            Self::Missing => {
                let alike = document.0.keys().find(|other| other.eq_ignore_ascii_case(key));
                Some(match alike {
                    Some(alike) => {
                        format!("\"{key}\" is missing (there is \"{alike}\"; letter case matters)")
                    }
                    None => format!("\"{key}\" is missing"),
                })
            }
            Self::Empty => Some(format!("\"{key}\" is empty")),
            Self::Unfit(why) => Some(format!("\"{key}\" {why}")),
        }
    }
}

/// Reads a document, and notes every fault.
pub(crate) struct Fields<'a> {
    pub(crate) document: &'a Document,
}

impl Fields<'_> {
    pub(crate) fn text(&self, key: &str) -> Field {
        match self.document.0.get(key) {
            None | Some(Value::Null) => Field::Missing,
            Some(Value::String(text)) if text.is_empty() => Field::Empty,
            // A NUL ends a string in every wire protocol: what follows it would be read as something else.
            Some(Value::String(text)) if text.contains('\0') => Field::Unfit("holds a NUL character"),
            Some(Value::String(text)) => Field::Is(text.clone()),
            Some(_) => Field::Unfit("is not a string"),
        }
    }

    pub(crate) fn required(&self, key: &str, faults: &mut Vec<String>) -> String {
        match self.text(key) {
            Field::Is(text) => text,
            field => {
                faults.extend(field.fault(key, self.document));
                String::new()
            }
        }
    }

    /// A number, or a string of digits.
    pub(crate) fn port(&self, faults: &mut Vec<String>) -> Option<u16> {
        let port = match self.document.0.get("port") {
            None | Some(Value::Null) => return None,
            Some(Value::Number(number)) => number.to_string().parse::<u16>().ok(),
            Some(Value::String(text)) => text.trim().parse::<u16>().ok(),
            Some(_) => None,
        };
        if port.is_none_or(|port| port == 0) {
            faults.push("\"port\" is neither a number from 1 to 65535 nor a string of its digits".to_owned());
            return None;
        }
        port
    }

    pub(crate) fn ssl(&self) -> Ssl {
        match self.document.0.get("ssl") {
            Some(Value::Bool(true)) => Ssl::Required,
            Some(Value::Bool(false)) => Ssl::Off,
            Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ssl::Required,
            Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ssl::Off,
            _ => Ssl::Unsaid,
        }
    }
}

/// What is wrong with the engine's name.
pub(crate) fn wrong_engine(engine: &str, spec: &EngineSpec) -> String {
    // Only a known name is repeated: anything else may be a misplaced secret.
    let known = SCHEMAS.iter().any(|spec| spec.is_named(engine));
    let found = if known { format!("\"{engine}\"") } else { "no engine known here".to_owned() };
    format!("\"engine\" is {found}, and this function rotates {}", spec.names())
}
