//! Logging in.

use rotation_database::{APPLICATION, Encrypted, Login, LoginError, TlsUse, Wire, dial, mask};
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use crate::authenticate::authenticate;
use crate::messages::{Refusal, framed};
use crate::quote::identifier;
use crate::session::{Origin, Session};
use crate::start_tls::start_tls;

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A user that the server has let in.
pub(crate) struct LoggedIn {
    stream: Box<dyn Stream>,
    for_driver: Vec<u8>,
}

impl LoggedIn {
    /// One attempt, over a connection that is there already if there is one.
    pub(crate) async fn over(encrypted: Option<Encrypted>, login: &Login<'_>) -> Result<Self, LoginError> {
        let mut stream: Box<dyn Stream> = match (encrypted, login.tls) {
            (Some(encrypted), _) => Box::new(encrypted),
            (None, TlsUse::Verified) => {
                let stream = dial(login.host, login.port).await?;
                Box::new(start_tls(stream, login.host, login.authorities).await?)
            }
            (None, TlsUse::NotOffered | TlsUse::Off) => Box::new(dial(login.host, login.port).await?),
        };
        let for_driver = authenticate(&mut stream, login, database(login)).await?;
        Ok(Self { stream, for_driver })
    }

    /// Hands the session to the driver.
    pub(crate) async fn session(self, login: &Login<'_>) -> Result<Session, LoginError> {
        let name = format!(".s.PGSQL.{}", login.port);
        let wire = Wire::offer_logged_in(self.stream, &name, self.for_driver)?;
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
            Err(sqlx::Error::Io(error)) => Err(LoginError::from_io(&error)),
            Err(other) => Err(LoginError::from_any(&other)),
        }
    }

    /// [Ends](https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-TERMINATION) the session.
    pub(crate) async fn leave(mut self) {
        // The server has said what was asked; a connection that breaks now breaks nothing.
        if self.stream.write_all(&framed(b'X', &[])).await.is_ok() {
            let _ = self.stream.shutdown().await;
        }
    }
}

fn database<'a>(login: &Login<'a>) -> &'a str {
    login.database.unwrap_or("postgres")
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

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn who_leaves_says_so_and_hangs_up() {
        let (stream, mut far) = tokio::io::duplex(64);
        LoggedIn { stream: Box::new(stream), for_driver: Vec::new() }.leave().await;
        let mut said = Vec::new();
        far.read_to_end(&mut said).await.unwrap();
        assert_eq!(said, b"X\0\0\0\x04");
    }
}
