//! The statements that set a new password.
//!
//! By default, a statement contains a verifier, which the function computes, so that the password
//! is neither sent over the network nor written to the server's log. Servers with a module that
//! must see the cleartext password (credcheck, Neon) reject verifiers. For them, there is
//! `POSTGRES_PASSWORD_FORM=cleartext`. It is accepted only over verified TLS that ends at the
//! server itself, and only if the server does not write every statement to its log.
//!
//! A server logs a statement that fails, including the password in it. So an earlier statement puts
//! the password into a setting of the transaction, and the statement that a module may reject reads
//! this setting. That statement is in a block, which catches the error before the server logs it.

use rotation_database::{EngineError, Password, TlsUse};
use zeroize::Zeroizing;

use crate::password_form::{PasswordForm, SETTING};
use crate::quote::{identifier, literal};
use crate::scram;
use crate::session::Session;
use crate::verifier::{Encryption, verifier};

/// A new password in the form in which the server gets it.
pub(crate) enum NewPassword {
    /// The verifier, which the server stores unchanged.
    Verifier(Zeroizing<String>),
    /// The cleartext password, and the statement that sets the form in which the server stores it.
    Cleartext { storage: &'static str, password: Password },
}

impl NewPassword {
    /// Prepares a new password of the session's own user. If this fails, nothing has changed.
    pub(crate) async fn of_session(
        session: &mut Session,
        user: &str,
        password: &Password,
    ) -> Result<Self, EngineError> {
        let storage = session.identity().await?.storage;
        let encryption = storage.own_form(session.origin());
        Self::prepare(session, user, password, encryption).await
    }

    /// Prepares a password that the master user sets for `user`. If this fails, nothing has
    /// changed.
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
                let ahead = [
                    "SELECT pg_catalog.set_config('",
                    PASSWORD_SETTING,
                    "', ",
                    &password,
                    ", true)",
                ];
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
                let verifier = computed.map_err(|message| verifier_failed(user, message))?;
                Ok(Self::Verifier(verifier))
            }
            PasswordForm::Cleartext => {
                check_cleartext_is_safe(session).await?;
                if looks_like_verifier(password.expose()) {
                    return Err(EngineError::PasswordRejected {
                        message: "it looks like a hash, and the server would store it as one"
                            .into(),
                        remedy: "Let the rotation generate another password.".into(),
                    });
                }
                let storage = encryption.as_setting(session.origin().version);
                Ok(Self::Cleartext { storage, password: password.clone() })
            }
        }
    }
}

/// The setting of the transaction that contains a password.
const PASSWORD_SETTING: &str = "rotation.password";

/// Returns a PL/pgSQL block that sets the password of a role. `role` is a quoted identifier.
///
/// The server does not log an error that a block catches. The error that the block raises instead
/// has no context, which would quote the statement.
fn block(role: &str) -> String {
    format!(
        "DECLARE detail text; hint text; \
         BEGIN \
         EXECUTE pg_catalog.format('ALTER ROLE %s PASSWORD %L', {}, \
         pg_catalog.current_setting('{PASSWORD_SETTING}')); \
         EXCEPTION WHEN query_canceled OR OTHERS THEN \
         GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT; \
         RAISE EXCEPTION USING ERRCODE = SQLSTATE, MESSAGE = SQLERRM, DETAIL = detail, \
         HINT = hint; \
         END",
        literal(role)
    )
}

/// Returns the error for a verifier that could not be computed.
pub(crate) fn verifier_failed(user: &str, message: &'static str) -> EngineError {
    EngineError::Failed {
        action: format!("compute the verifier of {user}"),
        code: "verifier".into(),
        message: message.into(),
    }
}

/// Checks that only the server can read a cleartext password that the session sends. With
/// [`PasswordForm::Hashed`], there is nothing to check.
pub(crate) async fn check_cleartext_is_safe(session: &mut Session) -> Result<(), EngineError> {
    if session.password_form() == PasswordForm::Hashed {
        return Ok(());
    }
    let decide = |what: &str, remedy: String| {
        Err(EngineError::NeedsDecision {
            what: format!("{SETTING}=cleartext sends the cleartext password, and {what}"),
            remedy: format!(
                "{remedy} Or remove {SETTING} from the function: it then sends a verifier."
            ),
        })
    };
    if session.origin().tls != TlsUse::Verified {
        return decide(
            "this connection has no verified TLS",
            "Turn TLS on at the server, and remove \"ssl\": false from the secret and from the \
             master secret."
                .into(),
        );
    }
    let identity = session.identity().await?;
    if identity.is_pooled {
        return decide(
            "the function connects through a pooler or proxy",
            "Set \"host\" to the server's own endpoint.".into(),
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

/// A server setting that can write every statement to the log.
struct Logging {
    name: &'static str,
    /// Returns `true` for a value with which the server logs every statement, or a sample.
    is_on: fn(&str) -> bool,
    /// The value that turns it off, as SQL.
    off: &'static str,
}

const LOGGING: [Logging; 4] = [
    Logging { name: "log_min_duration_sample", is_on: |value| value == "0", off: "-1" },
    Logging { name: "log_min_duration_statement", is_on: |value| value == "0", off: "-1" },
    Logging { name: "log_statement", is_on: |value| value == "all", off: "'none'" },
    Logging { name: "log_transaction_sample_rate", is_on: |value| value != "0", off: "0" },
];

/// Returns the settings of [`LOGGING`] that are on, with their values. Older servers do not have
/// all of them.
async fn logging(session: &mut Session) -> Result<Vec<(&'static Logging, String)>, EngineError> {
    let columns =
        LOGGING.map(|Logging { name, .. }| format!("pg_catalog.current_setting('{name}', true)"));
    let select = format!("SELECT {}", columns.join(", "));
    let values = session.ask("ask what the server logs", &select).await?;
    let settings =
        LOGGING.iter().zip(values).filter_map(|(setting, value)| Some((setting, value?)));
    Ok(settings.filter(|(setting, value)| (setting.is_on)(value)).collect())
}

/// Returns `true` if the server stores this text unchanged, because it looks like a verifier
/// (`get_password_type` in `src/backend/libpq/crypt.c`).
fn looks_like_verifier(text: &str) -> bool {
    let is_md5 = text.strip_prefix("md5").is_some_and(|hash| hash.len() == 32);
    is_md5 || text.starts_with("SCRAM-SHA-256$")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verifier_is_default_and_unknown_form_is_rejected() {
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
            assert!(looks_like_verifier(text), "{text}");
        }
        for text in ["md5", "md5-of-something", "SCRAM-SHA-256", "x"] {
            assert!(!looks_like_verifier(text), "{text}");
        }
    }
}
