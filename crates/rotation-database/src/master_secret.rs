//! The secret of a master user.

use rotation::{Password, SecretValue};

use crate::document::{Document, Field, Fields, Ssl, wrong_engine};
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
    pub(crate) fn parse(value: &SecretValue, spec: &EngineSpec) -> Result<Self, Vec<String>> {
        let document = Document::parse(value)?;
        let mut faults = Vec::new();
        let fields = Fields { document: &document };
        match fields.text("engine") {
            Field::Is(engine) if spec.is_named(&engine) => {}
            Field::Is(engine) => faults.push(wrong_engine(&engine, spec)),
            Field::Missing => {}
            field => faults.extend(field.fault("engine", &document)),
        }
        let username = fields.required("username", &mut faults);
        let password = fields.required("password", &mut faults);
        let port = fields.port(spec, &mut faults);
        let optional = |key, faults: &mut Vec<String>| match fields.text(key) {
            Field::Is(text) => Some(text),
            Field::Missing | Field::Empty => None,
            field => {
                faults.extend(field.fault(key, &document));
                None
            }
        };
        let host = optional("host", &mut faults);
        let endpoint = host.map(|host| fields.endpoint(&host, port, spec, &mut faults));
        let database = optional("dbname", &mut faults);
        if !faults.is_empty() {
            return Err(faults);
        }
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
