//! Logging in.

use rotation_database::{APPLICATION, Login, LoginError, TlsUse, Wire, dial, mask};
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgDatabaseError, PgSslMode};

use crate::quote::identifier;
use crate::session::{Origin, Session};
use crate::watch::LoginWatch;

/// One attempt.
pub(crate) async fn log_in(login: &Login<'_>) -> Result<Session, LoginError> {
    let options = PgConnectOptions::new_without_pgpass()
        .username(login.user)
        .password(login.password.expose())
        .database(login.database.unwrap_or("postgres"))
        .application_name(APPLICATION)
        // Poolers refuse start-up parameters that they do not know.
        .extra_float_digits(None)
        .statement_cache_capacity(0)
        // Statements here carry verifiers.
        .disable_statement_logging();
    let options = match login.tls {
        TlsUse::Verified => options
            .ssl_mode(PgSslMode::VerifyFull)
            .ssl_root_cert_from_pem(login.authorities.pem().as_bytes().to_vec()),
        TlsUse::Off | TlsUse::NotOffered => options.ssl_mode(PgSslMode::Disable),
    };
    let watch = (login.tls == TlsUse::NotOffered).then(LoginWatch::default);
    let stream = dial(login.host, login.port).await?;
    let wire = Wire::offer(stream, &format!(".s.PGSQL.{}", login.port), watch)?;
    // The host stays: it is what the server's certificate is checked against.
    let options = options.host(login.host).port(login.port).socket(wire.folder());
    match options.connect().await {
        Ok(connection) => Ok(Session::new(connection, Origin::of(login))),
        Err(error) => match wire.refused() {
            Some(asked) => Err(LoginError::ReadablePassword {
                asked,
                remedy: "Turn TLS on at the server, or let it ask for SCRAM-SHA-256. If the network is trusted: \
                    \"ssl\": false in the secret.",
            }),
            None => Err(failure(&error, login)),
        },
    }
}

fn failure(error: &sqlx::Error, login: &Login<'_>) -> LoginError {
    let said = |text: &str| mask(text).into_owned();
    match error {
        sqlx::Error::Database(error) => refusal(error.downcast_ref(), login),
        // The one text that sqlx has for the answer `N` to an SSLRequest.
        sqlx::Error::Tls(error) if error.to_string().contains("does not support TLS") => {
            LoginError::TlsNotOffered { keeps_password: true }
        }
        sqlx::Error::Tls(error) => LoginError::from_any(&**error),
        sqlx::Error::Io(error) => LoginError::from_io(error),
        sqlx::Error::Protocol(text) if text.contains("unsupported") => {
            LoginError::Unsupported { said: said(text) }
        }
        sqlx::Error::Configuration(error) => LoginError::Unsupported { said: said(&error.to_string()) },
        other => LoginError::from_any(other),
    }
}

/// Tells refusals apart by [SQLSTATE](https://www.postgresql.org/docs/current/errcodes-appendix.html), and where one
/// code stands for several, by the server routine that sent it: unlike the words, its name is never translated.
fn refusal(error: &PgDatabaseError, login: &Login<'_>) -> LoginError {
    let said =
        mask(&[Some(error.message()), error.detail()].into_iter().flatten().collect::<Vec<_>>().join(": "))
            .into_owned();
    let user = identifier(login.user);
    let database = login.database.unwrap_or("postgres");
    match error.code() {
        "28P01" => LoginError::Refused { said },
        "28000" if error.routine() == Some("InitializeSessionUserId") => LoginError::NotPermitted {
            said,
            remedy: format!("As an administrator of the database: ALTER ROLE {user} LOGIN."),
        },
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
