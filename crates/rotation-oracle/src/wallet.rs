//! Writes the trusted CA certificates to the file from which the driver reads them.

use std::{fs, io};

use rotation_database::LoginError;
use tempfile::TempDir;

/// Creates a temporary directory with these CA certificates in `ewallet.pem`.
///
/// The directory is for one login only, because a process that is killed leaves it behind. The
/// certificates are not secret.
///
/// # Errors
/// If the directory or the file cannot be written.
pub(crate) fn folder(authorities: &str) -> Result<TempDir, LoginError> {
    let write = || -> io::Result<TempDir> {
        let folder = tempfile::Builder::new().prefix("authorities-").tempdir()?;
        fs::write(folder.path().join("ewallet.pem"), authorities)?;
        Ok(folder)
    };
    write().map_err(|error| LoginError::no_file(&error))
}
