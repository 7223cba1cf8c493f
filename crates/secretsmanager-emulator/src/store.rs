//! The store of all secrets of the account.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::error::ServiceError;
use crate::keys::Keys;
use crate::replication_queue::ReplicationQueue;
use crate::scope::{ArnPart, Scope, arn_part};
use crate::secret::Secret;

/// The default account id in ARNs.
pub const ACCOUNT: &str = "123456789012";

/// A change, which must be persisted before it is acknowledged.
#[derive(Debug)]
pub enum Change<'a> {
    /// A secret was created or changed.
    Secret(&'a Secret),
    /// A secret was deleted.
    Gone {
        /// The id of the account from which it was deleted. `None` is the service's own account.
        account: Option<&'a str>,
        /// The region from which the secret was deleted.
        region: &'a str,
        /// The name that the secret had in its region.
        name: &'a str,
    },
    /// The set of disabled KMS keys changed.
    Keys(&'a Keys),
}

/// Persists a change before the store makes it.
pub(crate) type Persist = Box<dyn Fn(&Change<'_>) -> anyhow::Result<()> + Send>;

/// The secrets of an account in a region, by name.
type Secrets = BTreeMap<String, Secret>;

/// All secrets, by region, account and name.
pub struct Store {
    account: String,
    /// The account `None` is the service's own account.
    regions: BTreeMap<String, BTreeMap<Option<String>, Secrets>>,
    keys: Keys,
    pub(crate) replications: ReplicationQueue,
    /// The names of the functions that exist. `None` accepts any name.
    pub(crate) functions: Option<BTreeSet<String>>,
    persist: Option<Persist>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("account", &self.account).finish_non_exhaustive()
    }
}

impl Default for Store {
    fn default() -> Self {
        Self {
            account: ACCOUNT.to_owned(),
            regions: BTreeMap::new(),
            keys: Keys::default(),
            replications: ReplicationQueue::default(),
            functions: None,
            persist: None,
        }
    }
}

type Result<T> = std::result::Result<T, ServiceError>;

impl Store {
    /// Sets the account id of the ARNs of new secrets.
    pub fn set_account(&mut self, account: &str) {
        account.clone_into(&mut self.account);
    }

    /// Returns the account of the stored secrets if the service cannot be started with `account`:
    /// if its secrets belong to another account, or if `account` has secrets as another account.
    pub fn conflicting_account(&self, account: &str) -> Option<String> {
        let own = || self.all().filter(|secret| secret.account.is_none());
        let account_of =
            |secret: &Secret| arn_part(&secret.arn, ArnPart::Account).map(str::to_owned);
        let is_known = own().next().is_none()
            || own().any(|secret| account_of(secret).as_deref() == Some(account));
        let is_other = self.all().any(|secret| secret.account.as_deref() == Some(account));
        if is_known && !is_other {
            return None;
        }
        Some(own().find_map(account_of).unwrap_or_else(|| ACCOUNT.to_owned()))
    }

    pub(crate) fn account(&self) -> &str {
        &self.account
    }

    /// Sets the function that persists every change from now on.
    pub(crate) fn set_persist(&mut self, persist: Persist) {
        self.persist = Some(persist);
    }

    /// Creates the ARN of a new secret: the service adds a hyphen and six random characters to the
    /// name.
    pub(crate) fn new_arn(&self, scope: Scope<'_>, name: &str) -> String {
        let suffix: String = Uuid::new_v4().simple().to_string().chars().take(6).collect();
        let (region, account) = (scope.region, scope.account.unwrap_or(&self.account));
        format!("arn:aws:secretsmanager:{region}:{account}:secret:{name}-{suffix}")
    }

    /// Finds a secret of a region by name, ARN, or ARN without its random suffix.
    ///
    /// A name finds a secret of the request's account, and an ARN finds one of any account: a
    /// resource policy can allow other accounts to use a secret, and the service does not evaluate
    /// policies.
    pub(crate) fn find(&self, scope: Scope<'_>, id: &str) -> Result<&Secret> {
        let accounts = self.regions.get(scope.region).ok_or_else(ServiceError::not_found)?;
        let found = match arn_resource(id) {
            None => {
                accounts.get(&scope.account.map(str::to_owned)).and_then(|secrets| secrets.get(id))
            }
            Some(resource) => {
                accounts.values().find_map(|secrets| find_by_arn(secrets, id, resource))
            }
        };
        found.ok_or_else(ServiceError::not_found)
    }

    /// Finds a secret in any region by its name, ARN, or ARN without its random suffix. A name that
    /// several regions have finds the primary, and not its replicas.
    pub fn anywhere(&self, id: &str) -> Option<&Secret> {
        let such = |secret: &&Secret| secret.name == id || is_partial(&secret.arn, id);
        self.all()
            .find(|secret| secret.arn == id)
            .or_else(|| self.all().filter(such).find(|secret| !secret.is_region_replica()))
            .or_else(|| self.all().find(such))
    }

    /// Finds a secret that is not marked for deletion.
    pub(crate) fn alive(&self, scope: Scope<'_>, id: &str) -> Result<&Secret> {
        let secret = self.find(scope, id)?;
        secret.ensure_not_deleted().map(|()| secret)
    }

    /// Changes a secret as a request asks. The secret must not be marked for deletion, and not be a
    /// replica in another Region. If `edit` or persisting fails, nothing changes.
    pub(crate) fn edit_active<T>(
        &mut self,
        scope: Scope<'_>,
        id: &str,
        edit: impl FnOnce(&mut Secret, &Keys) -> Result<T>,
    ) -> Result<T> {
        self.edit(scope, id, |secret, keys| {
            secret.ensure_not_deleted()?;
            secret.ensure_not_region_replica()?;
            edit(secret, keys)
        })
    }

    /// Changes a secret. If `edit` or persisting fails, nothing changes.
    pub(crate) fn edit<T>(
        &mut self,
        scope: Scope<'_>,
        id: &str,
        edit: impl FnOnce(&mut Secret, &Keys) -> Result<T>,
    ) -> Result<T> {
        let mut secret = self.find(scope, id)?.clone();
        let done = edit(&mut secret, &self.keys)?;
        self.save(secret)?;
        Ok(done)
    }

    /// Stores a secret, and replaces the one with the same account, region and name. If its
    /// replicas must change, their status becomes `InProgress`.
    ///
    /// # Errors
    /// Returns an error if the change cannot be persisted.
    pub fn save(&mut self, mut secret: Secret) -> Result<()> {
        let restarted = match self.find(secret.scope(), &secret.name) {
            Ok(before) if secret.replication.has_replicas() => secret.restart_replication(before),
            _ => Vec::new(),
        };
        self.persist_change(&Change::Secret(&secret))?;
        self.replications.add(&secret, &restarted);
        let accounts = self.regions.entry(secret.region.clone()).or_default();
        let secrets = accounts.entry(secret.account.clone()).or_default();
        secrets.insert(secret.name.clone(), secret);
        Ok(())
    }

    /// Deletes a secret, which [`find`](Self::find) finds. Without such a secret, nothing happens.
    pub(crate) fn remove(&mut self, scope: Scope<'_>, id: &str) -> Result<()> {
        let Ok(secret) = self.find(scope, id) else { return Ok(()) };
        let (account, name) = (secret.account.clone(), secret.name.clone());
        let region = scope.region;
        self.persist_change(&Change::Gone { account: account.as_deref(), region, name: &name })?;
        let secrets = self.regions.get_mut(region).and_then(|them| them.get_mut(&account));
        if let Some(secrets) = secrets {
            secrets.remove(&name);
        }
        Ok(())
    }

    /// Returns the secrets of an account in a region, sorted by name.
    pub(crate) fn secrets(&self, scope: Scope<'_>) -> impl Iterator<Item = &Secret> {
        let accounts = self.regions.get(scope.region);
        let secrets = accounts.and_then(|them| them.get(&scope.account.map(str::to_owned)));
        secrets.into_iter().flat_map(BTreeMap::values)
    }

    /// Returns the secrets of all regions and accounts, sorted by region, account and name.
    pub fn all(&self) -> impl Iterator<Item = &Secret> {
        self.regions.values().flat_map(BTreeMap::values).flat_map(BTreeMap::values)
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    pub(crate) fn set_keys(&mut self, keys: Keys) -> Result<()> {
        self.persist_change(&Change::Keys(&keys))?;
        self.keys = keys;
        Ok(())
    }

    fn persist_change(&self, change: &Change<'_>) -> Result<()> {
        let Some(persist) = &self.persist else { return Ok(()) };
        persist(change).map_err(|error| {
            ServiceError::internal(format!("could not save the change: {error:#}"))
        })
    }
}

/// Returns the part of a secret's ARN after `secret:`.
fn arn_resource(id: &str) -> Option<&str> {
    id.strip_prefix("arn:")?.splitn(6, ':').nth(5)
}

fn find_by_arn<'a>(secrets: &'a Secrets, arn: &str, resource: &str) -> Option<&'a Secret> {
    let with_suffix = resource.len().checked_sub(7).and_then(|end| resource.get(..end));
    with_suffix
        .and_then(|name| secrets.get(name))
        .filter(|secret| secret.arn == arn)
        .or_else(|| secrets.get(resource).filter(|secret| is_partial(&secret.arn, arn)))
        // `Service::put_secret` stores secrets under any ARN.
        .or_else(|| secrets.values().find(|secret| secret.arn == arn))
}

fn is_partial(arn: &str, id: &str) -> bool {
    arn.strip_prefix(id).is_some_and(|rest| rest.len() == 7 && rest.starts_with('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Scope<'_> = Scope { account: None, region: "eu-west-1" };

    fn store() -> Store {
        let mut store = Store::default();
        for name in ["a/b", "a/b-c", "other"] {
            let arn = store.new_arn(HERE, name);
            store.save(Secret::new("eu-west-1", name, arn, 0.0)).unwrap();
        }
        store
    }

    #[test]
    fn arn_is_found_with_and_without_its_suffix() {
        let store = store();
        let arn = store.find(HERE, "a/b").unwrap().arn.clone();
        for id in ["a/b", &arn, &arn[..arn.len() - 7]] {
            assert_eq!(store.find(HERE, id).unwrap().name, "a/b");
        }
        assert!(store.find(HERE, "a").is_err());
        assert!(store.find(HERE, &arn[..arn.len() - 1]).is_err());
        assert!(store.find(Scope::own("us-east-1"), &arn).is_err());
        assert_eq!(store.anywhere(&arn).unwrap().name, "a/b");
    }

    #[test]
    fn account_has_its_own_names_and_shares_its_arns() {
        let mut store = store();
        let there = Scope { account: Some("111122223333"), region: "eu-west-1" };
        let arn = store.new_arn(there, "a/b");
        let mut secret = Secret::new("eu-west-1", "a/b", arn.clone(), 0.0);
        secret.account = Some("111122223333".to_owned());
        store.save(secret).unwrap();
        assert_eq!(store.find(there, "a/b").unwrap().arn, arn);
        assert_ne!(store.find(HERE, "a/b").unwrap().arn, arn);
        assert_eq!(store.find(HERE, &arn).unwrap().arn, arn);
        assert!(store.find(there, "other").is_err());
        assert_eq!((store.secrets(there).count(), store.all().count()), (1, 4));
        // An ARN of the service's own account, in a request of the other account.
        let own = store.find(HERE, "a/b").unwrap().arn.clone();
        store.remove(there, &own).unwrap();
        assert!(store.find(HERE, "a/b").is_err() && store.find(there, "a/b").is_ok());
        store.remove(there, "a/b").unwrap();
        assert!(store.find(there, "a/b").is_err());
        store.remove(there, "a/b").unwrap();
    }

    #[test]
    fn change_that_cannot_be_saved_has_no_effect() {
        let mut store = store();
        store.set_persist(Box::new(|_| anyhow::bail!("the disk is full")));
        let edit = |secret: &mut Secret, _: &Keys| {
            secret.description = Some("new".into());
            Ok(())
        };
        let error = store.edit(HERE, "a/b", edit).unwrap_err();
        assert_eq!((error.status, &*error.code), (500, "InternalServiceError"));
        assert_eq!(store.find(HERE, "a/b").unwrap().description, None);
        assert!(store.remove(HERE, "a/b").is_err() && store.find(HERE, "a/b").is_ok());
    }
}
