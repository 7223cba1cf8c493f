//! Reads the accounts of a user, as the server shows them.

use rotation_database::{EngineError, PasswordRequest};
use sqlx::mysql::MySqlRow;

use super::Users;
use crate::account::Account;
use crate::create_user::{self, CreateUser};
use crate::session::text;
use crate::tokens::unreadable;

/// The plugins with which this function can log in, and whose passwords a master user can set.
const SUPPORTED: [&str; 3] = ["caching_sha2_password", "sha256_password", "mysql_native_password"];
/// The plugins for MariaDB. MariaDB accepts the passwords of other plugins only in cleartext, and
/// writes them to its log.
const SUPPORTED_BY_MARIADB: [&str; 2] = ["ed25519", "mysql_native_password"];

/// An account of the base user.
#[derive(Debug, Clone)]
pub(crate) struct Base {
    pub(crate) account: Account,
    pub(crate) shown: CreateUser,
    pub(crate) plugin: String,
}

impl<R: PasswordRequest> Users<'_, R> {
    /// Reads the accounts of the base user.
    pub(crate) async fn read_bases(&mut self) -> Result<Vec<Base>, EngineError> {
        let mut bases = Vec::new();
        for account in self.accounts(self.request.base()).await? {
            let shown = self.show(&account).await?;
            shown.check_single_password(&account)?;
            let plugin = supported(&account, &shown, self.session.is_mariadb())?;
            bases.push(Base { account, shown, plugin });
        }
        if bases.is_empty() {
            return Err(EngineError::NoSuchUser { user: self.request.base().to_owned() });
        }
        Ok(bases)
    }

    /// Returns all accounts of a user.
    pub(crate) async fn accounts(&mut self, user: &str) -> Result<Vec<Account>, EngineError> {
        let roles = if self.session.is_mariadb() { " AND is_role = 'N'" } else { "" };
        let query = format!(
            "SELECT CONVERT(Host USING utf8mb4) FROM mysql.user WHERE User = {}{roles} ORDER BY \
             Host",
            self.literals.quote(user)
        );
        let hosts = self.read_texts(&format!("find the accounts of {user}"), &query).await?;
        Ok(hosts.into_iter().map(|host| Account { user: user.to_owned(), host }).collect())
    }

    pub(crate) async fn show(&mut self, account: &Account) -> Result<CreateUser, EngineError> {
        let query = format!("SHOW CREATE USER {}", account.quoted(self.literals));
        let shown = self.read_texts(&format!("read the attributes of {account}"), &query).await?;
        create_user::parse(
            shown.first().ok_or_else(|| unreadable("the server does not show the user"))?,
        )
    }

    /// Returns the first column of a query for which the master user must be able to read the
    /// server's users.
    pub(super) async fn read_texts(
        &mut self,
        action: &str,
        query: &str,
    ) -> Result<Vec<String>, EngineError> {
        texts(&self.session.rows_or(action, query, Some(&self.read_users_remedy())).await?)
    }

    /// Returns the remedy if the master user cannot read the server's users.
    pub(super) fn read_users_remedy(&self) -> String {
        self.administrator("GRANT SELECT ON mysql.* TO", "")
    }
}

/// Returns the first column of all rows. A value that is not text is an error, because the sync
/// would revoke the privilege of a row that was left out.
pub(super) fn texts(rows: &[MySqlRow]) -> Result<Vec<String>, EngineError> {
    let texts = rows.iter().map(|row| text(row, 0)).collect::<Option<_>>();
    texts.ok_or_else(|| unreadable("it is not text"))
}

/// Returns the plugin of an account, if this function can log in with it.
fn supported(
    account: &Account,
    shown: &CreateUser,
    is_mariadb: bool,
) -> Result<String, EngineError> {
    let supported = if is_mariadb { &SUPPORTED_BY_MARIADB[..] } else { &SUPPORTED };
    match shown.plugins.iter().find(|plugin| supported.contains(&plugin.as_str())) {
        Some(plugin) => Ok(plugin.clone()),
        None => Err(EngineError::NeedsDecision {
            what: format!(
                "{account} logs in with {}, which this function does not support",
                if shown.plugins.is_empty() {
                    "a plugin that the server does not show".to_owned()
                } else {
                    shown.plugins.join(", ")
                }
            ),
            remedy: format!("Change the account to one of {}.", supported.join(", ")),
        }),
    }
}
