//! The secret of a master user.

use rotation::{Password, SecretValue};

use crate::document::{Document, Field, Fields, Ssl, wrong_engine};
use crate::problem::SecretProblem;
use crate::schema::EngineSpec;

/// A master secret. It is like a database secret, but the master secrets that RDS manages contain
/// only `username` and `password`.
#[derive(Debug)]
pub(crate) struct MasterSecret {
    pub(crate) username: String,
    pub(crate) password: Password,
    pub(crate) endpoint: Option<(String, u16)>,
    pub(crate) database: Option<String>,
    pub(crate) ssl: Ssl,
}

impl MasterSecret {
    pub(crate) fn parse(
        value: &SecretValue,
        spec: &EngineSpec,
    ) -> Result<Self, Vec<SecretProblem>> {
        let document = Document::parse(value)?;
        let mut problems = Vec::new();
        let fields = Fields { document: &document };
        match fields.text("engine") {
            Field::Is(engine) if spec.is_named(&engine) => {}
            Field::Is(engine) => problems.push(wrong_engine(&engine, spec)),
            Field::Missing => {}
            field => problems.extend(field.problem("engine", &document)),
        }
        let username = fields.required("username", &mut problems);
        let password = fields.required("password", &mut problems);
        let port = fields.port(spec, &mut problems);
        let optional = |key, problems: &mut Vec<SecretProblem>| match fields.text(key) {
            Field::Is(text) => Some(text),
            Field::Missing | Field::Empty => None,
            field => {
                problems.extend(field.problem(key, &document));
                None
            }
        };
        let host = optional("host", &mut problems);
        let endpoint = host.and_then(|host| fields.endpoint(&host, port, spec, &mut problems));
        let database = optional("dbname", &mut problems);
        let (Some(username), Some(password), true) = (username, password, problems.is_empty())
        else {
            return Err(problems);
        };
        Ok(Self {
            username,
            password: Password::new(password),
            endpoint,
            database,
            ssl: fields.ssl(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::ORACLE;

    #[test]
    fn rds_master_secret_needs_only_user_and_password() {
        let master = |text: &str| MasterSecret::parse(&SecretValue::new(text), &ORACLE);
        assert!(
            master(r#"{"username":"admin","password":"pw-of-admin","extra":1}"#)
                .unwrap()
                .endpoint
                .is_none()
        );
        assert!(
            master(r#"{"username":"admin","password":"pw-of-admin","engine":"oracle-se2-cdb"}"#)
                .is_ok()
        );
        assert!(
            master(r#"{"username":"admin","password":"pw-of-admin","engine":"mysql"}"#).is_err()
        );
    }
}
