//! The JSON of a secret: read field by field, with every fault, and without a word of what it
//! holds.

use std::collections::BTreeSet;

use rotation::SecretValue;
use serde::Deserializer as _;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};
use zeroize::Zeroize;

use crate::schema::{EngineSpec, SCHEMAS};
use crate::written_host;

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
        // Editors write a byte order mark at the beginning of a file.
        let text = value.expose().trim_start_matches('\u{feff}');
        match serde_json::from_str(text) {
            Ok(Value::Object(fields)) => {
                let document = Self(fields);
                let mut twice = twice(text);
                // Others have no effect on a rotation.
                twice.retain(|key| KEYS.contains(&key.as_str()));
                match twice {
                    twice if twice.is_empty() => Ok(document),
                    twice => Err(twice
                        .iter()
                        .map(|key| {
                            format!("\"{key}\" is there twice, and programs differ in which one they read; keep one")
                        })
                        .collect()),
                }
            }
            Ok(Value::String(mut inner)) => {
                let is_object = inner.trim_start().starts_with('{');
                inner.zeroize();
                Err(vec![match is_object {
                    true => "it is a JSON string that holds an object (it was converted to JSON twice); store the \
                        object itself"
                        .to_owned(),
                    false => "it is JSON, but not an object of keys and values".to_owned(),
                }])
            }
            Ok(_) => Err(vec!["it is JSON, but not an object of keys and values".to_owned()]),
            Err(_) if text.contains('\0') => Err(vec![
                "it is not JSON but text in UTF-16, as PowerShell writes files; save the file as UTF-8"
                    .to_owned(),
            ]),
            // serde_json tells the place of a syntax error, and nothing of the text.
            Err(error) => Err(vec![format!("it is not JSON ({error})")]),
        }
    }
}

/// The keys that a rotation reads.
const KEYS: [&str; 8] =
    ["engine", "host", "port", "username", "password", "dbname", "ssl", "masterarn"];

/// The keys that an object has twice.
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
                let alike = document.0.keys().find(|other| other.trim().eq_ignore_ascii_case(key));
                let meant = document.0.keys().find(|other| is_another_name(key, other));
                Some(match (alike, meant) {
                    (Some(alike), _) => {
                        format!("\"{key}\" is missing (there is \"{alike}\"; letter case matters)")
                    }
                    (None, Some(meant)) => {
                        format!(
                            "\"{key}\" is missing (there is \"{meant}\": rename it to \"{key}\")"
                        )
                    }
                    (None, None) => format!("\"{key}\" is missing"),
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
            // A NUL ends a string in every wire protocol: what follows it would be read as
            // something else.
            Some(Value::String(text)) if text.contains('\0') => {
                Field::Unfit("holds a NUL character")
            }
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

    /// A number, or a string of digits. Tools that know one kind of number alone write 5432.0.
    pub(crate) fn port(&self, spec: &EngineSpec, faults: &mut Vec<String>) -> Option<u16> {
        let usual = spec.default_port;
        let port = match self.document.0.get("port") {
            None | Some(Value::Null) => return None,
            Some(Value::String(text)) if text.trim().is_empty() => {
                faults.push(format!("\"port\" is empty; write \"port\": {usual}, or leave it out"));
                return None;
            }
            Some(Value::Number(number)) => port_number(&number.to_string()),
            Some(Value::String(text)) => port_number(text.trim()),
            Some(_) => None,
        };
        if port.is_none() {
            faults.push(format!(
                "\"port\" is neither a number from 1 to 65535 nor a string of its digits; write \"port\": {usual}, \
                 or the server's own"
            ));
        }
        port
    }

    /// The server: `host` may hold a port as well.
    pub(crate) fn place(
        &self,
        host: &str,
        port: Option<u16>,
        spec: &EngineSpec,
        faults: &mut Vec<String>,
    ) -> (String, u16) {
        let written = match written_host::read(host) {
            Ok(written) => written,
            Err(fault) => {
                faults.push(fault);
                return (String::new(), spec.default_port);
            }
        };
        if let (Some(port), Some(other)) = (port, written.port)
            && port != other
        {
            faults.push(format!(
                "\"host\" ends with port {other}, and \"port\" is {port}; keep the right one in \"port\" alone"
            ));
        }
        (written.host, port.or(written.port).unwrap_or(spec.default_port))
    }

    /// A name that begins or ends with a blank is another name for the server, and looks right.
    pub(crate) fn must_be_trimmed(&self, key: &str, text: &str, faults: &mut Vec<String>) {
        if text.trim() != text {
            faults.push(format!(
                "\"{key}\" begins or ends with a blank; write \"{key}\": {:?}",
                text.trim()
            ));
        }
    }

    /// Where the keys are, if they are a level deeper.
    pub(crate) fn nested(&self) -> Option<String> {
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
        Some(format!(
            "the keys are inside of \"{key}\"; store what that holds as the secret's value"
        ))
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
fn is_another_name(key: &str, other: &str) -> bool {
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

/// What is wrong with the engine's name.
pub(crate) fn wrong_engine(engine: &str, spec: &EngineSpec) -> String {
    // Only a known name is repeated: anything else may be a misplaced secret.
    let known = SCHEMAS.iter().any(|spec| spec.is_named(engine));
    let found = if known { format!("\"{engine}\"") } else { "no engine known here".to_owned() };
    format!("\"engine\" is {found}, and this function rotates {}", spec.names())
}
