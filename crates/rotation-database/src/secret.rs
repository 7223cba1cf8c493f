//! The database secret. Errors list all its problems, and the new version keeps all its keys.

use rotation::{Password, SecretValue};
use serde_json::Value;
use zeroize::Zeroize;

use crate::document::{Document, Field, Fields, Ssl, wrong_engine};
use crate::error::Endpoint;
use crate::host;
use crate::schema::{DatabaseKey, EngineSpec};

/// The maximum size of a secret ([quotas][doc]).
///
/// [doc]: https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html
const MAX_BYTES: usize = 65_536;

/// A secret that follows its engine's schema.
#[derive(Debug)]
pub struct DatabaseSecret {
    document: Document,
    /// The host, as the secret spells it.
    pub host: String,
    /// The port, from the secret or the engine's default.
    pub port: u16,
    /// The user of this version.
    pub username: String,
    /// The user's password.
    pub password: Password,
    /// The database, from the secret or the engine's default.
    pub database: Option<String>,
    /// The value of the key `ssl`, which requires or forbids TLS.
    pub ssl: Ssl,
    /// The ARN or name of the master secret.
    pub master_arn: Option<String>,
}

/// The keys that a secret must have in addition to the user and the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequiredKeys {
    /// The keys `engine` and `host`.
    Endpoint,
    /// The keys `engine`, `host` and `masterarn`.
    EndpointAndMaster,
}

impl DatabaseSecret {
    /// Parses the value of a secret.
    ///
    /// # Errors
    /// Returns all problems, one sentence each, without any password of the secret.
    pub(crate) fn parse(
        value: &SecretValue,
        spec: &EngineSpec,
        demands: RequiredKeys,
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
        let username = fields.required("username", &mut faults);
        fields.require_trimmed("username", &username, &mut faults);
        let password = fields.required("password", &mut faults);
        let port = fields.port(spec, &mut faults);
        let (host, port) = match host.is_empty() {
            // The missing or empty host is already among the problems.
            true => (host, spec.default_port),
            false => fields.endpoint(&host, port, spec, &mut faults),
        };
        let database = match (fields.text("dbname"), &spec.database) {
            (Field::Is(name), _) => {
                fields.require_trimmed("dbname", &name, &mut faults);
                Some(name)
            }
            (Field::Missing, DatabaseKey::Optional(default)) => default.map(str::to_owned),
            (Field::Empty, DatabaseKey::Optional(default)) => default.map(str::to_owned),
            (field, _) => {
                faults.extend(field.fault("dbname", &document));
                None
            }
        };
        let master_arn = match fields.text("masterarn") {
            Field::Is(arn) => {
                let arn = arn.trim().to_owned();
                if demands == RequiredKeys::EndpointAndMaster {
                    faults.extend(master_arn_problem(&arn));
                }
                Some(arn)
            }
            Field::Missing if demands == RequiredKeys::Endpoint => None,
            field => {
                faults.extend(field.fault("masterarn", &document));
                None
            }
        };
        if !faults.is_empty() {
            faults.extend(fields.nested());
            return Err(faults);
        }
        let ssl = fields.ssl();
        let password = Password::new(password);
        Ok(Self { host, port, username, password, database, ssl, master_arn, document })
    }

    /// Returns the secret with another user and password. All other keys keep their order and their
    /// types.
    ///
    /// # Errors
    /// Returns a message with the size if the secret is too large for the service.
    pub(crate) fn with(&self, username: &str, password: &Password) -> Result<SecretValue, String> {
        let mut document = self.document.clone();
        document.0.insert("username".into(), username.into());
        if let Some(Value::String(mut old)) =
            document.0.insert("password".into(), password.expose().into())
        {
            old.zeroize();
        }
        let text = SecretValue::new(serde_json::to_string(&document.0).unwrap_or_default());
        match text.expose().len() {
            0 => Err("it could not be written as JSON".to_owned()),
            size if size > MAX_BYTES => {
                Err(format!("it has {size} bytes, and the limit is {MAX_BYTES}"))
            }
            _ => Ok(text),
        }
    }

    /// Returns the secret with another user name.
    pub(crate) fn with_user(&self, username: String) -> Self {
        Self { username, ..self.with_password(self.password.clone()) }
    }

    /// Returns the secret with another password.
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

    /// Returns the keys whose values differ in another version, except `username` and `password`.
    /// Each key is in quotes.
    pub(crate) fn other_keys(&self, other: &Self) -> Vec<String> {
        let (own, others) = (&self.document.0, &other.document.0);
        let differs = |key: &&String| own.get(*key) != others.get(*key);
        let new = others.keys().filter(|key| !own.contains_key(*key));
        let keys = own.keys().chain(new).filter(differs);
        keys.filter(|key| !["username", "password"].contains(&key.as_str()))
            .map(|key| format!("\"{key}\""))
            .collect()
    }

    /// Returns the host and port of the server.
    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint { host: self.host.clone(), port: self.port }
    }

    /// Returns the server, the database and the key `ssl` as text, for a message.
    pub(crate) fn endpoint_text(&self) -> String {
        let endpoint = match &self.database {
            Some(database) => format!("{}/{database}", self.endpoint()),
            None => self.endpoint().to_string(),
        };
        match self.ssl {
            Ssl::Unspecified => endpoint,
            Ssl::Required => format!("{endpoint} (\"ssl\": true)"),
            Ssl::Off => format!("{endpoint} (\"ssl\": false)"),
        }
    }

    /// Returns `true` if another version is for the same server.
    pub(crate) fn is_same_server(&self, other: &Self) -> bool {
        host::same(&self.host, &other.host) && self.port == other.port
    }
}

/// Returns the problem of `masterarn`, if there is one. Secrets Manager also accepts a name or a
/// partial ARN.
fn master_arn_problem(arn: &str) -> Option<String> {
    let is_arn = arn.starts_with("arn:");
    let mut parts = arn.splitn(7, ':').skip(2);
    let (service, kind) = (parts.next(), parts.nth(2));
    if is_arn && (service != Some("secretsmanager") || kind != Some("secret")) {
        return Some(
            "\"masterarn\" is not the ARN of a secret; aws secretsmanager describe-secret \
             --secret-id NAME --query ARN shows the correct ARN"
                .into(),
        );
    }
    let is_name = |c: char| c.is_ascii_alphanumeric() || "/_+=.@-".contains(c);
    if !is_arn && !arn.chars().all(is_name) {
        return Some("\"masterarn\" is neither an ARN nor the name of a secret".into());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{ORACLE, POSTGRES};
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<DatabaseSecret, Vec<String>> {
        DatabaseSecret::parse(&SecretValue::new(text), &POSTGRES, RequiredKeys::Endpoint)
    }

    const GOOD: &str =
        r#"{"engine":"postgres","host":"db","username":"app","password":"pw-of-app"}"#;

    #[test]
    fn all_secret_problems_are_reported_without_values() {
        let text = r#"{"engine":"hunter2-engine","Host":"x","username":7,"password":"","port":"http","dbname":[]}"#;
        let faults = parse(text).unwrap_err().join("; ");
        for part in [
            "\"engine\" is not a known engine",
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
    fn defaults_come_from_the_engine() {
        let secret = parse(GOOD).unwrap();
        assert_eq!(
            (secret.port, secret.database.as_deref(), secret.ssl),
            (5432, Some("postgres"), Ssl::Unspecified)
        );
    }

    #[test]
    fn port_is_a_number_or_a_string_of_digits() {
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
    fn ssl_spellings_are_read_and_others_count_as_absent() {
        for (ssl, expected) in [
            ("true", Ssl::Required),
            ("\"True\"", Ssl::Required),
            ("false", Ssl::Off),
            ("\"FALSE\"", Ssl::Off),
            ("\"yes\"", Ssl::Unspecified),
            ("1", Ssl::Unspecified),
            ("null", Ssl::Unspecified),
        ] {
            let text = GOOD.replace("\"host\"", &format!("\"ssl\":{ssl},\"host\""));
            assert_eq!(parse(&text).unwrap().ssl, expected, "{ssl}");
        }
    }

    #[test]
    fn unknown_keys_keep_order_type_and_number_format() {
        let text = r#"{"z":1.50,"engine":"postgres","host":"db","a":[null,{"k":12345678901234567890123}],"username":"app","password":"old-password","port":"5432","ssl":"TRUE"}"#;
        let written =
            parse(text).unwrap().with("app_clone", &Password::new("new-password")).unwrap();
        let expected =
            text.replace("\"app\"", "\"app_clone\"").replace("old-password", "new-password");
        assert_eq!(written.expose(), expected);
    }

    /// Each case is a secret as operators or tools write it, and the expected result.
    #[test]
    fn common_secret_spellings_are_accepted() {
        let keys = |more: &str| format!(r#"{{{more},"username":"app","password":"pw-of-app"}}"#);
        for (value, host, port, database) in [
            // Secrets from the consoles of RDS and Secrets Manager.
            (
                keys(
                    r#""engine":"postgres","host":"db.abc.eu-west-1.rds.amazonaws.com","port":5432,"dbInstanceIdentifier":"db""#,
                ),
                "db.abc.eu-west-1.rds.amazonaws.com",
                5432,
                "postgres",
            ),
            // Terraform's aws_db_instance.endpoint contains the port.
            (
                keys(r#""engine":"postgres","host":"db.example.com:6543","dbname":"shop""#),
                "db.example.com",
                6543,
                "shop",
            ),
            (
                keys(r#""engine":"postgres","host":"db.example.com:6543","port":"6543""#),
                "db.example.com",
                6543,
                "postgres",
            ),
            (keys(r#""engine":"postgresql","host":" db ","port":5432.0"#), "db", 5432, "postgres"),
            (
                keys(r#""engine":"Aurora-PostgreSQL","host":"db","port":"5432.0""#),
                "db",
                5432,
                "postgres",
            ),
            (
                keys(r#""engine":"postgres","host":"db","port":null,"dbname":null,"ssl":null"#),
                "db",
                5432,
                "postgres",
            ),
            (
                format!("\u{feff}{}", keys(r#""engine":"postgres","host":"db""#)),
                "db",
                5432,
                "postgres",
            ),
            (keys("\n  \"engine\": \"postgres\",\r\n\t\"host\": \"db\""), "db", 5432, "postgres"),
        ] {
            let secret = parse(&value).unwrap_or_else(|faults| panic!("{value}: {faults:?}"));
            let read = (secret.host.as_str(), secret.port, secret.database.as_deref());
            assert_eq!(read, (host, port, Some(database)), "{value}");
            assert!(parse(secret.with("app", &Password::new("new")).unwrap().expose()).is_ok());
        }
    }

    #[test]
    fn common_mistakes_are_rejected_with_a_correction() {
        let keys = |more: &str| format!(r#"{{{more},"username":"app","password":"pw-of-app"}}"#);
        let good = keys(r#""engine":"postgres","host":"db""#);
        let utf16: String = good.chars().flat_map(|c| [c, '\0']).collect();
        for (value, parts) in [
            (
                keys(r#""engine":"postgres","host":"postgres://app:pw-of-app@db:5432/shop""#),
                ["\"host\": \"db\"", "\"dbname\": \"shop\""],
            ),
            (
                keys(r#""engine":"postgres","host":"jdbc:postgresql://db:5432/shop""#),
                ["\"host\" is a URL", "\"port\": 5432"],
            ),
            (keys(r#""engine":"postgres","host":"tcp:db,1433""#), ["tcp:", "\"host\": \"db\""]),
            (
                keys(r#""engine":"postgres","host":"db\\SQLEXPRESS""#),
                ["instance", "\"host\": \"db\""],
            ),
            (
                keys(r#""engine":"postgres","host":"db:1","port":2"#),
                ["\"host\" ends with port 1", "\"port\" is 2"],
            ),
            (
                keys(r#""engine":"postgres","host":"db","port":"""#),
                ["\"port\" is empty", "\"port\": 5432"],
            ),
            (
                keys(r#""engine":"postgres","host":"db","port":0.5"#),
                ["\"port\" is neither", "\"port\": 5432"],
            ),
            (
                keys(r#""engine":"postgres","host":"db","dbname":"shop ""#),
                ["\"dbname\"", "\"dbname\": \"shop\""],
            ),
            (
                keys(r#""engine":"postgres","host":"db","host":"db2""#),
                ["\"host\" is there twice", "keep one"],
            ),
            (
                keys(r#""engine":"postgres","host":"db","port":1,"port":2"#),
                ["\"port\" is there twice", "keep one"],
            ),
            (
                keys(r#""engine":"oracle-se2","host":"db""#),
                ["\"engine\" is \"oracle-se2\"", "\"postgres\""],
            ),
            (
                good.replace("\"app\"", "\"app \""),
                ["\"username\" starts or ends", "\"username\": \"app\""],
            ),
            (
                good.replace("username", "user"),
                ["\"username\" is missing", "rename it to \"username\""],
            ),
            (
                good.replace("\"host\"", "\"hostname\""),
                ["\"host\" is missing", "rename it to \"host\""],
            ),
            (format!(r#"{{"db":{good}}}"#), ["inside \"db\"", "\"password\" is missing"]),
            (
                serde_json::json!({"SecretString": good}).to_string(),
                ["inside \"SecretString\"", "missing"],
            ),
            (serde_json::json!(good).to_string(), ["JSON string", "store the object itself"]),
            (utf16, ["UTF-16", "UTF-8"]),
        ] {
            let faults = parse(&value).unwrap_err().join("; ");
            for part in parts {
                assert!(faults.contains(part), "{part} is not in {faults:?} of {value}");
            }
            assert!(!faults.contains("pw-of-app"), "{faults}");
        }
    }

    #[test]
    fn master_arn_accepts_a_secret_arn_or_name() {
        let parse = |arn: &str| {
            let text = GOOD.replace('{', &format!(r#"{{"masterarn":"{arn}","#));
            DatabaseSecret::parse(
                &SecretValue::new(text),
                &POSTGRES,
                RequiredKeys::EndpointAndMaster,
            )
        };
        for arn in [
            "arn:aws:secretsmanager:eu-west-1:123456789012:secret:master-AbCdEf",
            " arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:master ",
            "prod/master_1",
        ] {
            assert_eq!(parse(arn).unwrap().master_arn.as_deref(), Some(arn.trim()));
        }
        for arn in [
            "arn:aws:rds:eu-west-1:123456789012:db:shop",
            "arn:aws:iam::123456789012:role/x",
            "a b",
            "https://x",
        ] {
            let faults = parse(arn).unwrap_err();
            assert!(faults[0].starts_with("\"masterarn\" is"), "{faults:?}");
        }
    }

    #[test]
    fn oracle_must_name_a_database() {
        let text = GOOD.replace("\"postgres\"", "\"oracle\"");
        let faults =
            DatabaseSecret::parse(&SecretValue::new(text), &ORACLE, RequiredKeys::Endpoint)
                .unwrap_err();
        assert_eq!(faults, ["\"dbname\" is missing"]);
    }

    #[test]
    fn debug_output_of_a_secret_shows_no_password() {
        assert!(!format!("{:?}", parse(GOOD).unwrap()).contains("pw-of-app"));
    }

    proptest! {
        #[test]
        fn any_password_survives_json_round_trip(password in "[^\\x00]{1,64}") {
            let written = parse(GOOD).unwrap().with("app", &Password::new(password.clone())).unwrap();
            let read = parse(written.expose()).unwrap();
            prop_assert_eq!(read.password.expose(), password);
        }

        #[test]
        fn any_text_parses_without_panic(text in ".*") {
            let _ = parse(&text);
        }
    }
}
