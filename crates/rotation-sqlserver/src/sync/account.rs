//! The identification of the accounts of the two users.

use rotation_database::{EngineError, PasswordRequest, administrator, edit_of_secret};

use super::{Home, Users};
use crate::edition::MASTER;
use crate::master_permissions::{self, On, READ_ALL, READ_DATABASE};
use crate::principal::{AUTHENTICATED_BY_DATABASE, Kind, Principal};
use crate::quote::identifier;
use crate::session::{flag, nullable, text, unexpected};

impl<R: PasswordRequest> Users<'_, R> {
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
        let is_azure = self.session.is_azure_database().await?;
        // Azure SQL Database always allows such users, and is not documented to have
        // sys.configurations.
        let allows = match is_azure {
            true => "1",
            false => {
                "CAST(COALESCE((SELECT CAST(c.value_in_use AS int) FROM sys.configurations c WHERE \
                 c.name = N'contained database authentication'), 0) AS int)"
            }
        };
        let query = format!(
            "SELECT DB_NAME(), CAST((SELECT p.authentication_type FROM sys.database_principals p \
             WHERE p.name = @P1) AS int), CAST(d.containment AS int), {allows} FROM \
             sys.databases d WHERE d.name = DB_NAME()"
        );
        let action = "read the kind of the base user";
        let rows = self.session.rows(action, &query, &[self.request.base()]).await?;
        let row = rows.first().ok_or_else(|| unexpected("the session's database is missing"))?;
        let database = text(row, 0)?;
        if !flag(row, 3)? {
            // The server does not allow contained users.
            return Ok(Home::Server);
        }
        let authentication = nullable::<i32>(row, 1)?;
        if authentication == Some(AUTHENTICATED_BY_DATABASE) {
            return Ok(Home::Database(database));
        }
        if is_azure || flag(row, 2)? {
            // The base user may be a contained user that is not visible.
            self.check_visible_in_database().await?;
        }
        match (is_azure, authentication) {
            (true, None) => Err(EngineError::NoSuchUser { user: self.request.base().to_owned() }),
            (true, Some(_)) => Err(self.login_on_azure(&database)),
            (false, _) => Ok(Home::Server),
        }
    }

    fn login_on_azure(&self, database: &str) -> EngineError {
        EngineError::NeedsDecision {
            what: format!(
                "{} is not a user of database {database} with its own password, and logins of \
                 Azure SQL Database are not supported with a master user",
                self.request.base()
            ),
            remedy: edit_of_secret(&format!(
                "Create a user in {database} (CREATE USER … WITH PASSWORD = …), grant it what the \
                 applications need, and store it in the secret with this database as \"dbname\". \
                 Or rotate the login as a single user, with \"dbname\": \"{MASTER}\"."
            )),
        }
    }

    /// Checks that the master user can read all definitions of the server and of its databases.
    pub(crate) async fn check_reads_all(&mut self) -> Result<(), EngineError> {
        let lacking = master_permissions::lacking(self.session, On::Server, READ_ALL).await?;
        if lacking.is_empty() {
            return Ok(());
        }
        let action = self.reading_all();
        Err(master_permissions::lacks(&action, self.request.master(), &lacking))
    }

    /// Checks that the master user can read all definitions of the session's database, because the
    /// sync would revoke what it does not see.
    pub(crate) async fn check_visible_in_database(&mut self) -> Result<(), EngineError> {
        let lacking =
            master_permissions::lacking(self.session, On::Database, READ_DATABASE).await?;
        if lacking.is_empty() {
            return Ok(());
        }
        let names = lacking.join(", ");
        Err(EngineError::lacks(
            self.reading_all(),
            self.request.master(),
            &names,
            administrator(&format!(
                "in the database of the secret, GRANT {names} TO {}",
                identifier(self.request.master())
            )),
        ))
    }

    fn reading_all(&self) -> String {
        format!("read all privileges of {}", self.request.base())
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
        let alternate = self.request.alternate().zip(alternate);
        for (user, sid) in [(self.request.base(), base)].into_iter().chain(alternate) {
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
