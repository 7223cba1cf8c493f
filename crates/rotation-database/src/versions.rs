//! What the versions of a secret must be, alone and to each other.

use rotation::{CURRENT, PENDING, Result, SecretValue, Versions};

use crate::NameLimit;
use crate::engine::Engine;
use crate::error::Error;
use crate::rotator::DatabaseRotator;
use crate::secret::{DatabaseSecret, Demands};
use crate::settings::StrategyKind;
use crate::strategy::UserPair;
use crate::tls::Policy;

impl<E: Engine> DatabaseRotator<E> {
    pub(crate) fn parse(
        &self,
        value: &SecretValue,
        label: &'static str,
    ) -> Result<DatabaseSecret, Error> {
        let demands = match self.settings.strategy {
            StrategyKind::SingleUser => Demands::Place,
            StrategyKind::SingleUserByMaster | StrategyKind::MasterUser => Demands::PlaceAndMaster,
        };
        DatabaseSecret::parse(value, E::SPEC, demands).map_err(|mut faults| {
            let of_master = faults.iter().position(|fault| fault.starts_with("\"masterarn\""));
            let Some(at) = of_master else {
                return Error::Schema { label, engine: E::SPEC.display, faults };
            };
            // That it is missing is said already; that it is spelt otherwise is not.
            if faults[at].ends_with(" is missing") {
                faults.remove(at);
            }
            Error::MasterArnMissing { others: faults }
        })
    }

    /// The version that the next rotation would make, with the password of the current one.
    pub(crate) fn next_version(&self, current: &DatabaseSecret) -> DatabaseSecret {
        current.with_user(self.next_user(current))
    }

    /// The two versions of a rotation, known to belong together.
    pub(crate) fn parse_both(
        &self,
        versions: &Versions,
    ) -> Result<(DatabaseSecret, DatabaseSecret), Error> {
        let current = self.parse(&versions.current, CURRENT)?;
        let pending = self.parse(&versions.pending, PENDING)?;
        self.belong_together(&current, &pending)?;
        // A password that the current one's connection sets and the pending one's cannot test would
        // be neither promoted nor taken back.
        if current.database != pending.database || current.ssl != pending.ssl {
            return Err(other_host(&current, &pending));
        }
        Ok((current, pending))
    }

    /// For the same server, and of the user that the strategy makes.
    fn belong_together(
        &self,
        current: &DatabaseSecret,
        pending: &DatabaseSecret,
    ) -> Result<(), Error> {
        if !current.same_server(pending) {
            return Err(other_host(current, pending));
        }
        let expected = self.next_user(current);
        if pending.username != expected {
            return Err(Error::UserMismatch {
                expected,
                current: current.username.clone(),
                pending: pending.username.clone(),
            });
        }
        Ok(())
    }

    /// Returns `true` if two versions are of the users that this strategy keeps in one secret.
    pub(crate) fn is_of_same_users(&self, one: &DatabaseSecret, other: &DatabaseSecret) -> bool {
        match self.settings.strategy {
            StrategyKind::SingleUser | StrategyKind::SingleUserByMaster => {
                one.username == other.username
            }
            StrategyKind::MasterUser => {
                UserPair::of(&one.username, E::SPEC) == UserPair::of(&other.username, E::SPEC)
            }
        }
    }

    /// Returns `true` if the password of an earlier version travelled better protected than it
    /// would now: whoever may write the secret must not get it sent readably.
    pub(crate) fn was_safer(&self, earlier: &DatabaseSecret, now: &DatabaseSecret) -> bool {
        let mode = self.settings.tls_mode;
        Policy::of(earlier.ssl, mode) > Policy::of(now.ssl, mode)
    }

    /// The user of the new version.
    fn next_user(&self, current: &DatabaseSecret) -> String {
        let user = &current.username;
        match self.settings.strategy {
            StrategyKind::SingleUser | StrategyKind::SingleUserByMaster => user.clone(),
            StrategyKind::MasterUser => UserPair::of(user, E::SPEC).other_than(user).to_owned(),
        }
    }

    /// The same, where its server takes a name as long as that of the second user.
    pub(crate) fn new_user(&self, current: &DatabaseSecret) -> Result<String, Error> {
        if self.settings.strategy == StrategyKind::MasterUser {
            let name = UserPair::of(&current.username, E::SPEC).alternate;
            let limit = &E::SPEC.user_name_limit;
            if let Some(length) = limit.broken_by(&name, self.settings.user_name_limit) {
                let can_be_raised = matches!(limit, NameLimit::CharactersUnlessSet(_));
                return Err(Error::UserNameTooLong { name, length, can_be_raised });
            }
        }
        Ok(self.next_user(current))
    }

    /// What was edited in `AWSCURRENT` since the pending version was made from it: another server
    /// or user is no matter for a note.
    pub(crate) fn edited_since(
        &self,
        current: Option<&SecretValue>,
        pending: &DatabaseSecret,
    ) -> Result<Vec<String>, Error> {
        let current = match current.map(|current| self.parse(current, CURRENT)) {
            None => return Ok(Vec::new()),
            // The worse of the two.
            Some(Err(_)) => {
                return Ok(vec![
                    "AWSCURRENT was edited during the rotation and could not be used any more; it is AWSPREVIOUS now.".into(),
                ]);
            }
            Some(Ok(current)) => current,
        };
        // Another process has just promoted it.
        if current.username == pending.username && current.password == pending.password {
            return Ok(Vec::new());
        }
        self.belong_together(&current, pending)?;
        let edited = current.other_keys(pending);
        if edited.is_empty() {
            return Ok(Vec::new());
        }
        Ok(vec![format!(
            "AWSCURRENT was edited during the rotation: {} is again as it was when the rotation began, and as edited in AWSPREVIOUS.",
            edited.join(", ")
        )])
    }
}

fn other_host(current: &DatabaseSecret, pending: &DatabaseSecret) -> Error {
    Error::HostMismatch { current: current.whole_place(), pending: pending.whole_place() }
}
