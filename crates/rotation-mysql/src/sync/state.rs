//! The accounts of both users, as the server shows them.

use std::collections::BTreeSet;

use rotation_database::{EngineError, PasswordRequest, SyncRequest};

use super::Users;
use super::accounts::{Base, texts};
use crate::account::Account;
use crate::administer::administer;
use crate::create_user::CreateUser;
use crate::grants::{self, Change, Grants};
use crate::quote::{Literals, identifier};
use crate::session::text;
use crate::tokens::{Token, tokens, unreadable};

/// The accounts of both users.
#[derive(Debug)]
pub(crate) struct PairState {
    /// All accounts of the base user.
    pub(crate) bases: Vec<Base>,
    /// The accounts of the base user whose counterpart exists or is to be created.
    pub(crate) pairs: Vec<AccountPair>,
    /// The accounts of the alternate user that are not in a pair.
    pub(crate) left_over: Vec<LeftOver>,
    /// `true` if passwords expire by default. Read only if an attribute differs.
    pub(crate) passwords_expire_by_default: bool,
    /// The grants whose object no longer exists, as statements.
    pub(crate) gone: BTreeSet<String>,
    pub(crate) is_mariadb: bool,
    /// The roles that the master user has but that are not active, for [`administer`].
    pub(crate) inactive_roles: Vec<String>,
}

/// An account of the base user and its counterpart.
#[derive(Debug)]
pub(crate) struct AccountPair {
    pub(crate) base: Base,
    /// The privileges of the base account.
    pub(crate) base_has: Grants,
    /// The privileges that both accounts are to have: those of the base account, and those that
    /// the server gave to the alternate account alone because it created a routine.
    pub(crate) wanted: Grants,
    /// The account of the alternate user for the host of the base account.
    pub(crate) account: Account,
    /// `None` if the alternate account does not exist.
    pub(crate) has: Option<AccountState>,
}

/// The state of an alternate account.
#[derive(Debug)]
pub(crate) struct AccountState {
    pub(crate) shown: CreateUser,
    pub(crate) granted: Grants,
}

/// An account of the alternate user for whose host the base user has no account.
#[derive(Debug)]
pub(crate) struct LeftOver {
    pub(crate) account: Account,
    pub(crate) locked: bool,
}

impl PairState {
    /// Returns the changes of the privileges of all alternate accounts.
    pub(crate) fn privilege_changes(&self) -> Vec<(&Account, Change)> {
        let none = Grants::default();
        let of_pair = |pair| {
            let AccountPair { wanted, account, has, .. }: &AccountPair = pair;
            let has = has.as_ref().map_or(&none, |has| &has.granted);
            has.changes_to(wanted).into_iter().map(move |change| (account, change))
        };
        self.pairs.iter().flat_map(of_pair).collect()
    }

    /// Returns the remedy if the master user may not make a change.
    pub(crate) fn remedy_of(&self, master: &str, change: &Change) -> String {
        let grant = format!("GRANT {} TO", change.needs);
        administer(master, &grant, change.needs_option, &self.inactive_roles)
    }
}

impl Users<'_, SyncRequest<'_>> {
    /// Reads the accounts of both users.
    pub(crate) async fn read_state(&mut self) -> Result<PairState, EngineError> {
        let bases = self.bases().await?;
        let alternates = self.accounts(self.request.alternate).await?;
        let pairs = self.pairs(&bases, &alternates).await?;
        let mut left_over = Vec::new();
        for account in alternates {
            if !bases.iter().any(|base| base.account.host == account.host) {
                let locked = self.show(&account).await?.locked;
                left_over.push(LeftOver { account, locked });
            }
        }
        let has_other_attributes = |pair: &AccountPair| {
            let clauses = |has: &AccountState| has.shown.clauses_to(&pair.base.shown);
            pair.has.as_ref().is_some_and(|has| !clauses(has).is_empty())
        };
        let passwords_expire_by_default =
            pairs.iter().any(has_other_attributes) && self.passwords_expire_by_default().await?;
        let mut state = PairState {
            bases,
            pairs,
            left_over,
            passwords_expire_by_default,
            gone: BTreeSet::new(),
            is_mariadb: self.session.is_mariadb(),
            inactive_roles: self.inactive_roles.clone(),
        };
        if self.checks_objects {
            state.gone = self.gone(&state).await?;
        }
        Ok(state)
    }

    /// Returns the accounts of the base user whose counterpart exists or is to be created.
    async fn pairs(
        &mut self,
        bases: &[Base],
        alternates: &[Account],
    ) -> Result<Vec<AccountPair>, EngineError> {
        let mut pairs = Vec::new();
        for base in bases {
            let account = base.account.of_user(self.request.alternate);
            let exists = alternates.contains(&account);
            if !exists && !self.request.is_alternate_target() {
                continue;
            }
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
            pairs.push(AccountPair { base: base.clone(), base_has, wanted, account, has });
        }
        Ok(pairs)
    }

    /// Returns the routines that an account has created, in the syntax of a grant. The server
    /// grants the privileges on a routine only to its creator (`automatic_sp_privileges`).
    async fn routines_of(&mut self, account: &Account) -> Result<Vec<String>, EngineError> {
        let query = format!(
            "SELECT CONVERT(ROUTINE_TYPE USING utf8mb4), CONVERT(ROUTINE_SCHEMA USING utf8mb4), \
             CONVERT(ROUTINE_NAME USING utf8mb4) FROM information_schema.ROUTINES WHERE DEFINER = \
             {}",
            self.literals.quote(&format!("{}@{}", account.user, account.host))
        );
        let rows = self.session.rows(&format!("find the routines of {account}"), &query).await?;
        let names = rows.iter().map(|row| {
            let [kind, schema, name] = [0, 1, 2].map(|column| text(row, column));
            Some(format!("{} {}.{}", kind?, identifier(&schema?), identifier(&name?)))
        });
        names.collect::<Option<_>>().ok_or_else(|| unreadable("it is not text"))
    }

    /// Returns `true` if passwords expire by default.
    async fn passwords_expire_by_default(&mut self) -> Result<bool, EngineError> {
        let query = "SELECT CONVERT(@@GLOBAL.default_password_lifetime, CHAR)";
        let rows = self.session.rows("read the default password lifetime", query).await?;
        Ok(rows.first().and_then(|row| text(row, 0)).is_some_and(|days| days != "0"))
    }

    /// Returns the grants whose object no longer exists.
    async fn gone(&mut self, state: &PairState) -> Result<BTreeSet<String>, EngineError> {
        let changes = state.privilege_changes();
        let mut gone = BTreeSet::new();
        if !changes.is_empty() {
            let masters = self.own_grants().await?;
            for (account, change) in changes {
                if self.is_gone(&change, &masters).await? {
                    gone.insert(change.statement(&account.to_string()));
                }
            }
        }
        Ok(gone)
    }

    /// Returns `true` if the object of a grant is certainly gone: the object is not visible, and
    /// the master user has privileges with which it would see the object.
    pub(crate) async fn is_gone(
        &mut self,
        change: &Change,
        masters: &Grants,
    ) -> Result<bool, EngineError> {
        let Some((object, column)) = &change.on else { return Ok(false) };
        let Some((table, condition)) = catalog_of(object, column.as_deref(), self.literals)? else {
            return Ok(false);
        };
        let query = format!(
            "SELECT CONVERT(COUNT(*), CHAR) FROM information_schema.{table} WHERE {condition}"
        );
        let rows = self.session.rows(&format!("find {object}"), &query).await?;
        let is_there = rows.first().and_then(|row| text(row, 0)).is_none_or(|count| count != "0");
        Ok(!is_there && masters.may_allow(change)?)
    }

    /// Reads the state of an account.
    pub(crate) async fn has(&mut self, account: &Account) -> Result<AccountState, EngineError> {
        Ok(AccountState {
            shown: self.show(account).await?,
            granted: self.show_grants(account).await?,
        })
    }

    pub(crate) async fn show_grants(&mut self, account: &Account) -> Result<Grants, EngineError> {
        let query = format!("SHOW GRANTS FOR {}", account.quoted(self.literals));
        let action = format!("read the privileges of {account}");
        grants::parse(&self.read_texts(&action, &query).await?)
    }

    /// Returns the grants of the master user, without those of its roles.
    pub(crate) async fn own_grants(&mut self) -> Result<Grants, EngineError> {
        let rows =
            self.session.rows("read the privileges of the master user", "SHOW GRANTS").await?;
        grants::parse(&texts(&rows)?)
    }
}

/// Returns the view of `information_schema` that lists an object of a grant, and the condition for
/// the object or column. Returns `None` for a database, because a grant does not require it to
/// exist.
fn catalog_of(
    object: &str,
    column: Option<&str>,
    literals: Literals,
) -> Result<Option<(&'static str, String)>, EngineError> {
    let is = |name: &str, value: &str| format!("{name} = {}", literals.quote(value));
    Ok(match tokens(object)?.as_slice() {
        [Token::Name(schema), Token::Sign('.'), Token::Name(name)] => {
            let of_table = format!("{} AND {}", is("TABLE_SCHEMA", schema), is("TABLE_NAME", name));
            match column.map(tokens).transpose()?.as_deref() {
                Some([Token::Name(column)]) => {
                    Some(("COLUMNS", format!("{of_table} AND {}", is("COLUMN_NAME", column))))
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
