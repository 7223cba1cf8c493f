//! The strategies: which credential a rotation uses for which operation, and when it stops.

mod alternating;
mod deprecated;
mod earlier;
mod master_session;
mod poolers;
pub(crate) mod preflight;
mod single_user;
mod single_user_by_master;
mod target_proof;

use std::fmt;
use std::pin::Pin;

use rotation::{Checks, Context, Done, Password, Result, Versions};

use crate::connect::Proven;
use crate::database::Database;
use crate::engine::{Engine, Session};
use crate::login_error::LoginError;
use crate::secret::DatabaseSecret;
use crate::settings::StrategyKind;

/// The future of a method of [`Strategy`].
pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A strategy of rotation. The steps that are the same for all strategies are in
/// [`crate::DatabaseRotator`].
pub(crate) trait Strategy<E: Engine>: fmt::Debug + Send + Sync {
    /// Changes the password in the database, for `setSecret`.
    fn set<'a>(
        &'a self,
        database: &'a Database<E>,
        cx: &'a Context<'a>,
        versions: &'a Versions,
    ) -> BoxFuture<'a, Result<Done>>;

    /// Checks that applications can switch to the pending credential, for `testSecret`. `session`
    /// is a login with it. Returns a note if a check could not be made.
    fn verify<'a>(
        &'a self,
        _database: &'a Database<E>,
        _cx: &'a Context<'a>,
        session: E::Session,
        _pending: &'a DatabaseSecret,
    ) -> BoxFuture<'a, Result<Option<String>>> {
        Box::pin(async {
            session.close().await;
            Ok(None)
        })
    }

    /// Returns `true` if a rotation changes the password that applications use. A pooler that does
    /// not know the new one locks them out.
    fn changes_active_user(&self) -> bool {
        true
    }

    /// Returns the reason why a failed login with the current credential does not prevent a
    /// rotation, if that is so.
    fn excuses_failed_login(&self, _cause: &LoginError) -> Option<&'static str> {
        None
    }

    /// Checks the requirements of `setSecret`, without changing anything. `login` is the login with
    /// the current credential, or `None` if its failure was excused.
    fn preflight<'a>(
        &'a self,
        database: &'a Database<E>,
        cx: &'a Context<'a>,
        current: &'a DatabaseSecret,
        random: Option<&'a Password>,
        login: Option<Proven<E::Session>>,
        checks: &'a mut Checks,
    ) -> BoxFuture<'a, ()>;
}

/// Returns the strategy that a setting selects.
pub(crate) fn of<E: Engine>(kind: StrategyKind) -> Box<dyn Strategy<E>> {
    match kind {
        StrategyKind::SingleUser => Box::new(single_user::SingleUser),
        StrategyKind::SingleUserByMaster => Box::new(single_user_by_master::SingleUserByMaster),
        StrategyKind::MasterUser => Box::new(alternating::Alternating),
    }
}
