//! The state file, which keeps secrets across restarts: a redb database whose values are encrypted
//! with a passphrase.
//!
//! An acknowledged write is on disk: redb commits with `fsync`, and after a crash it reopens the
//! file with the last commit. Each secret is one record, which AES-256-GCM encrypts with a key that
//! PBKDF2 derives from the passphrase. The secret's name is inside the encrypted record. The key
//! under which redb stores the record is a keyed hash of the region and name.

use std::fs::{OpenOptions, Permissions};
use std::num::NonZeroU32;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail};
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::{hmac, pbkdf2, rand};
use redb::{Database, DatabaseError, ReadableDatabase as _, ReadableTable as _, TableDefinition};

use crate::keys::Keys;
use crate::scope::Scope;
use crate::secret::Secret;
use crate::store::{Change, Store};

const RECORDS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("records");
const ABOUT: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("about");

/// The number of PBKDF2-HMAC-SHA256 iterations that
/// [OWASP](https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html)
/// recommends.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(600_000).unwrap();

/// An open state file. Another process cannot open it at the same time.
pub struct State {
    database: Database,
    seal: Cipher,
}

struct Cipher {
    records: RandomizedNonceKey,
    names: hmac::Key,
}

/// The redb key of the record with the KMS keys. The redb keys of secrets are longer (32 bytes).
const KEYS: &[u8] = b"keys";

impl State {
    /// Opens the file, or creates it so that only its owner can read it.
    ///
    /// # Errors
    /// Returns an error if the passphrase is wrong, another process has the file open, or it is not
    /// a state file.
    pub fn open(path: &Path, passphrase: &str) -> Result<Self> {
        let file = path.display();
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let opened = options
            .open(path)
            .with_context(|| format!("--state {file}: could not open the file"))?;
        if opened.metadata()?.len() == 0 {
            opened.set_permissions(Permissions::from_mode(0o600))?;
        }
        let database = Database::builder().create(path).map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => {
                anyhow!(
                    "--state {file}: another process has the file open; stop the other \
                     rotation-local first"
                )
            }
            other => anyhow!(
                "--state {file}: could not open the database; check that rotation-local created \
                 the file: {other}"
            ),
        })?;
        let (salt, check) = about(&database).with_context(|| format!("--state {file}"))?;
        let seal = Cipher::new(passphrase, &salt)?;
        match check {
            Some(check) if seal.open(b"check", &check).is_err() => {
                bail!(
                    "--state {file}: the passphrase is not the one that the file was created with"
                )
            }
            Some(_) => {}
            None => {
                let write = database.begin_write()?;
                write.open_table(ABOUT)?.insert("check", &*seal.close(b"check", b"")?)?;
                write.commit()?;
            }
        }
        Ok(Self { database, seal })
    }

    /// Reads all secrets and KMS keys.
    ///
    /// # Errors
    /// Returns an error if a record cannot be read or decrypted.
    pub fn load(&self) -> Result<Store> {
        let mut store = Store::default();
        let read = self.database.begin_read()?;
        let Ok(records) = read.open_table(RECORDS) else { return Ok(store) };
        for record in records.iter()? {
            let (key, sealed) = record?;
            let bytes = self.seal.open(key.value(), sealed.value())?;
            if key.value() == KEYS {
                store.set_keys(serde_json::from_slice::<Keys>(&bytes)?)?;
            } else {
                store.save(serde_json::from_slice::<Secret>(&bytes)?)?;
            }
        }
        Ok(store)
    }

    /// Returns the access key id that is stored in the file, or generates
    /// and stores one.
    /// Clients can keep their configuration over restarts because the id stays the same.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read or written.
    pub fn access_key(&self) -> Result<String> {
        const NAME: &str = "access key";
        let write = self.database.begin_write()?;
        let key = {
            let mut about = write.open_table(ABOUT)?;
            let known = about.get(NAME)?.map(|sealed| sealed.value().to_vec());
            if let Some(sealed) = known {
                String::from_utf8(self.seal.open(NAME.as_bytes(), &sealed)?)?
            } else {
                let key = crate::service::new_key();
                about.insert(NAME, &*self.seal.close(NAME.as_bytes(), key.as_bytes())?)?;
                key
            }
        };
        write.commit()?;
        Ok(key)
    }

    /// Writes a change. It is on disk when this function returns.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub fn write(&self, change: &Change<'_>) -> Result<()> {
        let write = self.database.begin_write()?;
        {
            let mut records = write.open_table(RECORDS)?;
            match change {
                Change::Secret(secret) => {
                    let key = self.seal.name(secret.scope(), &secret.name);
                    records
                        .insert(&*key, &*self.seal.close(&key, &serde_json::to_vec(secret)?)?)?;
                }
                Change::Gone { account, region, name } => {
                    let scope = Scope { account: *account, region };
                    drop(records.remove(&*self.seal.name(scope, name))?)
                }
                Change::Keys(keys) => {
                    records.insert(KEYS, &*self.seal.close(KEYS, &serde_json::to_vec(keys)?)?)?;
                }
            }
        }
        write.commit()?;
        Ok(())
    }
}

/// Returns the salt, which is generated if the file has none, and the record that proves whether a
/// passphrase is correct.
fn about(database: &Database) -> Result<(Vec<u8>, Option<Vec<u8>>)> {
    let write = database.begin_write()?;
    let (salt, check) = {
        let mut about = write.open_table(ABOUT)?;
        let known = about.get("salt")?.map(|salt| salt.value().to_vec());
        let salt = match known {
            Some(salt) => salt,
            None => {
                let mut salt = vec![0; 16];
                rand::fill(&mut salt).map_err(|_| anyhow!("could not generate a salt"))?;
                about.insert("salt", &*salt)?;
                salt
            }
        };
        let check = about.get("check")?.map(|check| check.value().to_vec());
        (salt, check)
    };
    write.commit()?;
    Ok((salt, check))
}

impl Cipher {
    fn new(passphrase: &str, salt: &[u8]) -> Result<Self> {
        let mut keys = [0; 64];
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA256,
            ITERATIONS,
            salt,
            passphrase.as_bytes(),
            &mut keys,
        );
        let records = RandomizedNonceKey::new(&AES_256_GCM, &keys[..32])
            .map_err(|_| anyhow!("could not create the encryption key"))?;
        Ok(Self { records, names: hmac::Key::new(hmac::HMAC_SHA256, &keys[32..]) })
    }

    fn name(&self, scope: Scope<'_>, name: &str) -> Vec<u8> {
        // A region has no slash, so the two forms are never equal.
        let scope = match scope.account {
            Some(account) => format!("{account}/{}", scope.region),
            None => scope.region.to_owned(),
        };
        hmac::sign(&self.names, format!("{scope}/{name}").as_bytes()).as_ref().to_vec()
    }

    /// Returns the nonce followed by the encrypted bytes. They can be decrypted only with the same
    /// `place`, so a record that is copied to another key is rejected.
    fn close(&self, place: &[u8], bytes: &[u8]) -> Result<Vec<u8>> {
        let mut sealed = bytes.to_vec();
        let nonce = self
            .records
            .seal_in_place_append_tag(Aad::from(place), &mut sealed)
            .map_err(|_| anyhow!("could not encrypt a record"))?;
        Ok([nonce.as_ref().as_slice(), &sealed].concat())
    }

    fn open(&self, place: &[u8], sealed: &[u8]) -> Result<Vec<u8>> {
        let broken = || anyhow!("could not decrypt a record");
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN).ok_or_else(broken)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| broken())?;
        let mut bytes = sealed.to_vec();
        let opened = self
            .records
            .open_in_place(nonce, Aad::from(place), &mut bytes)
            .map_err(|_| broken())?;
        Ok(opened.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::SecretValue;

    #[test]
    fn state_needs_its_passphrase() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let state = State::open(&path, "a passphrase").unwrap();
        let mut secret = Secret::new("eu-west-1", "the-name", "arn:the-arn".into(), 1.0);
        secret.put("v".repeat(32), SecretValue::Text("the-password".into()), None, 1.0).unwrap();
        state.write(&Change::Secret(&secret)).unwrap();
        state.write(&Change::Keys(&Keys { disabled: ["k".to_owned()].into() })).unwrap();
        let other = Secret::new("eu-west-1", "other", "arn:other".into(), 1.0);
        state.write(&Change::Secret(&other)).unwrap();
        state.write(&Change::Gone { account: None, region: "eu-west-1", name: "other" }).unwrap();
        assert!(
            State::open(&path, "a passphrase")
                .is_err_and(|error| error.to_string().contains("another process"))
        );
        drop(state);

        let bytes = std::fs::read(&path).unwrap();
        for text in ["the-name", "the-password", "the-arn"] {
            assert!(
                !bytes.windows(text.len()).any(|window| window == text.as_bytes()),
                "{text} is readable"
            );
        }
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

        let wrong = State::open(&path, "another").err().unwrap().to_string();
        assert!(wrong.contains("passphrase"), "{wrong}");
        let store = State::open(&path, "a passphrase").unwrap().load().unwrap();
        let read = store.find(Scope::own("eu-west-1"), "the-name").unwrap();
        assert!(read.versions[0].value == Some(SecretValue::Text("the-password".into())));
        assert!(
            store.find(Scope::own("eu-west-1"), "other").is_err()
                && !store.keys().are_usable(Some("k"))
        );
    }

    #[test]
    fn foreign_state_file_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        std::fs::write(&path, "my notes\n".repeat(1000)).unwrap();
        assert!(State::open(&path, "x").is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "my notes\n".repeat(1000));
    }
}
