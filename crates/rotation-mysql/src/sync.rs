//! The sync of the alternate user with the base user: one account for each account of the base
//! user, with the same host.
//!
//! These servers have no transactions for users. A new account is locked until everything is in
//! place, and the password comes last, so that an interrupted rotation leaves an account that
//! cannot log in.

mod accounts;
pub(crate) mod next_login;
pub(crate) mod passwords;
mod plan;
mod state;

use rotation_database::sync::{self, Applied, Pair, Plan, Statement};
use rotation_database::{
    EngineError, PasswordRequest, PasswordReset, PasswordSet, SyncReport, SyncRequest,
};

use crate::administer::administer;
use crate::failure::number::OBJECT_NOT_FOUND;
use crate::failure::{failure, number_of};
use crate::quote::Literals;
use crate::session::Session;
use plan::Action;
use state::PairState;

pub(crate) use accounts::Base;

/// Syncs the two users and sets the password of the target.
pub(crate) async fn sync(
    session: &mut Session,
    request: &SyncRequest<'_>,
) -> Result<SyncReport, EngineError> {
    if !request.is_alternate_target() && !request.pair_verified {
        return Err(EngineError::unproven_base(request.base, request.alternate));
    }
    let mut users = Users::begin(session, request).await?;
    let (mut report, state) = sync::sync(&mut users, request).await?;
    users.set_passwords(&state.bases, &mut report).await?;
    Ok(report)
}

/// Returns the changes that [`sync()`] would make.
pub(crate) async fn differences(
    session: &mut Session,
    request: &SyncRequest<'_>,
) -> Result<Vec<String>, EngineError> {
    let mut users = Users::begin(session, request).await?;
    users.checks_objects = true;
    sync::differences(&mut users).await
}

/// Returns the privileges that the master user certainly lacks for the changes of [`differences`].
pub(crate) async fn ungrantable_privileges(
    session: &mut Session,
    request: &SyncRequest<'_>,
) -> Result<Vec<EngineError>, EngineError> {
    // The grants of the master user do not include the privileges of its roles.
    if session.has_active_role().await {
        return Ok(Vec::new());
    }
    let mut users = Users::begin(session, request).await?;
    let state = users.read().await?;
    let masters = users.own_grants().await?;
    let mut lacks = Vec::new();
    for (account, change) in state.privilege_changes() {
        if !masters.may_allow(&change)? {
            let action = format!("run {}", change.statement(&account.to_string()));
            let privilege = format!("{}{}", change.needs, change.needs_option);
            let remedy = state.remedy_of(request.master, &change);
            lacks.push(EngineError::lacks(action, request.master, &privilege, remedy));
        }
    }
    Ok(lacks)
}

/// Checks, without changing anything, that [`set_password`] can be verified.
pub(crate) async fn check_password_reset(
    session: &mut Session,
    reset: &PasswordReset<'_>,
) -> Result<(), EngineError> {
    Users::begin(session, reset).await?.bases().await.map(drop)
}

/// Sets the password of every account of a user, and changes nothing else.
pub(crate) async fn set_password(
    session: &mut Session,
    reset: &PasswordReset<'_>,
) -> Result<PasswordSet, EngineError> {
    let mut users = Users::begin(session, reset).await?;
    let bases = users.bases().await?;
    let mut report = SyncReport::default();
    users.set_passwords(&bases, &mut report).await?;
    Ok(report.password)
}

/// The accounts of the users of a request, in a session of the master user: of two users to sync,
/// or of one whose password is set.
pub(crate) struct Users<'a, R> {
    pub(crate) session: &'a mut Session,
    pub(crate) request: &'a R,
    pub(crate) literals: Literals,
    /// The roles of the master user that are not active, if it cannot activate them all.
    inactive_roles: Vec<String>,
    /// `true` if the objects of missing grants are looked up. A sync does not need that, because a
    /// grant fails if its object is gone.
    checks_objects: bool,
}

impl Pair for Users<'_, SyncRequest<'_>> {
    type State = PairState;
    type Action = Action;

    async fn read(&mut self) -> Result<PairState, EngineError> {
        self.read_state().await
    }

    fn plan(&self, state: &PairState) -> Result<Plan<Action>, EngineError> {
        plan::plan(state, self.request)
    }

    async fn apply(&mut self, action: &Action) -> Result<Applied, EngineError> {
        match action {
            Action::Run(statements) => {
                for statement in statements {
                    self.session.execute(statement).await?;
                }
            }
            Action::ChangePrivilege(statement) => {
                match self.session.try_run(&statement.sql).await {
                    Ok(()) => {}
                    Err(error)
                        if number_of(&error)
                            .is_some_and(|number| OBJECT_NOT_FOUND.contains(&number)) =>
                    {
                        return Ok(Applied::ObjectGone);
                    }
                    Err(error) => {
                        return Err(failure(
                            &error,
                            &statement.action,
                            statement.remedy.as_deref(),
                        ));
                    }
                }
            }
            Action::Create { base, account } => {
                // The password is a random one: a password history must not reject the new one when
                // it is set together with those of the other accounts.
                let identified = self.identified(base, &passwords::temporary_password()?)?;
                let (name, clauses) =
                    (account.quoted(self.literals), base.shown.all_clauses_locked());
                let sql = format!("CREATE USER {name} {identified} {clauses}");
                let remedy = self.administrator("GRANT CREATE USER ON *.* TO", "");
                let statement = Statement::new(format!("create {account}"), sql, remedy);
                self.session.execute(&statement).await?;
            }
        }
        Ok(Applied::Changed)
    }
}

impl<'a, R: PasswordRequest> Users<'a, R> {
    async fn begin(session: &'a mut Session, request: &'a R) -> Result<Self, EngineError> {
        if !session.is_mariadb() {
            // A hash can contain any byte, and hexadecimal digits can be read. Servers before
            // 8.0.17 do not know the variable.
            let _ = session
                .run(
                    "show hashes as hexadecimal digits",
                    "SET SESSION print_identified_with_as_hex = ON",
                )
                .await;
        }
        let inactive_roles = session.activate_roles().await?;
        let literals = Literals::BackslashEscapes;
        Ok(Self { session, request, literals, inactive_roles, checks_objects: false })
    }

    /// Reads the accounts of the base user, and checks that they can log in with a new password.
    async fn bases(&mut self) -> Result<Vec<Base>, EngineError> {
        let bases = self.read_bases().await?;
        next_login::is_possible(self.session, self.request, &bases).await?;
        Ok(bases)
    }

    /// Returns the remedy that grants a privilege to the master user.
    pub(crate) fn administrator(&self, grant: &str, with: &str) -> String {
        administer(self.request.master(), grant, with, &self.inactive_roles)
    }
}
