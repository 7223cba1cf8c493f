//! The database secret. Errors list all its problems, and the new version keeps all its keys.

use rotation::{Password, SecretValue};
use serde_json::Value;
use zeroize::Zeroize;

use crate::document::{Document, Field, Fields, Ssl, wrong_engine};
use crate::error::{Endpoint, Error};
use crate::host;
use crate::problem::SecretProblem;
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
    /// The password of the user in this version.
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
    /// Returns all problems of the secret.
    pub(crate) fn parse(
        value: &SecretValue,
        spec: &EngineSpec,
        demands: RequiredKeys,
    ) -> Result<Self, Vec<SecretProblem>> {
        let document = Document::parse(value)?;
        let mut problems = Vec::new();
        let fields = Fields { document: &document };

        match fields.text("engine") {
            Field::Is(engine) if spec.is_named(&engine) => {}
            Field::Is(engine) => problems.push(wrong_engine(&engine, spec)),
            field => problems.extend(field.problem("engine", &document)),
        }
        let host = fields.required("host", &mut problems);
        let username = fields.required("username", &mut problems);
        if let Some(username) = &username {
            fields.require_trimmed("username", username, &mut problems);
        }
        let password = fields.required("password", &mut problems);
        let port = fields.port(spec, &mut problems);
        let endpoint = host.and_then(|host| fields.endpoint(&host, port, spec, &mut problems));
        let database = match (fields.text("dbname"), &spec.database) {
            (Field::Is(name), _) => {
                fields.require_trimmed("dbname", &name, &mut problems);
                Some(name)
            }
            (Field::Missing, DatabaseKey::Optional(default)) => default.map(str::to_owned),
            (Field::Empty, DatabaseKey::Optional(default)) => default.map(str::to_owned),
            (field, _) => {
                problems.extend(field.problem("dbname", &document));
                None
            }
        };
        let master_arn = match fields.text("masterarn") {
            Field::Is(arn) => {
                let arn = arn.trim().to_owned();
                if demands == RequiredKeys::EndpointAndMaster {
                    problems.extend(master_arn_problem(&arn));
                }
                Some(arn)
            }
            Field::Missing if demands == RequiredKeys::Endpoint => None,
            field => {
                problems.extend(field.problem("masterarn", &document));
                None
            }
        };
        let (Some((host, port)), Some(username), Some(password), true) =
            (endpoint, username, password, problems.is_empty())
        else {
            problems.extend(fields.nested());
            return Err(problems);
        };
        let ssl = fields.ssl();
        let password = Password::new(password);
        Ok(Self { host, port, username, password, database, ssl, master_arn, document })
    }

    /// Returns the secret with another user and password. All other keys keep their order and their
    /// types.
    ///
    /// # Errors
    /// Returns [`Error::ValueUnusable`] with the size if the secret is too large for the service.
    pub(crate) fn with(&self, username: &str, password: &Password) -> Result<SecretValue, Error> {
        let mut document = self.document.clone();
        document.0.insert("username".into(), username.into());
        if let Some(Value::String(mut old)) =
            document.0.insert("password".into(), password.expose().into())
        {
            old.zeroize();
        }
        let unusable = |why: String| Error::ValueUnusable { why };
        let text = serde_json::to_string(&document.0)
            .map_err(|_| unusable("it could not be written as JSON".to_owned()))?;
        let text = SecretValue::new(text);
        match text.expose().len() {
            size if size > MAX_BYTES => {
                Err(unusable(format!("it has {size} bytes, and the limit is {MAX_BYTES}")))
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
fn master_arn_problem(arn: &str) -> Option<SecretProblem> {
    let is_arn = arn.starts_with("arn:");
    let mut parts = arn.splitn(7, ':').skip(2);
    let (service, kind) = (parts.next(), parts.nth(2));
    if is_arn && (service != Some("secretsmanager") || kind != Some("secret")) {
        return Some(SecretProblem::unusable(
            "masterarn",
            "is not the ARN of a secret; aws secretsmanager describe-secret --secret-id NAME \
             --query ARN shows the correct ARN",
        ));
    }
    let is_name = |c: char| c.is_ascii_alphanumeric() || "/_+=.@-".contains(c);
    if !is_arn && !arn.chars().all(is_name) {
        return Some(SecretProblem::unusable(
            "masterarn",
            "is neither an ARN nor the name of a secret",
        ));
    }
    None
}

#[cfg(test)]
mod tests;
