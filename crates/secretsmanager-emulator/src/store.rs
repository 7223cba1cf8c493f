//! The store of all secrets of the account.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::ServiceError;
use crate::keys::Keys;
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

/// All secrets of the one account, by region and name.
#[derive(Serialize, Deserialize)]
pub struct Store {
    account: String,
    regions: BTreeMap<String, BTreeMap<String, Secret>>,
    keys: Keys,
    /// The names of the functions that exist. `None` accepts any name.
    #[serde(skip)]
    pub(crate) functions: Option<BTreeSet<String>>,
    #[serde(skip)]
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

    pub(crate) fn account(&self) -> &str {
        &self.account
    }

    /// Sets the function that persists every change from now on.
    pub(crate) fn set_persist(&mut self, persist: Persist) {
        self.persist = Some(persist);
    }

    /// Creates the ARN of a new secret: the service adds a hyphen and six random characters to the
    /// name.
    pub(crate) fn new_arn(&self, region: &str, name: &str) -> String {
        let suffix: String = Uuid::new_v4().simple().to_string().chars().take(6).collect();
        format!("arn:aws:secretsmanager:{region}:{}:secret:{name}-{suffix}", self.account)
    }

    /// Finds a secret by name, ARN, or ARN without its random suffix.
    pub(crate) fn find(&self, region: &str, id: &str) -> Result<&Secret> {
        let secrets = self.regions.get(region).ok_or_else(ServiceError::not_found)?;
        let Some(resource) = arn_resource(id) else {
            return secrets.get(id).ok_or_else(ServiceError::not_found);
        };
        let with_suffix = resource.len().checked_sub(7).and_then(|end| resource.get(..end));
        let found = with_suffix
            .and_then(|name| secrets.get(name))
            .filter(|secret| secret.arn == id)
            .or_else(|| secrets.get(resource).filter(|secret| is_partial(&secret.arn, id)))
            // `Service::put_secret` stores secrets under any ARN.
            .or_else(|| secrets.values().find(|secret| secret.arn == id));
        found.ok_or_else(ServiceError::not_found)
    }

    /// Returns the regions and names of the secrets for which `is_so` returns `true`.
    pub(crate) fn places(&self, is_so: impl Fn(&Secret) -> bool) -> Vec<(String, String)> {
        let such = self.all().filter(|secret| is_so(secret));
        such.map(|secret| (secret.region.clone(), secret.name.clone())).collect()
    }

    /// Finds a secret in any region by its name, ARN, or ARN without its random suffix.
    pub fn anywhere(&self, id: &str) -> Option<&Secret> {
        self.all()
            .find(|secret| secret.arn == id || secret.name == id || is_partial(&secret.arn, id))
    }

    /// Finds a secret that is not marked for deletion.
    pub(crate) fn alive(&self, region: &str, id: &str) -> Result<&Secret> {
        let secret = self.find(region, id)?;
        secret.ensure_not_deleted().map(|()| secret)
    }

    /// Changes a secret that is not marked for deletion. If `edit` or persisting fails, nothing
    /// changes.
    pub(crate) fn edit_active<T>(
        &mut self,
        region: &str,
        id: &str,
        edit: impl FnOnce(&mut Secret, &Keys) -> Result<T>,
    ) -> Result<T> {
        self.edit(region, id, |secret, keys| {
            secret.ensure_not_deleted()?;
            edit(secret, keys)
        })
    }

    /// Changes a secret. If `edit` or persisting fails, nothing changes.
    pub(crate) fn edit<T>(
        &mut self,
        region: &str,
        id: &str,
        edit: impl FnOnce(&mut Secret, &Keys) -> Result<T>,
    ) -> Result<T> {
        let mut secret = self.find(region, id)?.clone();
        let done = edit(&mut secret, &self.keys)?;
        self.save(secret)?;
        Ok(done)
    }

    /// Stores a secret, and replaces the one with the same region and name.
    ///
    /// # Errors
    /// Returns an error if the change cannot be persisted.
    pub fn save(&mut self, secret: Secret) -> Result<()> {
        self.persist_change(&Change::Secret(&secret))?;
        let secrets = self.regions.entry(secret.region.clone()).or_default();
        secrets.insert(secret.name.clone(), secret);
        Ok(())
    }

    pub(crate) fn remove(&mut self, region: &str, name: &str) -> Result<()> {
        self.persist_change(&Change::Gone { region, name })?;
        if let Some(secrets) = self.regions.get_mut(region) {
            secrets.remove(name);
        }
        Ok(())
    }

    /// Returns the secrets of a region, sorted by name.
    pub(crate) fn secrets(&self, region: &str) -> impl Iterator<Item = &Secret> {
        self.regions.get(region).into_iter().flat_map(BTreeMap::values)
    }

    /// Returns the secrets of all regions, sorted by region and name.
    pub fn all(&self) -> impl Iterator<Item = &Secret> {
        self.regions.values().flat_map(BTreeMap::values)
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

fn is_partial(arn: &str, id: &str) -> bool {
    arn.strip_prefix(id).is_some_and(|rest| rest.len() == 7 && rest.starts_with('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> Store {
        let mut store = Store::default();
        for name in ["a/b", "a/b-c", "other"] {
            let arn = store.new_arn("eu-west-1", name);
            store.save(Secret::new("eu-west-1", name, arn, 0.0)).unwrap();
        }
        store
    }

    #[test]
    fn arn_is_found_with_and_without_its_suffix() {
        let store = store();
        let arn = store.find("eu-west-1", "a/b").unwrap().arn.clone();
        for id in ["a/b", &arn, &arn[..arn.len() - 7]] {
            assert_eq!(store.find("eu-west-1", id).unwrap().name, "a/b");
        }
        assert!(store.find("eu-west-1", "a").is_err());
        assert!(store.find("eu-west-1", &arn[..arn.len() - 1]).is_err());
        assert!(store.find("us-east-1", &arn).is_err());
        assert_eq!(store.anywhere(&arn).unwrap().name, "a/b");
    }

    #[test]
    fn change_that_cannot_be_saved_has_no_effect() {
        let mut store = store();
        store.set_persist(Box::new(|_| anyhow::bail!("the disk is full")));
        let edit = |secret: &mut Secret, _: &Keys| {
            secret.description = Some("new".into());
            Ok(())
        };
        let error = store.edit("eu-west-1", "a/b", edit).unwrap_err();
        assert_eq!((error.status, &*error.code), (500, "InternalServiceError"));
        assert_eq!(store.find("eu-west-1", "a/b").unwrap().description, None);
        assert!(
            store.remove("eu-west-1", "a/b").is_err() && store.find("eu-west-1", "a/b").is_ok()
        );
    }
}
