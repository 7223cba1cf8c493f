//! Maps the server's errors during a login to [`LoginError`].

use rotation_database::{Login, LoginError, TlsUse};

use crate::messages::Refusal;
use crate::quote::identifier;

/// The remedy for a login through Amazon RDS Proxy.
const RDS_PROXY: &str = "Set \"host\" to the endpoint of the instance or the cluster, not of the \
    proxy, in this secret and in the master secret: the proxy logs in with its own copies of \
    passwords. It takes them from the secrets that are attached to it, so attach this secret to \
    the proxy. With alternating users, attach a secret for each of the two users.";

/// The message of pgcat for a user or a database that its configuration does not have.
const PGCAT_UNKNOWN: &str = "No pool configured for database";

/// The remedy for a login through pgcat, which has its own list of users.
const PGCAT: &str = "Set \"host\" to the server's own endpoint, in this secret and in the master \
    secret: pgcat accepts only the users in its configuration, mostly with its own copies of their \
    passwords.";

/// Maps an error of the server during login by its SQLSTATE. If one code has several causes, the
/// server routine that sent the error decides.
pub(crate) fn refusal(refused: &Refusal, login: &Login<'_>) -> LoginError {
    let message = refused.message();
    let user = identifier(login.user);
    let database = named(login.database);
    match refused.code.as_str() {
        "28P01" => LoginError::Refused { message },
        // pgbouncer reports this if its lookup (auth_query) finds no user. It uses the same code
        // for other errors.
        "08P01" if refused.message == "no such user" => LoginError::Refused { message },
        "28000" if refused.routine.as_deref() == Some("InitializeSessionUserId") => {
            LoginError::NotPermitted {
                message,
                remedy: format!("As an administrator of the database: ALTER ROLE {user} LOGIN."),
            }
        }
        // Amazon RDS Proxy, which logs in with passwords from the secrets attached to it.
        _ if refused.message.contains("RDS proxy") || refused.message.contains("RDS Proxy") => {
            LoginError::NotPermitted { message, remedy: RDS_PROXY.into() }
        }
        // pgcat uses this code for all errors except a wrong password.
        "58000" if refused.message.starts_with(PGCAT_UNKNOWN) => {
            LoginError::NotPermitted { message, remedy: PGCAT.into() }
        }
        // Errors of PostgreSQL itself. A change of pg_hba.conf does not help against others.
        "28000" if refused.message.contains("pg_hba.conf") || refused.routine.is_some() => {
            LoginError::ClientRejected {
                message,
                remedy: format!(
                    "{}Add a line to the server's pg_hba.conf that allows user {} to connect to \
                     database {database} from the function's address, with method scram-sha-256 \
                     (hostssl for TLS). On RDS, a role with rds_iam cannot log in with a password.",
                    if login.tls == TlsUse::Verified {
                        ""
                    } else {
                        "This connection is not encrypted. To encrypt it, remove \"ssl\": false \
                         from the secret (or TLS_MODE=prefer from the function). Otherwise: "
                    },
                    login.user
                ),
            }
        }
        "28000" => LoginError::ClientRejected {
            message,
            remedy:
                "The message shows what rejects the login: it may be a proxy or a module in front \
                of the server's own authentication. Set \"host\" to the server's own endpoint, or \
                configure the proxy or module to accept the user."
                    .into(),
        },
        "3D000" => LoginError::NoSuchDatabase { message },
        "42501" => LoginError::DatabaseDenied {
            message,
            remedy: format!(
                "As an administrator of the database: GRANT CONNECT ON DATABASE {} TO {user}.",
                identifier(database)
            ),
        },
        "53300" => LoginError::TooManyConnections { message },
        "57P01" | "57P02" | "57P03" => LoginError::NotReady { message },
        code => LoginError::Other { code: format!("SQLSTATE {code}"), message },
    }
}

/// Returns the database of a login, which is `postgres` if the secret does not name one.
pub(crate) fn named(database: Option<&str>) -> &str {
    database.unwrap_or("postgres")
}
