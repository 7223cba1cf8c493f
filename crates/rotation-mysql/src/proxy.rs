//! Finds a proxy between the function and the server.

use rotation_database::EngineError;

use crate::session::{Session, text};

/// A proxy with its own copies of passwords.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proxy {
    ProxySql,
    Other,
}

/// ProxySQL answers this statement itself, and only in exactly this spelling
/// (`SELECT_VERSION_COMMENT` in `lib/MySQL_Session.cpp`).
const VERSION_COMMENT: &str = "select @@version_comment limit 1";
const OF_PROXYSQL: &str = "(ProxySQL)";

/// Finds a proxy that the session goes through. MaxScale does not count, because it reads the
/// server's accounts.
///
/// A proxy numbers its clients itself, so the greeting has another connection ID than the server
/// reports. Both may count from 1, so they can also be equal by chance. ProxySQL is therefore also
/// asked for its name.
pub(crate) async fn find(session: &mut Session) -> Result<Option<Proxy>, EngineError> {
    let differs = session.has_other_connection().await?;
    if session.greets_as_maxscale() {
        return Ok(None);
    }
    let rows = session.rows("read the name of the server", VERSION_COMMENT).await;
    let name = rows.ok().and_then(|rows| rows.first().and_then(|row| text(row, 0)));
    Ok(match name {
        Some(name) if name == OF_PROXYSQL => Some(Proxy::ProxySql),
        _ => differs.then_some(Proxy::Other),
    })
}

impl Proxy {
    /// Returns the error for a proxy with its own copy of the password of `user`.
    pub(crate) fn has_own_copy(self, user: &str) -> EngineError {
        let (proxy, remedy) = match self {
            Self::ProxySql => (
                "ProxySQL, which has its own copy",
                "Set the new password in ProxySQL (table mysql_users) after each rotation.",
            ),
            Self::Other => (
                "a proxy. Proxies such as ProxySQL and Amazon RDS Proxy have their own copy",
                "Set the new password in the proxy after each rotation. For MaxScale, which reads \
                 the accounts of the server: do not set its version_string, by which it is \
                 recognized. For Amazon RDS Proxy: use the endpoint of the instance or the \
                 cluster, and attach this secret to the proxy.",
            ),
        };
        EngineError::NeedsDecision {
            what: format!(
                "the connection goes through {proxy} of the password of {user}: after a rotation, \
                 no client could log in through it. Nothing was changed"
            ),
            remedy: format!("Use the endpoint of the server itself in \"host\". {remedy}"),
        }
    }
}
