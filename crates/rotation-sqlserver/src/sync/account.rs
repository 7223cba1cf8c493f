//! The identification of the accounts of the two users.

use rotation_database::{EngineError, administrator};

use super::{Home, Users};
use crate::master_permissions::{self, On, READ_ALL, READ_DATABASE};
use crate::principal::{AUTHENTICATED_BY_DATABASE, Kind, Principal};
use crate::quote::identifier;
use crate::session::{column, flag, text};

impl Users<'_> {
    /// Returns where the accounts of the users are: in the session's database if the base user is a
    /// contained user of it, with its own password. At a login, the server looks for such a user
    /// before it looks for a login.
    ///
    /// The server is asked once: statements of a sync change the session's database, in which
    /// another user can have the same name.
    pub(crate) async fn home(&mut self) -> Result<Home, EngineError> {
        if let Some(home) = &self.home {
            return Ok(home.clone());
        }
        let home = self.read_home().await?;
        self.home = Some(home.clone());
        Ok(home)
    }

    /// Returns `true` if they are users of a contained database, as far as the server was asked.
    pub(crate) fn are_contained(&self) -> bool {
        matches!(self.home, Some(Home::Database(_)))
    }

    async fn read_home(&mut self) -> Result<Home, EngineError> {
        const QUERY: &str = "SELECT DB_NAME(), CAST(COALESCE((SELECT p.authentication_type FROM \
                             sys.database_principals p WHERE p.name = @P1), 0) AS int), \
                             CAST(d.containment AS int) FROM sys.databases d JOIN \
                             sys.configurations c ON c.name = N'contained database authentication' \
                             AND CAST(c.value_in_use AS int) = 1 WHERE d.name = DB_NAME()";
        let rows = self
            .session
            .rows("read the kind of the base user", QUERY, &[self.request.base])
            .await?;
        // The server does not allow contained users.
        let Some(row) = rows.first() else { return Ok(Home::Server) };
        if column::<i32>(row, 1)? == AUTHENTICATED_BY_DATABASE {
            return Ok(Home::Database(text(row, 0)?));
        }
        if flag(row, 2)? {
            // The base user may be a contained user that is not visible.
            self.check_visible_in_database().await?;
        }
        Ok(Home::Server)
    }

    /// Checks that the master user can read all definitions of the server and of its databases.
    pub(crate) async fn check_reads_all(&mut self) -> Result<(), EngineError> {
        let lacking = master_permissions::lacking(self.session, On::Server, READ_ALL).await?;
        if lacking.is_empty() {
            return Ok(());
        }
        let action = self.reading_all();
        Err(master_permissions::lacks(&action, self.request.master, &lacking))
    }

    /// Checks that the master user can read all definitions of the session's database, because the
    /// sync would revoke what it does not see.
    pub(crate) async fn check_visible_in_database(&mut self) -> Result<(), EngineError> {
        let lacking =
            master_permissions::lacking(self.session, On::Database, &[READ_DATABASE]).await?;
        if lacking.is_empty() {
            return Ok(());
        }
        Err(EngineError::lacks(
            self.reading_all(),
            self.request.master,
            READ_DATABASE,
            administrator(&format!(
                "in the database of the secret, GRANT VIEW DEFINITION TO {}",
                identifier(self.request.master)
            )),
        ))
    }

    fn reading_all(&self) -> String {
        format!("read all privileges of {}", self.request.base)
    }

    /// Checks that the accounts that the master user finds by name are the ones that have logged in
    /// with their passwords.
    ///
    /// Otherwise, the owner of a contained database could create a user with the name of a login,
    /// prove its password, and drop it before the master user looks the name up.
    pub(crate) fn check_proven(
        &self,
        kind: Kind,
        base: &[u8],
        alternate: Option<&[u8]>,
    ) -> Result<(), EngineError> {
        for (user, sid) in [(self.request.base, Some(base)), (self.request.alternate, alternate)] {
            let Some(sid) = sid else { continue };
            if !self
                .request
                .is_possible_account_of(user, &Principal { kind, sid: sid.to_vec() }.id())
            {
                return Err(EngineError::NeedsDecision {
                    what: format!(
                        "{user} has logged in as another account than the {} that the master user \
                         finds by this name",
                        kind.keyword()
                    ),
                    remedy: "If a login of the server and a user of a contained database have the \
                             same name, rename one of them. If the account was replaced during the \
                             rotation, rotate again."
                        .into(),
                });
            }
        }
        Ok(())
    }
}
