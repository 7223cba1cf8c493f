//! Logging in.

use rotation_database::{APPLICATION, Login, LoginError, TlsUse, Wire, dial, mask};
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgDatabaseError, PgSslMode};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::authenticate::authenticate;
use crate::messages::Refusal;
use crate::quote::identifier;
use crate::session::{Origin, Session};
use crate::start_tls::start_tls;

/// One attempt.
pub(crate) async fn log_in(login: &Login<'_>) -> Result<Session, LoginError> {
    let stream = dial(login.host, login.port).await?;
    match login.tls {
        TlsUse::Verified => log_in_over(start_tls(stream, login.host, login.authorities).await?, login).await,
        TlsUse::NotOffered | TlsUse::Off => log_in_over(stream, login).await,
    }
}

fn database<'a>(login: &Login<'a>) -> &'a str {
    login.database.unwrap_or("postgres")
}

/// The same, over a connection that is encrypted where it has to be.
pub(crate) async fn log_in_over<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    login: &Login<'_>,
) -> Result<Session, LoginError> {
    let (stream, answer) = authenticate(stream, login, database(login)).await?;
    let wire = Wire::offer_logged_in(stream, &format!(".s.PGSQL.{}", login.port), answer)?;
    let options = PgConnectOptions::new_without_pgpass()
        .socket(wire.folder())
        .port(login.port)
        .username(login.user)
        .database(database(login))
        .application_name(APPLICATION)
        .extra_float_digits(None)
        .statement_cache_capacity(0)
        // Statements here carry verifiers.
        .disable_statement_logging()
        // What it gets is encrypted already where it has to be.
        .ssl_mode(PgSslMode::Disable);
    match options.connect().await {
        Ok(connection) => Ok(Session::new(connection, Origin::of(login))),
        Err(error) => Err(failure(&error, login)),
    }
}

/// What fails between the authentication and the first statement.
fn failure(error: &sqlx::Error, login: &Login<'_>) -> LoginError {
    match error {
        sqlx::Error::Database(error) => {
            let error: &PgDatabaseError = error.downcast_ref();
            let refused = Refusal {
                code: error.code().into(),
                message: error.message().into(),
                detail: error.detail().map(Into::into),
                routine: error.routine().map(Into::into),
            };
            refusal(&refused, login)
        }
        sqlx::Error::Io(error) => LoginError::from_io(error),
        other => LoginError::from_any(other),
    }
}

/// Tells refusals apart by SQLSTATE, and where one code stands for several, by the server routine that sent it.
pub(crate) fn refusal(refused: &Refusal, login: &Login<'_>) -> LoginError {
    let words = [Some(refused.message.as_str()), refused.detail.as_deref()];
    let said = mask(&words.into_iter().flatten().collect::<Vec<_>>().join(": ")).into_owned();
    let user = identifier(login.user);
    let database = database(login);
    match refused.code.as_str() {
        "28P01" => LoginError::Refused { said },
        "28000" if refused.routine.as_deref() == Some("InitializeSessionUserId") => {
            LoginError::NotPermitted {
                said,
                remedy: format!("As an administrator of the database: ALTER ROLE {user} LOGIN."),
            }
        }
        "28000" => LoginError::ClientRejected {
            said,
            remedy: format!(
                "{}Add a line to the server's pg_hba.conf that lets user {} into database {database} from the function's \
                 address, with method scram-sha-256 (hostssl for TLS). On RDS, a role with rds_iam takes no password.",
                if login.tls == TlsUse::Verified {
                    ""
                } else {
                    "This connection is not encrypted: let it be, by removing \"ssl\": false from the secret (or \
                     TLS_MODE=prefer from the function). Otherwise: "
                },
                login.user
            ),
        },
        "3D000" => LoginError::NoSuchDatabase { said },
        "42501" => LoginError::DatabaseDenied {
            said,
            remedy: format!(
                "As an administrator of the database: GRANT CONNECT ON DATABASE {} TO {user}.",
                identifier(database)
            ),
        },
        "53300" => LoginError::TooManyConnections { said },
        "57P01" | "57P02" | "57P03" => LoginError::NotReady { said },
        code => LoginError::Other { code: format!("SQLSTATE {code}"), said },
    }
}
