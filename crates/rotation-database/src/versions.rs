//! The checks of a secret's versions: of each version, and of the current and pending version
//! together.

use rotation::{CURRENT, PENDING, Result, SecretValue, Versions};

use crate::NameLimit;
use crate::database::Database;
use crate::engine::Engine;
use crate::error::Error;
use crate::problem::SecretProblem;
use crate::secret::{DatabaseSecret, RequiredKeys};
use crate::tls::Policy;
use crate::user_pair::UserPair;

impl<E: Engine> Database<E> {
    pub(crate) fn parse(
        &self,
        value: &SecretValue,
        label: &'static str,
    ) -> Result<DatabaseSecret, Error> {
        let demands = if self.settings.strategy.needs_master() {
            RequiredKeys::EndpointAndMaster
        } else {
            RequiredKeys::Endpoint
        };
        DatabaseSecret::parse(value, E::SPEC, demands).map_err(|mut problems| {
            if !problems.iter().any(|problem| problem.key() == Some("masterarn")) {
                return Error::Schema { label, engine: E::SPEC.display, problems };
            }
            // The error itself states that the key is missing. A similar key is worth a message.
            let known = SecretProblem::Missing { key: "masterarn", instead: None };
            problems.retain(|problem| *problem != known);
            Error::MasterArnMissing { others: problems }
        })
    }

    /// Returns the version that the next rotation would create, but with the password of the
    /// current version.
    pub(crate) fn next_version(&self, current: &DatabaseSecret) -> DatabaseSecret {
        current.with_user(self.next_user(current))
    }

    /// Parses the two versions of a rotation and checks that they match.
    pub(crate) fn parse_both(
        &self,
        versions: &Versions,
    ) -> Result<(DatabaseSecret, DatabaseSecret), Error> {
        let current = self.parse(&versions.current, CURRENT)?;
        let pending = self.parse(&versions.pending, PENDING)?;
        self.ensure_matching_versions(&current, &pending)?;
        // If setSecret set the password through the connection of the current version, but
        // testSecret could not connect with the pending version, the new password would be in the
        // database without ever being promoted.
        if current.database != pending.database || current.ssl != pending.ssl {
            return Err(host_mismatch(&current, &pending));
        }
        Ok((current, pending))
    }

    /// Checks that the pending version is for the same server, and for the user to which the
    /// strategy rotates.
    fn ensure_matching_versions(
        &self,
        current: &DatabaseSecret,
        pending: &DatabaseSecret,
    ) -> Result<(), Error> {
        if !current.is_same_server(pending) {
            return Err(host_mismatch(current, pending));
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

    /// Returns `true` if two versions are for the same user or, with alternating users, for the
    /// same pair of users.
    pub(crate) fn is_of_same_users(&self, one: &DatabaseSecret, other: &DatabaseSecret) -> bool {
        if self.settings.strategy.alternates() {
            UserPair::of(&one.username, E::SPEC) == UserPair::of(&other.username, E::SPEC)
        } else {
            one.username == other.username
        }
    }

    /// Returns `true` if the TLS policy of an earlier version is stricter than that of the current
    /// one. The earlier password must then not be sent: an attacker who can write the secret must
    /// not be able to weaken its protection.
    pub(crate) fn would_weaken_tls(&self, earlier: &DatabaseSecret, now: &DatabaseSecret) -> bool {
        let mode = self.settings.tls_mode;
        Policy::of(earlier.ssl, mode) > Policy::of(now.ssl, mode)
    }

    /// Returns the user of the new version.
    pub(crate) fn next_user(&self, current: &DatabaseSecret) -> String {
        let user = &current.username;
        if self.settings.strategy.alternates() {
            UserPair::of(user, E::SPEC).other_than(user).to_owned()
        } else {
            user.clone()
        }
    }

    /// Returns the user of the new version, after a check that the alternate user's name is not too
    /// long for the server.
    pub(crate) fn new_user(&self, current: &DatabaseSecret) -> Result<String, Error> {
        if self.settings.strategy.alternates() {
            let name = UserPair::of(&current.username, E::SPEC).alternate;
            let limit = &E::SPEC.user_name_limit;
            if let Some(length) = limit.check_length(&name, self.settings.user_name_limit) {
                let can_be_raised = matches!(limit, NameLimit::CharactersUnlessSet(_));
                return Err(Error::UserNameTooLong { name, length, can_be_raised });
            }
        }
        Ok(self.next_user(current))
    }

    /// Returns notes about changes of `AWSCURRENT` since the pending version was created from it.
    ///
    /// # Errors
    /// Returns an error if the server or the user was changed.
    pub(crate) fn edit_notes(
        &self,
        current: Option<&SecretValue>,
        pending: &DatabaseSecret,
    ) -> Result<Vec<String>, Error> {
        let current = match current.map(|current| self.parse(current, CURRENT)) {
            None => return Ok(Vec::new()),
            // The unusable AWSCURRENT is worse than the promotion of the pending version.
            Some(Err(_)) => {
                return Ok(vec![
                    "AWSCURRENT was edited during the rotation and became unusable. The edited \
                     version is now AWSPREVIOUS."
                        .into(),
                ]);
            }
            Some(Ok(current)) => current,
        };
        // Another process has just promoted the pending version.
        if current.username == pending.username && current.password == pending.password {
            return Ok(Vec::new());
        }
        self.ensure_matching_versions(&current, pending)?;
        let edited = current.other_keys(pending);
        if edited.is_empty() {
            return Ok(Vec::new());
        }
        Ok(vec![format!(
            "AWSCURRENT was edited during the rotation. {} has its value from before the edit \
             again; the edited value is in AWSPREVIOUS.",
            edited.join(", ")
        )])
    }
}

fn host_mismatch(current: &DatabaseSecret, pending: &DatabaseSecret) -> Error {
    Error::HostMismatch { current: current.endpoint_text(), pending: pending.endpoint_text() }
}
