//! A new password, as a statement carries it to the server.
//!
//! By default it travels as a verifier, which the function computes, so that neither the wire nor
//! the server's log ever holds the password. Servers with a module that must see the password
//! itself (credcheck, Neon) reject verifiers. For them there is `POSTGRES_PASSWORD_FORM=cleartext`.
//! It is accepted only over verified TLS that ends at the server itself, and only while the server
//! does not write every statement to its log.
//!
//! A server logs a statement that fails, with the password in it. So the password goes ahead, in a
//! setting of the transaction, and the statement that a module may reject reads the setting. That
//! statement is inside of a block, which catches the error before the server logs it.

use rotation::settings::{Source, choice};
use rotation_database::{EngineError, Password, TlsUse};
use zeroize::Zeroizing;

use crate::quote::{identifier, literal};
use crate::scram;
use crate::session::Session;
use crate::verifier::{Encryption, verifier};

/// The environment variable.
pub(crate) const SETTING: &str = "POSTGRES_PASSWORD_FORM";

/// How a new password is sent to the server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum PasswordForm {
    /// As a verifier: the default.
    #[default]
    Hashed,
    /// As it is.
    Cleartext,
}

impl PasswordForm {
    /// Reads the setting.
    pub(crate) fn read(source: Source<'_>) -> rotation::Result<Self> {
        let forms = [("hashed", Self::Hashed), ("cleartext", Self::Cleartext)];
        Ok(choice(source, SETTING, &forms)?.unwrap_or_default())
    }
}

/// A new password in the form in which the server gets it.
pub(crate) enum NewPassword {
    /// What the server stores.
    Verifier(Zeroizing<String>),
    /// The password itself, and the statement that tells the server how to store it.
    Cleartext { storage: &'static str, password: Password },
}

impl NewPassword {
    /// Prepares the session's own new password. Nothing has changed when this fails.
    pub(crate) async fn of_session(
        session: &mut Session,
        user: &str,
        password: &Password,
    ) -> Result<Self, EngineError> {
        let storage = session.identity().await?.storage;
        let encryption = storage.own_form(session.origin());
        Self::prepare(session, user, password, encryption).await
    }

    /// Prepares a password that a master sets for `user`. Nothing has changed when this fails.
    pub(crate) async fn by_master(
        session: &mut Session,
        user: &str,
        password: &Password,
        logs_in_unencrypted: bool,
    ) -> Result<Self, EngineError> {
        let storage = session.identity().await?.storage;
        let encryption = storage.form_for(session.origin(), user, logs_in_unencrypted).await;
        Self::prepare(session, user, password, encryption).await
    }

    /// Returns the messages, each of one or more statements, that set the password of `user` and
    /// commit the transaction.
    pub(crate) fn messages(&self, user: &str) -> Vec<Zeroizing<String>> {
        let user = identifier(user);
        match self {
            Self::Verifier(verifier) => {
                let verifier = Zeroizing::new(literal(verifier));
                vec![Zeroizing::new(
                    ["ALTER ROLE ", &user, " PASSWORD ", &verifier, "; COMMIT"].concat(),
                )]
            }
            Self::Cleartext { storage, password } => {
                let password = Zeroizing::new(literal(password.expose()));
                let ahead = ["SELECT pg_catalog.set_config('", AHEAD, "', ", &password, ", true)"];
                vec![
                    Zeroizing::new((*storage).to_owned()),
                    Zeroizing::new(ahead.concat()),
                    Zeroizing::new(format!("DO {}; COMMIT", literal(&block(&user)))),
                ]
            }
        }
    }

    async fn prepare(
        session: &mut Session,
        user: &str,
        password: &Password,
        encryption: Encryption,
    ) -> Result<Self, EngineError> {
        match session.password_form() {
            PasswordForm::Hashed => {
                let (owned_user, owned) = (user.to_owned(), password.clone());
                let work = move || verifier(&owned_user, &owned, encryption);
                let computed = scram::compute(encryption.iterations(), work).await.flatten();
                let verifier = computed.map_err(|message| not_computed(user, message))?;
                Ok(Self::Verifier(verifier))
            }
            PasswordForm::Cleartext => {
                may_travel_readable(session).await?;
                if is_stored_as_it_is(password.expose()) {
                    return Err(EngineError::PasswordRejected {
                        message: "it looks like a hash, and the server would store it as one"
                            .into(),
                        remedy: "Let the rotation make a new one.".into(),
                    });
                }
                let storage = encryption.as_setting(session.origin().version);
                Ok(Self::Cleartext { storage, password: password.clone() })
            }
        }
    }
}

/// The setting of the transaction that holds a password.
const AHEAD: &str = "rotation.password";

/// A block of PL/pgSQL that sets the password of a role, whose name is quoted.
///
/// An error that a block catches is not logged. Raised again, it has no context, which would quote
/// the statement.
fn block(role: &str) -> String {
    format!(
        "DECLARE detail text; hint text; \
         BEGIN \
         EXECUTE pg_catalog.format('ALTER ROLE %s PASSWORD %L', {}, pg_catalog.current_setting('{AHEAD}')); \
         EXCEPTION WHEN query_canceled OR OTHERS THEN \
         GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT; \
         RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = SQLERRM, DETAIL = detail, HINT = hint; \
         END",
        literal(role)
    )
}

/// There is no verifier to send.
pub(crate) fn not_computed(user: &str, message: &'static str) -> EngineError {
    EngineError::Failed {
        doing: format!("compute the verifier of {user}"),
        code: "verifier".into(),
        message: message.into(),
    }
}

/// Checks that no one but the server reads a password that the session sends as it is. With
/// [`PasswordForm::Hashed`] there is nothing to check.
pub(crate) async fn may_travel_readable(session: &mut Session) -> Result<(), EngineError> {
    if session.password_form() == PasswordForm::Hashed {
        return Ok(());
    }
    let decide = |what: &str, remedy: String| {
        Err(EngineError::NeedsDecision {
            what: format!("{SETTING}=cleartext sends the new password itself, and {what}"),
            remedy: format!(
                "{remedy} Or remove {SETTING} from the function: it then sends a verifier."
            ),
        })
    };
    if session.origin().tls != TlsUse::Verified {
        return decide(
            "this connection has no verified TLS",
            "Turn TLS on at the server, and remove \"ssl\": false from the secret and the master's.".into(),
        );
    }
    let identity = session.identity().await?;
    if identity.is_pooled {
        return decide(
            "a pooler or proxy stands between the function and the server",
            "Name the server's own endpoint in \"host\".".into(),
        );
    }
    let role = identifier(&identity.role);
    let logging = logging(session).await?;
    if !logging.is_empty() {
        let found: Vec<_> =
            logging.iter().map(|(setting, value)| format!("{} = {value}", setting.name)).collect();
        let statements: Vec<_> = logging
            .iter()
            .map(|(Logging { name, off, .. }, _)| format!("ALTER ROLE {role} SET {name} = {off}"))
            .collect();
        return decide(
            &format!("the server writes every statement to its log ({})", found.join(", ")),
            format!("As a superuser of the database: {}.", statements.join("; ")),
        );
    }
    Ok(())
}

/// A setting by which a server writes every statement to its log.
struct Logging {
    name: &'static str,
    /// Returns `true` for the values with which it does.
    is_on: fn(&str) -> bool,
    /// The value that turns it off, as it stands in a statement.
    off: &'static str,
}

const LOGGING: [Logging; 4] = [
    Logging { name: "log_min_duration_sample", is_on: |value| value == "0", off: "-1" },
    Logging { name: "log_min_duration_statement", is_on: |value| value == "0", off: "-1" },
    Logging { name: "log_statement", is_on: |value| value == "all", off: "'none'" },
    Logging { name: "log_transaction_sample_rate", is_on: |value| value != "0", off: "0" },
];

/// Returns the settings of [`LOGGING`] that are on, with their values. Older servers lack some.
async fn logging(session: &mut Session) -> Result<Vec<(&'static Logging, String)>, EngineError> {
    let columns =
        LOGGING.map(|Logging { name, .. }| format!("pg_catalog.current_setting('{name}', true)"));
    let select = format!("SELECT {}", columns.join(", "));
    let values = session.ask("ask what the server logs", &select).await?;
    let settings =
        LOGGING.iter().zip(values).filter_map(|(setting, value)| Some((setting, value?)));
    Ok(settings.filter(|(setting, value)| (setting.is_on)(value)).collect())
}

/// Returns `true` if the server takes a text for a verifier (`get_password_type` in
/// `src/backend/libpq/crypt.c`).
fn is_stored_as_it_is(text: &str) -> bool {
    let is_md5 = text.strip_prefix("md5").is_some_and(|hash| hash.len() == 32);
    is_md5 || text.starts_with("SCRAM-SHA-256$")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verifiers_are_the_default_and_other_values_are_rejected() {
        let read =
            |value: Option<&'static str>| PasswordForm::read(&move |_| value.map(str::to_owned));
        assert_eq!(read(None).unwrap(), PasswordForm::Hashed);
        assert_eq!(read(Some("hashed")).unwrap(), PasswordForm::Hashed);
        assert_eq!(read(Some("cleartext")).unwrap(), PasswordForm::Cleartext);
        assert!(read(Some("plain")).unwrap_err().to_string().contains(SETTING));
    }

    #[test]
    fn passwords_that_look_like_hashes_are_recognized() {
        for text in ["md520c46e3762c864548e296b33c3406aa9", "SCRAM-SHA-256$4096:x$y:z"] {
            assert!(is_stored_as_it_is(text), "{text}");
        }
        for text in ["md5", "md5-of-something", "SCRAM-SHA-256", "x"] {
            assert!(!is_stored_as_it_is(text), "{text}");
        }
    }
}
