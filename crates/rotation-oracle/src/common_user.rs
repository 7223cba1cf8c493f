//! Common users of a multitenant database: users of the root that also exist in every pluggable
//! database, with the same password.
//!
//! `ALTER USER` changes their password in the root only, for all containers. `GRANT` gives a
//! privilege in the current container only, unless it has `CONTAINER = ALL`, and the privileges in
//! the pluggable databases are not visible to a session in the root.
//! (See [`ALTER`], [`GRANT`] and the [view of users][users].)
//!
//! [`ALTER`]: https://docs.oracle.com/en/database/oracle/oracle-database/23/sqlrf/ALTER-USER.html
//! [`GRANT`]: https://docs.oracle.com/en/database/oracle/oracle-database/23/sqlrf/GRANT.html
//! [users]: https://docs.oracle.com/en/database/oracle/oracle-database/23/refrn/DBA_USERS.html

use rotation_database::EngineError;

use crate::decision::OTHER_CONTAINER;
use crate::name::Name;
use crate::session::{Session, Texts};

const ACTION: &str = "read the container of the user";

/// Returns the error for a common user that alternates with another one.
pub(crate) fn cannot_alternate(user: &Name) -> EngineError {
    EngineError::NeedsDecision {
        what: format!(
            "{user} is a common user, and its privileges in the pluggable databases cannot be \
             copied to another user"
        ),
        remedy: "Rotate it as a single user, with the service of the root in \"dbname\". Or use \
                 a local user of the pluggable database."
            .into(),
    }
}

/// Checks that the password of the session's own user can be changed in this container.
pub(crate) async fn check_own_password(session: &mut Session) -> Result<(), EngineError> {
    const QUERY: &str = "SELECT username, common, inherited FROM SYS.USER_USERS";
    let rows = session.rows(ACTION, QUERY, &[]).await?;
    check_container(rows.first())
}

/// Checks that the password of another user can be set in this container. If the session may not
/// read the dictionary, it checks nothing.
pub(crate) async fn check_password_of(
    session: &mut Session,
    user: &Name,
) -> Result<(), EngineError> {
    const QUERY: &str = "SELECT username, common, inherited FROM SYS.DBA_USERS WHERE username = :1";
    session.begin().await?;
    match session.rows(ACTION, QUERY, &[user.as_str()]).await {
        Err(EngineError::PrivilegeMissing { .. }) => Ok(()),
        rows => check_container(rows?.first()),
    }
}

fn check_container(row: Option<&Texts>) -> Result<(), EngineError> {
    match row.map(Vec::as_slice) {
        Some([Some(user), common, inherited]) if is_yes(common) && is_yes(inherited) => {
            Err(EngineError::NeedsDecision {
                what: format!(
                    "\"{user}\" is a common user, and the session is not in the container that \
                     can change its password"
                ),
                remedy: OTHER_CONTAINER.into(),
            })
        }
        _ => Ok(()),
    }
}

/// Returns `true` for the value `YES`. The columns can be null.
pub(crate) fn is_yes(value: &Option<String>) -> bool {
    value.as_deref() == Some("YES")
}
