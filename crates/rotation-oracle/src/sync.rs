//! The sync of the alternate user with the base user.
//!
//! A new user is locked, and unlocked last of all, so that an interrupted rotation leaves a user
//! that cannot log in. It has the rotation's own password from the start, which follows the rules
//! of the profile.

mod grantable;
mod grants;
mod plan;
mod profile;
mod state;

use rotation_database::sync::{self, Applied, Pair, Plan, Statement};
use rotation_database::{
    EngineError, Password, PasswordRequest, PasswordReset, PasswordSet, SyncReport, SyncRequest,
    TlsUse, administrator,
};

use crate::failure::{NO_SUCH_USER, USED_BEFORE, number_of, statement};
use crate::name::Name;
use crate::session::Session;
use plan::Action;
use state::{PairState, is_locked};

pub(crate) use grantable::ungrantable_privileges;

/// Syncs the two users and sets the password of the target.
pub(crate) async fn sync(
    session: &mut Session,
    request: &SyncRequest<'_>,
) -> Result<SyncReport, EngineError> {
    let mut users = Users::begin(session, request).await?;
    let (mut report, state) = sync::sync(&mut users, request).await?;
    report.password = users.set_password(&state).await?;
    Ok(report)
}

/// Returns the changes that [`sync()`] would make.
pub(crate) async fn differences(
    session: &mut Session,
    request: &SyncRequest<'_>,
) -> Result<Vec<String>, EngineError> {
    sync::differences(&mut Users::begin(session, request).await?).await
}

/// Sets the password of a user, and changes nothing else.
pub(crate) async fn set_password(
    session: &mut Session,
    reset: &PasswordReset<'_>,
) -> Result<PasswordSet, EngineError> {
    check_encrypted(session)?;
    session.begin().await?;
    give_password(session, reset.master, reset.user, reset.password, false).await
}

fn name(written: &str) -> Result<Name, EngineError> {
    Name::written(written).ok_or_else(|| EngineError::NoSuchUser { user: written.to_owned() })
}

/// The two users, in a session of the master user.
struct Users<'a> {
    session: &'a mut Session,
    request: &'a SyncRequest<'a>,
    names: Names,
}

/// The names of the users, as the dictionary spells them.
#[derive(Debug, Clone)]
struct Names {
    base: Name,
    alternate: Name,
    master: Name,
}

impl Pair for Users<'_> {
    type State = PairState;
    type Action = Action;

    async fn read(&mut self) -> Result<PairState, EngineError> {
        self.read_state().await
    }

    fn plan(&self, state: &PairState) -> Result<Plan<Action>, EngineError> {
        plan::plan(state, self.request, &self.names)
    }

    async fn apply(&mut self, action: &Action) -> Result<Applied, EngineError> {
        match action {
            Action::Run(statement) => self.session.execute(statement).await?,
            Action::Create { clauses } => {
                let Names { alternate, master, .. } = &self.names;
                let password = self.request.password.expose();
                let sql = format!(
                    "CREATE USER {alternate} IDENTIFIED BY \"{password}\" {clauses} ACCOUNT LOCK"
                );
                let remedy = administrator(&format!("GRANT CREATE USER TO {master}"));
                let create = Statement::new(format!("create user {alternate}"), sql, remedy);
                self.session.execute(&create).await?;
            }
        }
        Ok(Applied::Changed)
    }
}

impl<'a> Users<'a> {
    async fn begin(
        session: &'a mut Session,
        request: &'a SyncRequest<'a>,
    ) -> Result<Self, EngineError> {
        let names = Names {
            base: name(request.base)?,
            alternate: name(request.alternate)?,
            master: name(request.master)?,
        };
        check_encrypted(session)?;
        session.begin().await?;
        Ok(Self { session, request, names })
    }

    /// Sets the password of the target. The same statement unlocks the alternate user.
    async fn set_password(&mut self, state: &PairState) -> Result<PasswordSet, EngineError> {
        let Names { base, alternate, .. } = &self.names;
        let is_alternate_target = self.request.is_alternate_target();
        if is_alternate_target && is_locked(&state.base.status) {
            return Err(EngineError::NeedsDecision {
                what: format!(
                    "{base} is locked ({}), so {alternate} stays locked",
                    state.base.status
                ),
                remedy: administrator(&format!(
                    "ALTER USER {base} ACCOUNT UNLOCK, or stop rotating the secret"
                )),
            });
        }
        let SyncRequest { master, target, password, .. } = self.request;
        give_password(self.session, master, target, password, is_alternate_target).await
    }
}

/// Sets a password, and unlocks the user if `unlock` is `true`.
async fn give_password(
    session: &mut Session,
    master: &str,
    user: &str,
    password: &Password,
    unlock: bool,
) -> Result<PasswordSet, EngineError> {
    let written = user;
    let (user, remedy) = (name(written)?, alter_user(&name(master)?));
    let clause = if unlock { " ACCOUNT UNLOCK" } else { "" };
    let sql = format!("ALTER USER {user} IDENTIFIED BY \"{}\"{clause}", password.expose());
    let action = format!("set the password of {user}");
    match session.try_run(&sql).await {
        Err(error) if number_of(&error) == Some(USED_BEFORE) => {
            if unlock {
                let sql = format!("ALTER USER {user}{clause}");
                session.execute(&Statement::new(action, sql, remedy)).await?;
            }
            Ok(PasswordSet::InHistory)
        }
        Err(error) if number_of(&error) == Some(NO_SUCH_USER) => {
            Err(EngineError::NoSuchUser { user: written.to_owned() })
        }
        Err(error) => Err(statement(&error, &action, Some(&remedy))),
        Ok(()) => Ok(PasswordSet::Now),
    }
}

fn alter_user(master: &Name) -> String {
    administrator(&format!("GRANT ALTER USER TO {master}"))
}

/// Checks that the session uses TLS, because the statement of the master user contains the
/// cleartext password. Without TLS, the secret must allow it with `"ssl": false`.
fn check_encrypted(session: &Session) -> Result<(), EngineError> {
    if session.tls() != TlsUse::NotOffered {
        return Ok(());
    }
    Err(EngineError::NeedsDecision {
        what:
            "the server does not offer TLS, and a master user sends the password of another user \
               in cleartext"
                .into(),
        remedy: "Let the server listen on TCPS (RDS: the SSL option) and set that port in the \
                 secret. If you trust the network with the password, set \"ssl\": false in the \
                 secret. Or rotate as a single user, whose password is always encrypted."
            .into(),
    })
}
