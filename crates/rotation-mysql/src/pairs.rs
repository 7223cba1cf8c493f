//! The accounts of both users, as they are: what belongs together, and what only looks like it.

use rotation_database::EngineError;
use sqlx::mysql::MySqlRow;

use crate::account::Account;
use crate::alternate::Step;
use crate::create_user::{self, CreateUser};
use crate::grants::{self, Change, Grants};
use crate::quote::{Literals, identifier};
use crate::session::text;
use crate::tokens::{Token, tokens, unreadable};

/// Plugins that this function can log in with, and whose passwords a master can set.
const SUPPORTED: [&str; 3] = ["caching_sha2_password", "sha256_password", "mysql_native_password"];
/// MariaDB takes the passwords of other plugins only in cleartext, and writes them into its log.
const SUPPORTED_BY_MARIADB: [&str; 2] = ["ed25519", "mysql_native_password"];

/// An account of the base user and what is known of it.
pub(crate) struct Base {
    pub(crate) account: Account,
    pub(crate) shown: CreateUser,
    pub(crate) plugin: String,
}

/// An account of the base user, and the alternate one that stands or is to stand beside it.
pub(crate) struct Pair<'a> {
    pub(crate) base: &'a Base,
    /// What the base account may do.
    pub(crate) base_has: Grants,
    /// What both accounts are to be allowed: what the base account may do, and what the server gave
    /// to the alternate one alone because it has created a routine.
    pub(crate) wanted: Grants,
    pub(crate) account: Account,
    pub(crate) has: Option<AccountState>,
}

/// What an alternate account is now.
pub(crate) struct AccountState {
    pub(crate) shown: CreateUser,
    pub(crate) granted: Grants,
}

impl Step<'_> {
    /// The accounts of the base user.
    pub(crate) async fn bases(&mut self) -> Result<Vec<Base>, EngineError> {
        let mut bases = Vec::new();
        for account in self.accounts(self.copy.base).await? {
            let shown = self.show(&account).await?;
            shown.must_have_one_password(&account)?;
            let plugin = supported(&account, &shown, self.session.is_mariadb())?;
            bases.push(Base { account, shown, plugin });
        }
        if bases.is_empty() {
            return Err(EngineError::NoSuchUser { user: self.copy.base.to_owned() });
        }
        Ok(bases)
    }

    /// Each account of the base user with its counterpart, where that exists or is to be made.
    pub(crate) async fn pairs<'b>(
        &mut self,
        bases: &'b [Base],
        alternates: &[Account],
    ) -> Result<Vec<Pair<'b>>, EngineError> {
        let mut pairs = Vec::new();
        for base in bases {
            let account = self.alternate_of(&base.account);
            let exists = alternates.contains(&account);
            if exists || self.copy.is_alternates_turn() {
                let base_has = self.show_grants(&base.account).await?;
                let has = if exists { Some(self.has(&account).await?) } else { None };
                let mut wanted = base_has.clone();
                if let Some(has) = &has
                    && has.granted.has_other_routines(&base_has)
                {
                    for routine in self.routines_of(&account).await? {
                        wanted.extend(&has.granted.of_creator(&routine));
                    }
                }
                pairs.push(Pair { base, base_has, wanted, account, has });
            }
        }
        Ok(pairs)
    }

    /// The routines that an account has created, as they stand in a grant. The server gives the
    /// privileges on a routine to its creator alone (`automatic_sp_privileges`).
    async fn routines_of(&mut self, account: &Account) -> Result<Vec<String>, EngineError> {
        let query = format!(
            "SELECT CONVERT(ROUTINE_TYPE USING utf8mb4), CONVERT(ROUTINE_SCHEMA USING utf8mb4), \
             CONVERT(ROUTINE_NAME USING utf8mb4) FROM information_schema.ROUTINES WHERE DEFINER = {}",
            self.literals.quote(&format!("{}@{}", account.user, account.host))
        );
        let rows =
            self.session.rows(&format!("look for the routines of {account}"), &query).await?;
        let names = rows.iter().map(|row| {
            let [kind, schema, name] = [0, 1, 2].map(|column| text(row, column));
            Some(format!("{} {}.{}", kind?, identifier(&schema?), identifier(&name?)))
        });
        names.collect::<Option<_>>().ok_or_else(|| unreadable("it is not text"))
    }

    /// Returns `true` if the object of a grant is certainly gone: a master that could pass the
    /// grant on would see the object.
    pub(crate) async fn is_gone(
        &mut self,
        change: &Change,
        masters: &Grants,
    ) -> Result<bool, EngineError> {
        let Some((object, column)) = &change.on else { return Ok(false) };
        let Some((table, condition)) = catalog_of(object, column, self.literals)? else {
            return Ok(false);
        };
        let query = format!(
            "SELECT CONVERT(COUNT(*), CHAR) FROM information_schema.{table} WHERE {condition}"
        );
        let rows = self.session.rows(&format!("look for {object}"), &query).await?;
        let is_there = rows.first().and_then(|row| text(row, 0)).is_none_or(|count| count != "0");
        Ok(!is_there && masters.may_suffice_for(change)?)
    }

    /// What an account is now.
    pub(crate) async fn has(&mut self, account: &Account) -> Result<AccountState, EngineError> {
        Ok(AccountState {
            shown: self.show(account).await?,
            granted: self.show_grants(account).await?,
        })
    }

    /// Two users whose names happen to look like a pair are not one: nothing of either may be
    /// touched.
    ///
    /// An alternate account that this made is locked or may do exactly what its base account may.
    pub(crate) async fn belong_together(
        &mut self,
        pairs: &[Pair<'_>],
        left_over: &[&Account],
    ) -> Result<(), EngineError> {
        for pair in pairs {
            if let Some(has) = &pair.has
                && !has.shown.locked
                && let Some(change) = has.granted.changes_to_become(&pair.wanted).first()
            {
                let difference =
                    format!("what differs first: {}", change.statement(&pair.account.to_string()));
                return Err(self.perhaps_unrelated(&pair.account, &difference));
            }
        }
        for account in left_over {
            if !self.show(account).await?.locked {
                let difference = format!("{} has no account for that host", self.copy.base);
                return Err(self.perhaps_unrelated(account, &difference));
            }
        }
        Ok(())
    }

    fn perhaps_unrelated(&self, account: &Account, difference: &str) -> EngineError {
        let lock = format!(
            "ALTER USER {} ACCOUNT LOCK; the next attempt brings it in step and unlocks it",
            account.quoted(self.literals)
        );
        self.unrelated(
            format!("{account} may not do just what {} may: {difference}", self.copy.base),
            Some(lock),
        )
    }

    fn unrelated(&self, why: String, consent: Option<String>) -> EngineError {
        let (base, alternate) = (self.copy.base.to_owned(), self.copy.alternate.to_owned());
        EngineError::PerhapsUnrelated { base, alternate, why: Some(why), consent }
    }

    /// All accounts of a user.
    pub(crate) async fn accounts(&mut self, user: &str) -> Result<Vec<Account>, EngineError> {
        let roles = if self.session.is_mariadb() { " AND is_role = 'N'" } else { "" };
        let query = format!(
            "SELECT CONVERT(Host USING utf8mb4) FROM mysql.user WHERE User = {}{roles} ORDER BY Host",
            self.literals.quote(user)
        );
        let remedy = self.administrator("GRANT SELECT ON mysql.* TO", "");
        let rows = self
            .session
            .rows_or(&format!("look for the accounts of {user}"), &query, &remedy)
            .await?;
        let account = |host| Account { user: user.to_owned(), host };
        Ok(texts(&rows)?.into_iter().map(account).collect())
    }

    pub(crate) fn alternate_of(&self, base: &Account) -> Account {
        Account { user: self.copy.alternate.to_owned(), host: base.host.clone() }
    }

    pub(crate) async fn show(&mut self, account: &Account) -> Result<CreateUser, EngineError> {
        let remedy = self.administrator("GRANT SELECT ON mysql.* TO", "");
        let query = format!("SHOW CREATE USER {}", account.quoted(self.literals));
        let rows = self
            .session
            .rows_or(&format!("read the attributes of {account}"), &query, &remedy)
            .await?;
        create_user::parse(
            texts(&rows)?.first().ok_or_else(|| unreadable("nothing is shown of the user"))?,
        )
    }

    pub(crate) async fn show_grants(&mut self, account: &Account) -> Result<Grants, EngineError> {
        let remedy = self.administrator("GRANT SELECT ON mysql.* TO", "");
        let query = format!("SHOW GRANTS FOR {}", account.quoted(self.literals));
        let rows = self
            .session
            .rows_or(&format!("read the privileges of {account}"), &query, &remedy)
            .await?;
        grants::parse(&texts(&rows)?)
    }

    /// What the master has been granted itself.
    pub(crate) async fn own_grants(&mut self) -> Result<Grants, EngineError> {
        let rows = self.session.rows("read the master's own privileges", "SHOW GRANTS").await?;
        grants::parse(&texts(&rows)?)
    }
}

/// The view of `information_schema` that lists an object of a grant, and the condition for it.
/// Databases, which a grant need not find, have none.
fn catalog_of(
    object: &str,
    column: &str,
    literals: Literals,
) -> Result<Option<(&'static str, String)>, EngineError> {
    let unquoted = |name: &str| Ok(tokens(name)?.into_iter().next());
    let is = |name: &str, value: &str| format!("{name} = {}", literals.quote(value));
    Ok(match tokens(object)?.as_slice() {
        [Token::Name(schema), Token::Sign('.'), Token::Name(name)] => {
            let of_table = format!("{} AND {}", is("TABLE_SCHEMA", schema), is("TABLE_NAME", name));
            match unquoted(column)? {
                Some(Token::Name(column)) => {
                    Some(("COLUMNS", format!("{of_table} AND {}", is("COLUMN_NAME", &column))))
                }
                _ => Some(("TABLES", of_table)),
            }
        }
        [Token::Word(kind), Token::Name(schema), Token::Sign('.'), Token::Name(name)] => Some((
            "ROUTINES",
            [is("ROUTINE_TYPE", kind), is("ROUTINE_SCHEMA", schema), is("ROUTINE_NAME", name)]
                .join(" AND "),
        )),
        _ => None,
    })
}

/// The first column. A row that was left out would be a privilege that is taken away.
fn texts(rows: &[MySqlRow]) -> Result<Vec<String>, EngineError> {
    let texts = rows.iter().map(|row| text(row, 0)).collect::<Option<_>>();
    texts.ok_or_else(|| unreadable("it is not text"))
}

/// The plugin of an account, if this function can log in with it.
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
                "{account} logs in by {}, which this function cannot do",
                if shown.plugins.is_empty() {
                    "no plugin that is shown".to_owned()
                } else {
                    shown.plugins.join(", ")
                }
            ),
            remedy: format!("Change the account to one of {}.", supported.join(", ")),
        }),
    }
}
