//! The authorities to trust, in the file that the driver reads them from.

use std::{fs, io};

use rotation_database::LoginError;
use tempfile::TempDir;

/// A folder with these authorities in `ewallet.pem`, for one login: a process may be killed at any
/// time, and what it keeps for longer stays behind. They are no secret.
///
/// # Errors
/// When the temporary folder cannot be written.
pub(crate) fn folder(authorities: &str) -> Result<TempDir, LoginError> {
    let write = || -> io::Result<TempDir> {
        let folder = tempfile::Builder::new().prefix("authorities-").tempdir()?;
        fs::write(folder.path().join("ewallet.pem"), authorities)?;
        Ok(folder)
    };
    write().map_err(|error| LoginError::no_file(&error))
}
