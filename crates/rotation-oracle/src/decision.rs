//! The errors of statements that need a decision of the operator.

/// The remedy if the session is not in the container of a user.
pub(crate) const OTHER_CONTAINER: &str = "Set \"dbname\" to the service of the pluggable database \
    (for a common user, to the service of the root).";

/// The reason and the remedy if a user is read-only. [CREATE USER][1] introduced that in 23ai.
///
/// [1]: https://docs.oracle.com/en/database/oracle/oracle-database/23/sqlrf/CREATE-USER.html
pub(crate) const READ_ONLY: (&str, &str) = (
    "the user of the session is read-only",
    "Make the user writable (ALTER USER … READ WRITE). If it must stay read-only, let a master \
     user set its password: rotate with alternating users, or with the strategy \
     single-user-by-master.",
);

/// Returns the reason of an error, as it reads after "because", and the remedy.
pub(crate) fn decision(number: usize) -> Option<(&'static str, &'static str)> {
    Some(match number {
        959 => (
            "a tablespace of the base user does not exist",
            "Give the base user a tablespace that exists (ALTER USER … DEFAULT TABLESPACE …, or \
             TEMPORARY TABLESPACE).",
        ),
        // A password has at most 30 bytes, so it cannot be the cause.
        972 => (
            "a name is too long",
            "If the parameter COMPATIBLE of the database is lower than 12.2, names have at most 30 \
             bytes, and the name of the alternate user is 6 bytes longer than that of the base \
             user. Use a base user with a shorter name, raise COMPATIBLE, or rotate as a single \
             user.",
        ),
        990 => (
            "GRANT and REVOKE do not support this privilege",
            "A package grants and revokes it (ADMINISTER RESOURCE MANAGER: \
             DBMS_RESOURCE_MANAGER_PRIVS.GRANT_SYSTEM_PRIVILEGE and REVOKE_SYSTEM_PRIVILEGE). Use \
             the package, so that both users have the privilege or neither.",
        ),
        1927 => (
            "another user than the master user granted it",
            "Run the statement as the user that granted the privilege (column GRANTOR of \
             dba_tab_privs), or as the object's owner.",
        ),
        1981 => (
            "foreign keys depend on the privilege",
            "Run the statement with CASCADE CONSTRAINTS, which drops these foreign keys. Or grant \
             the privilege to the base user as well.",
        ),
        2344 => (
            "tables depend on the type",
            "Run the statement with FORCE, which makes the data in these tables inaccessible. Or \
             grant the privilege to the base user as well.",
        ),
        2380 => (
            "the profile of the base user does not exist",
            "Give the base user a profile that exists (ALTER USER … PROFILE …).",
        ),
        28194 => READ_ONLY,
        // A local user in the root, or a common user in a pluggable database.
        65049 | 65050 | 65066 | 65094 | 65096 => {
            ("this is not the container of the user", OTHER_CONTAINER)
        }
        _ => return None,
    })
}
