//! The authorities to trust, in the file that the driver reads them from.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tempfile::TempDir;

/// The folders that were written, with what is in them: one for each set of authorities, for as long as the process
/// lives.
static WRITTEN: Mutex<Vec<(String, TempDir)>> = Mutex::new(Vec::new());

/// A folder with these authorities in `ewallet.pem`. They are no secret.
///
/// # Errors
/// When the temporary folder cannot be written.
pub(crate) fn folder(authorities: &str) -> io::Result<PathBuf> {
    let mut written = WRITTEN.lock().unwrap_or_else(PoisonError::into_inner);
    let known = written.iter().find(|(pem, folder)| pem == authorities && has_file(folder.path()));
    if let Some((_, folder)) = known {
        return Ok(folder.path().to_owned());
    }
    let folder = tempfile::Builder::new().prefix("authorities-").tempdir()?;
    fs::write(folder.path().join(FILE), authorities)?;
    let path = folder.path().to_owned();
    written.push((authorities.to_owned(), folder));
    Ok(path)
}

const FILE: &str = "ewallet.pem";

fn has_file(folder: &Path) -> bool {
    folder.join(FILE).exists()
}
