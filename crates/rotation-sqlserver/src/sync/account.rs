//! Which accounts the two users are.

use rotation_database::{EngineError, administrator};

use super::Users;
use crate::principal::{BY_DATABASE, Kind, Principal};
use crate::quote::identifier;
use crate::session::{column, flag, text};

impl Users<'_> {
    /// The session's database, when the base user is a user of that database with a password of its
    /// own. The server looks there first when somebody logs in.
    pub(crate) async fn contained_in(&mut self) -> Result<Option<String>, EngineError> {
        const QUERY: &str = "SELECT DB_NAME(), CAST(COALESCE((SELECT p.authentication_type \
            FROM sys.database_principals p WHERE p.name = @P1), 0) AS int), CAST(d.containment AS int) \
            FROM sys.databases d JOIN sys.configurations c ON c.name = N'contained database authentication' \
            AND CAST(c.value_in_use AS int) = 1 WHERE d.name = DB_NAME()";
        let rows =
            self.session.rows("ask what kind of user it is", QUERY, &[self.request.base]).await?;
        // The server takes no passwords of contained users.
        let Some(row) = rows.first() else { return Ok(None) };
        let database = text(row, 0)?;
        if column::<i32>(row, 1)? == BY_DATABASE {
            self.is_contained = true;
            return Ok(Some(database));
        }
        if flag(row, 2)? {
            // It may be there, and not to be seen.
            self.must_see_in_database().await?;
        }
        Ok(None)
    }

    pub(crate) async fn must_see_in_database(&mut self) -> Result<(), EngineError> {
        self.must_see(
            "HAS_PERMS_BY_NAME(QUOTENAME(DB_NAME()), 'DATABASE', 'VIEW DEFINITION')",
            &format!(
                "in the database of the secret, GRANT VIEW DEFINITION TO {}",
                identifier(self.request.master)
            ),
        )
        .await
    }

    /// Checks that the accounts that the master finds by name are the ones that passwords have
    /// opened.
    ///
    /// The owner of a contained database can create a user with the name of a login, prove its
    /// password, and drop it before the master looks.
    pub(crate) fn must_be_proven(
        &self,
        kind: Kind,
        base: &[u8],
        alternate: Option<&[u8]>,
    ) -> Result<(), EngineError> {
        for (user, sid) in [(self.request.base, Some(base)), (self.request.alternate, alternate)] {
            let Some(sid) = sid else { continue };
            if !self.request.may_be_account_of(user, &Principal { kind, sid: sid.to_vec() }.id()) {
                return Err(EngineError::NeedsDecision {
                    what: format!(
                        "{user} has logged in as another account than the {} that the master finds by this name",
                        kind.keyword()
                    ),
                    remedy: "See whether a login of the server and a user of a contained database have the same name, \
                        and rename one of them. If the account was replaced during the rotation, let the rotation be \
                        repeated."
                        .into(),
                });
            }
        }
        Ok(())
    }

    /// Whoever does not see all would take away what it does not see.
    pub(crate) async fn must_see(
        &mut self,
        question: &str,
        grant: &str,
    ) -> Result<(), EngineError> {
        if self.session.is_so("ask what the master may see", question).await? {
            return Ok(());
        }
        let action = format!("see all that {} may do", self.request.base);
        Err(EngineError::lacks(
            action,
            self.request.master,
            "VIEW DEFINITION",
            administrator(grant),
        ))
    }
}
