//! A PostgreSQL fixture for `rotation-local`, whose secret is in a file.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rotation_tests::postgres::{Fixture, Target};
use serde_json::Value;
use tempfile::TempDir;

/// Writes the CA certificate of the server of a fixture to a file in a folder.
pub(crate) fn authority(fixture: &Fixture, folder: &Path) -> Result<String> {
    let path = folder.join("authority.pem");
    std::fs::write(&path, fixture.target.authority.clone().unwrap_or_default())?;
    Ok(path.to_string_lossy().into_owned())
}

/// A fixture whose secret is in the file `secret.json`.
pub(crate) struct OwnDatabase {
    pub(crate) fixture: Fixture,
    pub(crate) folder: TempDir,
    /// The path of the file with the CA certificate.
    pub(crate) authority: String,
    pub(crate) file: PathBuf,
    pub(crate) secret: Value,
}

impl OwnDatabase {
    pub(crate) async fn of(target: &Target) -> Result<Self> {
        let fixture = Fixture::new(target).await?;
        let folder = tempfile::tempdir()?;
        let authority = authority(&fixture, folder.path())?;
        let file = folder.path().join("secret.json");
        let mut secret = fixture.value("AWSCURRENT")?;
        secret.as_object_mut().context("the secret is not a JSON object")?.remove("masterarn");
        std::fs::write(&file, secret.to_string())?;
        Ok(Self { fixture, folder, authority, file, secret })
    }
}
