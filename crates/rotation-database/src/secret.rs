//! A database secret: read once, every fault at once, and written back with everything it came with.

use rotation::{Password, SecretValue};
use serde_json::{Map, Value};
use zeroize::Zeroize;

use crate::error::Place;
use crate::host;
use crate::schema::{DatabaseKey, EngineSpec, SCHEMAS};

/// The service takes no larger secret ([quotas][doc]).
///
/// [doc]: https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html
const MAX_BYTES: usize = 65_536;

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

/// A secret that follows its engine's schema.
#[derive(Debug)]
pub struct DatabaseSecret {
    document: Document,
    /// As the secret spells it.
    pub host: String,
    /// From the secret or the engine's default.
    pub port: u16,
    /// The user that this version is for.
    pub username: String,
    /// Its password.
    pub password: Password,
    /// From the secret or the engine's default.
    pub database: Option<String>,
    /// Whether the secret demands or forbids TLS.
    pub ssl: Ssl,
    /// The ARN of the secret with the master credential.
    pub master_arn: Option<String>,
}

/// Which keys a secret must have beyond the user and the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Demands {
    /// `engine` and `host`.
    Place,
    /// `engine`, `host` and `masterarn`.
    PlaceAndMaster,
}

impl DatabaseSecret {
    /// Reads a secret.
    ///
    /// # Errors
    /// Every fault, one sentence each, without any value of the secret.
    pub(crate) fn parse(
        value: &SecretValue,
        spec: &EngineSpec,
        demands: Demands,
    ) -> Result<Self, Vec<String>> {
        let document = Document::parse(value)?;
        let mut faults = Vec::new();
        let fields = Fields { document: &document };

        match fields.text("engine") {
            Field::Is(engine) if spec.is_named(&engine) => {}
            Field::Is(engine) => faults.push(wrong_engine(&engine, spec)),
            field => faults.extend(field.fault("engine", &document)),
        }
        let host = fields.required("host", &mut faults);
        if host.starts_with('/') {
            // Drivers take a path for a Unix socket.
            faults.push("\"host\" is a path, not a host name or address".to_owned());
        }
        let username = fields.required("username", &mut faults);
        let password = fields.required("password", &mut faults);
        let port = fields.port(&mut faults).unwrap_or(spec.default_port);
        let database = match (fields.text("dbname"), &spec.database) {
            (Field::Is(name), _) => Some(name),
            (Field::Missing, DatabaseKey::Optional(default)) => default.map(str::to_owned),
            (Field::Empty, DatabaseKey::Optional(default)) => default.map(str::to_owned),
            (field, _) => {
                faults.extend(field.fault("dbname", &document));
                None
            }
        };
        let master_arn = match fields.text("masterarn") {
            Field::Is(arn) => Some(arn),
            Field::Missing if demands == Demands::Place => None,
            field => {
                faults.extend(field.fault("masterarn", &document));
                None
            }
        };
        if !faults.is_empty() {
            return Err(faults);
        }
        let ssl = fields.ssl();
        let password = Password::new(password);
        Ok(Self { host, port, username, password, database, ssl, master_arn, document })
    }

    /// The secret with another user and password; every other key keeps its place and its type.
    ///
    /// # Errors
    /// The size, when it is beyond what the service takes.
    pub(crate) fn with(&self, username: &str, password: &Password) -> Result<SecretValue, String> {
        let mut document = self.document.clone();
        document.0.insert("username".into(), username.into());
        if let Some(Value::String(mut old)) = document.0.insert("password".into(), password.expose().into()) {
            old.zeroize();
        }
        let text = SecretValue::new(serde_json::to_string(&document.0).unwrap_or_default());
        match text.expose().len() {
            0 => Err("it cannot be written as JSON".to_owned()),
            size if size > MAX_BYTES => Err(format!("it has {size} bytes, and the limit is {MAX_BYTES}")),
            _ => Ok(text),
        }
    }

    /// The same secret with another password.
    pub(crate) fn with_password(&self, password: Password) -> Self {
        Self {
            document: self.document.clone(),
            host: self.host.clone(),
            username: self.username.clone(),
            password,
            database: self.database.clone(),
            master_arn: self.master_arn.clone(),
            ..*self
        }
    }

    /// The server.
    pub(crate) fn place(&self) -> Place {
        Place { host: self.host.clone(), port: self.port }
    }

    /// Whether another version means the same server.
    pub(crate) fn same_server(&self, other: &Self) -> bool {
        host::same(&self.host, &other.host) && self.port == other.port
    }
}

/// A master secret: like a database secret, but RDS's own hold only `username` and `password`.
#[derive(Debug)]
pub(crate) struct MasterSecret {
    pub(crate) username: String,
    pub(crate) password: Password,
    pub(crate) place: Option<(String, u16)>,
    pub(crate) database: Option<String>,
    pub(crate) ssl: Ssl,
}

impl MasterSecret {
    pub(crate) fn parse(value: &SecretValue, spec: &EngineSpec) -> Result<Self, Vec<String>> {
        let document = Document::parse(value)?;
        let mut faults = Vec::new();
        let fields = Fields { document: &document };
        match fields.text("engine") {
            Field::Is(engine) if spec.is_named(&engine) || rds_name(&engine) == Some(spec.name) => {}
            Field::Is(engine) => faults.push(wrong_engine(&engine, spec)),
            Field::Missing => {}
            field => faults.extend(field.fault("engine", &document)),
        }
        let username = fields.required("username", &mut faults);
        let password = fields.required("password", &mut faults);
        let port = fields.port(&mut faults).unwrap_or(spec.default_port);
        let optional = |key, faults: &mut Vec<String>| match fields.text(key) {
            Field::Is(text) => Some(text),
            Field::Missing | Field::Empty => None,
            field => {
                faults.extend(field.fault(key, &document));
                None
            }
        };
        let host = optional("host", &mut faults);
        let database = optional("dbname", &mut faults);
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Self {
            username,
            password: Password::new(password),
            place: host.map(|host| (host, port)),
            database,
            ssl: fields.ssl(),
        })
    }
}

/// The engine that a name of the RDS API (`DescribeDBInstances`, `Engine`) means.
pub(crate) fn rds_name(engine: &str) -> Option<&'static str> {
    match engine {
        "sqlserver-ee" | "sqlserver-se" | "sqlserver-ex" | "sqlserver-web" => Some("sqlserver"),
        _ if engine.starts_with("custom-sqlserver-") => Some("sqlserver"),
        "oracle-ee" | "oracle-ee-cdb" | "oracle-se2" | "oracle-se2-cdb" | "custom-oracle-ee" => {
            Some("oracle")
        }
        _ => None,
    }
}

fn wrong_engine(engine: &str, spec: &EngineSpec) -> String {
    // Only a known name is repeated: anything else may be a misplaced secret.
    let known = SCHEMAS.iter().any(|spec| spec.is_named(engine));
    let found = if known { format!("\"{engine}\"") } else { "no engine known here".to_owned() };
    format!("\"engine\" is {found}, and this function rotates {}", spec.names())
}

/// The JSON object of a secret, its keys in order. Its texts are zeroed when it is dropped.
#[derive(Clone)]
struct Document(Map<String, Value>);

impl Document {
    fn parse(value: &SecretValue) -> Result<Self, Vec<String>> {
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
enum Field {
    Is(String),
    Missing,
    Empty,
    Unfit(&'static str),
}

impl Field {
    fn fault(self, key: &str, document: &Document) -> Option<String> {
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

struct Fields<'a> {
    document: &'a Document,
}

impl Fields<'_> {
    fn text(&self, key: &str) -> Field {
        match self.document.0.get(key) {
            None | Some(Value::Null) => Field::Missing,
            Some(Value::String(text)) if text.is_empty() => Field::Empty,
            // A NUL ends a string in every wire protocol: what follows it would be read as something else.
            Some(Value::String(text)) if text.contains('\0') => Field::Unfit("holds a NUL character"),
            Some(Value::String(text)) => Field::Is(text.clone()),
            Some(_) => Field::Unfit("is not a string"),
        }
    }

    fn required(&self, key: &str, faults: &mut Vec<String>) -> String {
        match self.text(key) {
            Field::Is(text) => text,
            field => {
                faults.extend(field.fault(key, self.document));
                String::new()
            }
        }
    }

    /// A number, or a string of digits.
    fn port(&self, faults: &mut Vec<String>) -> Option<u16> {
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

    fn ssl(&self) -> Ssl {
        match self.document.0.get("ssl") {
            Some(Value::Bool(true)) => Ssl::Required,
            Some(Value::Bool(false)) => Ssl::Off,
            Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ssl::Required,
            Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ssl::Off,
            _ => Ssl::Unsaid,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{ORACLE, POSTGRES};
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<DatabaseSecret, Vec<String>> {
        DatabaseSecret::parse(&SecretValue::new(text), &POSTGRES, Demands::Place)
    }

    const GOOD: &str = r#"{"engine":"postgres","host":"db","username":"app","password":"pw-of-app"}"#;

    #[test]
    fn every_fault_is_told_at_once_and_no_value_with_it() {
        let text =
            r#"{"engine":"hunter2-engine","Host":"x","username":7,"password":"","port":"http","dbname":[]}"#;
        let faults = parse(text).unwrap_err().join("; ");
        for part in [
            "\"engine\" is no engine",
            "letter case",
            "\"username\" is not a string",
            "\"password\" is empty",
            "\"port\"",
            "\"dbname\" is not a string",
        ] {
            assert!(faults.contains(part), "{part} not in: {faults}");
        }
        assert!(!faults.contains("hunter2") && !faults.contains("http"), "{faults}");
    }

    #[test]
    fn the_defaults_are_the_engine_s() {
        let secret = parse(GOOD).unwrap();
        assert_eq!(
            (secret.port, secret.database.as_deref(), secret.ssl),
            (5432, Some("postgres"), Ssl::Unsaid)
        );
    }

    #[test]
    fn a_port_is_a_number_or_its_digits() {
        for (port, expected) in [
            ("6543", Some(6543)),
            ("\"6543\"", Some(6543)),
            ("0", None),
            ("70000", None),
            ("\"\"", None),
            ("1.5", None),
            ("true", None),
        ] {
            let text = GOOD.replace("\"host\"", &format!("\"port\":{port},\"host\""));
            assert_eq!(parse(&text).ok().map(|secret| secret.port), expected, "{port}");
        }
    }

    #[test]
    fn ssl_is_read_in_every_spelling_and_an_unreadable_one_counts_as_absent() {
        for (ssl, expected) in [
            ("true", Ssl::Required),
            ("\"True\"", Ssl::Required),
            ("false", Ssl::Off),
            ("\"FALSE\"", Ssl::Off),
            ("\"yes\"", Ssl::Unsaid),
            ("1", Ssl::Unsaid),
            ("null", Ssl::Unsaid),
        ] {
            let text = GOOD.replace("\"host\"", &format!("\"ssl\":{ssl},\"host\""));
            assert_eq!(parse(&text).unwrap().ssl, expected, "{ssl}");
        }
    }

    #[test]
    fn unknown_keys_keep_their_order_their_type_and_the_spelling_of_numbers() {
        let text = r#"{"z":1.50,"engine":"postgres","host":"db","a":[null,{"k":12345678901234567890123}],"username":"app","password":"old-password","port":"5432","ssl":"TRUE"}"#;
        let written = parse(text).unwrap().with("app_clone", &Password::new("new-password")).unwrap();
        let expected = text.replace("\"app\"", "\"app_clone\"").replace("old-password", "new-password");
        assert_eq!(written.expose(), expected);
    }

    #[test]
    fn oracle_must_name_a_database() {
        let text = GOOD.replace("\"postgres\"", "\"oracle\"");
        let faults = DatabaseSecret::parse(&SecretValue::new(text), &ORACLE, Demands::Place).unwrap_err();
        assert_eq!(faults, ["\"dbname\" is missing"]);
    }

    #[test]
    fn a_master_secret_of_rds_has_only_a_user_and_a_password() {
        let master = |text: &str| MasterSecret::parse(&SecretValue::new(text), &ORACLE);
        assert!(
            master(r#"{"username":"admin","password":"pw-of-admin","extra":1}"#).unwrap().place.is_none()
        );
        assert!(master(r#"{"username":"admin","password":"pw-of-admin","engine":"oracle-se2-cdb"}"#).is_ok());
        assert!(master(r#"{"username":"admin","password":"pw-of-admin","engine":"mysql"}"#).is_err());
    }

    #[test]
    fn debug_output_of_a_secret_shows_no_password() {
        assert!(!format!("{:?}", parse(GOOD).unwrap()).contains("pw-of-app"));
    }

    proptest! {
        #[test]
        fn a_password_of_any_characters_comes_back_from_json(password in "[^\\x00]{1,64}") {
            let written = parse(GOOD).unwrap().with("app", &Password::new(password.clone())).unwrap();
            let read = parse(written.expose()).unwrap();
            prop_assert_eq!(read.password.expose(), password);
        }

        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            let _ = parse(&text);
        }
    }
}
