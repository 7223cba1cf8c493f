//! The JSON document of a secret. It is read key by key. Error messages list all problems and never
//! contain a password.

use std::collections::BTreeSet;

use rotation::SecretValue;
use serde::Deserializer as _;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};
use zeroize::Zeroize;

use crate::problem::{SecretProblem, SimilarKey};
use crate::schema::{EngineSpec, SCHEMAS};
use crate::written_host;

/// The key `ssl` of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ssl {
    /// `true`: The connection uses verified TLS, or the login fails.
    Required,
    /// `false`: The connection does not use TLS.
    Off,
    /// The key is absent or not a boolean: `TLS_MODE` decides.
    Unspecified,
}

/// The JSON object of a secret. The keys keep their order, and the strings are zeroed on drop.
#[derive(Clone)]
pub(crate) struct Document(pub(crate) Map<String, Value>);

impl Document {
    pub(crate) fn parse(value: &SecretValue) -> Result<Self, Vec<SecretProblem>> {
        // Some editors write a byte order mark at the start of a file.
        let text = value.expose().trim_start_matches('\u{feff}');
        match serde_json::from_str(text) {
            Ok(Value::Object(fields)) => {
                let document = Self(fields);
                let mut twice = twice(text);
                // Other duplicate keys do not affect a rotation.
                twice.retain(|key| KEYS.contains(&key.as_str()));
                match twice {
                    twice if twice.is_empty() => Ok(document),
                    twice => {
                        Err(twice.into_iter().map(|key| SecretProblem::Duplicate { key }).collect())
                    }
                }
            }
            Ok(Value::String(mut inner)) => {
                let is_object = inner.trim_start().starts_with('{');
                inner.zeroize();
                Err(vec![match is_object {
                    true => SecretProblem::DoublyEncoded,
                    false => SecretProblem::NotAnObject,
                }])
            }
            Ok(_) => Err(vec![SecretProblem::NotAnObject]),
            Err(_) if text.contains('\0') => Err(vec![SecretProblem::Utf16]),
            // The message of serde_json contains the position of a syntax error but no text.
            Err(error) => Err(vec![SecretProblem::NotJson(error.to_string())]),
        }
    }
}

/// The keys that a rotation reads.
const KEYS: [&str; 8] =
    ["engine", "host", "port", "username", "password", "dbname", "ssl", "masterarn"];

/// Returns the keys that an object contains twice.
fn twice(text: &str) -> BTreeSet<String> {
    struct Keys;
    impl<'de> Visitor<'de> for Keys {
        type Value = BTreeSet<String>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let (mut seen, mut twice) = (BTreeSet::new(), BTreeSet::new());
            while let Some((key, IgnoredAny)) = map.next_entry::<String, IgnoredAny>()? {
                if !seen.insert(key.clone()) {
                    twice.insert(key);
                }
            }
            Ok(twice)
        }
    }
    serde_json::Deserializer::from_str(text).deserialize_map(Keys).unwrap_or_default()
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

/// The value of a key that must be a string.
pub(crate) enum Field {
    Is(String),
    Missing,
    Empty,
    Unfit(&'static str),
}

impl Field {
    pub(crate) fn problem(self, key: &'static str, document: &Document) -> Option<SecretProblem> {
        match self {
            Self::Is(_) => None,
            Self::Missing => {
                let alike = document.0.keys().find(|other| other.trim().eq_ignore_ascii_case(key));
                let meant = document.0.keys().find(|other| is_alias(key, other));
                let instead = match (alike, meant) {
                    (Some(alike), _) => Some(SimilarKey::OtherSpelling(alike.clone())),
                    (None, Some(found)) => Some(SimilarKey::Alias(found.clone())),
                    (None, None) => None,
                };
                Some(SecretProblem::Missing { key, instead })
            }
            Self::Empty => Some(SecretProblem::Empty { key }),
            Self::Unfit(why) => Some(SecretProblem::unusable(key, why)),
        }
    }
}

/// Reads a document and collects all its problems.
pub(crate) struct Fields<'a> {
    pub(crate) document: &'a Document,
}

impl Fields<'_> {
    pub(crate) fn text(&self, key: &str) -> Field {
        match self.document.0.get(key) {
            None | Some(Value::Null) => Field::Missing,
            Some(Value::String(text)) if text.is_empty() => Field::Empty,
            // A NUL ends a string in every wire protocol, so the server would interpret the rest as
            // another field.
            Some(Value::String(text)) if text.contains('\0') => {
                Field::Unfit("contains a NUL character")
            }
            Some(Value::String(text)) => Field::Is(text.clone()),
            Some(_) => Field::Unfit("is not a string"),
        }
    }

    pub(crate) fn required(
        &self,
        key: &'static str,
        problems: &mut Vec<SecretProblem>,
    ) -> Option<String> {
        match self.text(key) {
            Field::Is(text) => Some(text),
            field => {
                problems.extend(field.problem(key, self.document));
                None
            }
        }
    }

    /// Reads the port: a number, or a string of digits. Tools that have only floating-point numbers
    /// write 5432.0.
    pub(crate) fn port(&self, spec: &EngineSpec, problems: &mut Vec<SecretProblem>) -> Option<u16> {
        let usual = spec.default_port;
        let port = match self.document.0.get("port") {
            None | Some(Value::Null) => return None,
            Some(Value::String(text)) if text.trim().is_empty() => {
                problems.push(SecretProblem::unusable(
                    "port",
                    format!("is empty; write \"port\": {usual}, or leave it out"),
                ));
                return None;
            }
            Some(Value::Number(number)) => port_number(&number.to_string()),
            Some(Value::String(text)) => port_number(text.trim()),
            Some(_) => None,
        };
        if port.is_none() {
            problems.push(SecretProblem::unusable(
                "port",
                format!(
                    "is neither a number from 1 to 65535 nor a string of its digits; write \
                     \"port\": {usual}, or the port of your server"
                ),
            ));
        }
        port
    }

    /// Returns the host and port of the server, or adds the problem of the host. `host` can also
    /// contain the port.
    pub(crate) fn endpoint(
        &self,
        host: &str,
        port: Option<u16>,
        spec: &EngineSpec,
        problems: &mut Vec<SecretProblem>,
    ) -> Option<(String, u16)> {
        let written = match written_host::read(host) {
            Ok(written) => written,
            Err(problem) => {
                problems.push(SecretProblem::unusable("host", problem));
                return None;
            }
        };
        if let (Some(port), Some(other)) = (port, written.port)
            && port != other
        {
            problems.push(SecretProblem::unusable(
                "host",
                format!(
                    "ends with port {other}, but \"port\" is {port}; keep the correct one in \
                     \"port\", and no port in \"host\""
                ),
            ));
        }
        Some((written.host, port.or(written.port).unwrap_or(spec.default_port)))
    }

    /// Checks for white space at the start and end of a name. The name looks correct with it, but
    /// for the server it is a different name.
    pub(crate) fn require_trimmed(
        &self,
        key: &'static str,
        text: &str,
        problems: &mut Vec<SecretProblem>,
    ) {
        if text.trim() != text {
            problems.push(SecretProblem::unusable(
                key,
                format!("starts or ends with white space; write \"{key}\": {:?}", text.trim()),
            ));
        }
    }

    /// Returns the problem of a secret whose keys are in a nested object.
    pub(crate) fn nested(&self) -> Option<SecretProblem> {
        let holds_keys = |value: &&Value| match value {
            Value::Object(fields) => fields.contains_key("password"),
            Value::String(text) => {
                text.trim_start().starts_with('{')
                    && Document::parse(&SecretValue::new(text.as_str()))
                        .is_ok_and(|inner| inner.0.contains_key("password"))
            }
            _ => false,
        };
        let (key, _) = self.document.0.iter().find(|(_, value)| holds_keys(value))?;
        Some(SecretProblem::Nested { key: key.clone() })
    }

    pub(crate) fn ssl(&self) -> Ssl {
        match self.document.0.get("ssl") {
            Some(Value::Bool(true)) => Ssl::Required,
            Some(Value::Bool(false)) => Ssl::Off,
            Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ssl::Required,
            Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ssl::Off,
            _ => Ssl::Unspecified,
        }
    }
}

fn port_number(text: &str) -> Option<u16> {
    let digits = match text.split_once('.') {
        Some((digits, zeros)) if !zeros.is_empty() && zeros.bytes().all(|byte| byte == b'0') => {
            digits
        }
        _ => text,
    };
    digits.parse().ok().filter(|port| *port > 0)
}

/// Returns `true` if other tools use `other` as the name of `key`.
fn is_alias(key: &str, other: &str) -> bool {
    let names: &[&str] = match key {
        "username" => &["user", "user_name", "userid", "login", "dbuser", "db_user"],
        "password" => &["pass", "passwd", "pwd", "dbpassword", "db_password"],
        "host" => &["hostname", "server", "address", "endpoint", "url", "dbhost", "db_host"],
        "dbname" => &["database", "db", "db_name", "databasename", "sid", "service", "servicename"],
        "engine" => &["dbengine", "db_engine", "type", "dialect"],
        "masterarn" => &["master_arn", "mastersecretarn", "superuserarn"],
        _ => &[],
    };
    names.contains(&other.trim().to_ascii_lowercase().as_str())
}

/// Returns the problem of an engine that this function does not rotate.
pub(crate) fn wrong_engine(engine: &str, spec: &EngineSpec) -> SecretProblem {
    // The message contains only known names. Any other value may be a misplaced password.
    let known = SCHEMAS.iter().any(|spec| spec.is_named(engine));
    let found = if known { format!("\"{engine}\"") } else { "not a known engine".to_owned() };
    let problem = format!("is {found}, but this function rotates {}", spec.names());
    SecretProblem::unusable("engine", problem)
}
