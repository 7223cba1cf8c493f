//! The recovery file of a rotation, so that no password is lost if this program is interrupted.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use secretsmanager_emulator::Secret;

/// The recovery file next to the secret's file, which holds the state of a rotation. Only its owner
/// can read it.
#[derive(Debug, Clone)]
pub(crate) struct RecoveryFile {
    path: PathBuf,
    /// `true` if the database may have the pending password. Clones share the value.
    reached: Arc<AtomicBool>,
}

/// An unfinished rotation, as the recovery file stores it.
#[derive(Serialize, Deserialize)]
pub(crate) struct UnfinishedRotation {
    /// The secret's file as it was read. If it differs now, the user has corrected it.
    pub(crate) file: Value,
    /// The secret with all its versions.
    pub(crate) secret: Secret,
    /// The `ROTATION_STRATEGY` of the rotation.
    pub(crate) strategy: String,
    /// `true` if the database may have the pending password.
    #[serde(default = "yes")]
    pub(crate) reached: bool,
}

fn yes() -> bool {
    true
}

impl RecoveryFile {
    /// Returns the recovery file of a secret's file, such as `secret.json.rotation`.
    pub(crate) fn beside(secret: &Path) -> Self {
        Self { path: beside(secret, ".rotation"), reached: Arc::default() }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the unfinished rotation of an earlier run.
    pub(crate) fn read(&self) -> Result<Option<UnfinishedRotation>> {
        match fs::read(&self.path) {
            Ok(bytes) => {
                let left_over: serde_json::Result<UnfinishedRotation> =
                    serde_json::from_slice(&bytes);
                Ok(Some(left_over.with_context(|| {
                    format!(
                        "{0}, the recovery file of an unfinished rotation, is damaged. It may hold \
                         the only copy of the password that the database has. Open it, find the \
                         version labelled AWSPENDING, and try its password. If it logs in, write \
                         it to the secret's file. Then move {0} away",
                        self.path.display()
                    )
                })?))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => {
                Err(error).with_context(|| format!("could not read {}", self.path.display()))
            }
        }
    }

    pub(crate) fn write(&self, left_over: &UnfinishedRotation) -> Result<()> {
        write_atomically(&self.path, &serde_json::to_vec_pretty(left_over)?)
    }

    /// Returns `true` if the database may have the pending password.
    pub(crate) fn reached(&self) -> bool {
        self.reached.load(Ordering::SeqCst)
    }

    /// Records whether the database may have the pending password, and updates the recovery file if
    /// it exists.
    pub(crate) fn set_reached(&self, reached: bool) -> Result<()> {
        self.reached.store(reached, Ordering::SeqCst);
        match self.read()? {
            Some(mut left_over) if left_over.reached != reached => {
                left_over.reached = reached;
                self.write(&left_over)
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn remove(&self) -> Result<()> {
        fs::remove_file(&self.path)
            .with_context(|| format!("could not delete {}", self.path.display()))
    }
}

/// Returns the path of another file with a suffix appended to its name.
pub(crate) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(end);
    path.into()
}

/// Writes a file atomically. An existing file keeps its mode and owner. A new file can be read only
/// by its owner.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    // If the path is a symbolic link, its target is replaced, not the link.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let old = fs::metadata(path).ok();
    let mode = old.as_ref().map_or(0o600, |meta| meta.permissions().mode() & 0o777);
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    let write = || -> std::io::Result<()> {
        // A temporary file that an earlier run has left can have any mode.
        let _ = fs::remove_file(&new);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        if let Some(old) = &old {
            let own = file.metadata()?;
            if (own.uid(), own.gid()) != (old.uid(), old.gid()) {
                fchown(&file, Some(old.uid()), Some(old.gid()))?;
            }
        }
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        // The file's new name must also be on disk before anything changes in the database.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    };
    write()
        .inspect_err(|_| drop(fs::remove_file(&new)))
        .with_context(|| format!("could not write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recovery_file_round_trips_and_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let journal = RecoveryFile::beside(&folder.path().join("secret.json"));
        assert!(journal.read().unwrap().is_none());
        let secret = Secret::new("us-east-1", "s", "the ARN".into(), 0.0);
        let strategy = "single-user".to_owned();
        journal
            .write(&UnfinishedRotation { file: Value::Null, secret, strategy, reached: false })
            .unwrap();
        assert_eq!(fs::metadata(journal.path()).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(journal.read().unwrap().unwrap().secret.arn, "the ARN");
        assert!(!journal.read().unwrap().unwrap().reached);
        journal.set_reached(true).unwrap();
        assert!(journal.read().unwrap().unwrap().reached);
        // A file of an earlier release has no such key, so the database may have the password.
        let text = fs::read_to_string(journal.path()).unwrap();
        fs::write(journal.path(), text.replace("\"reached\": true", "\"other\": true")).unwrap();
        assert!(journal.read().unwrap().unwrap().reached);
        fs::write(journal.path(), &text[..text.len() / 2]).unwrap();
        let damaged = journal.read().err().unwrap();
        assert!(format!("{damaged:#}").contains("only copy"), "{damaged:#}");
        journal.remove().unwrap();
        assert!(journal.read().unwrap().is_none());
    }
}
