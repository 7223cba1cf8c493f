//! The option `rotate --abandon`, which cancels an unfinished rotation if that loses no password.

use anyhow::{Result, bail};
use rotation_driver::Function;
use secretsmanager_emulator::{PENDING, Service};
use serde_json::json;

use super::SECRET;
use crate::journal::RecoveryFile;
use crate::progress::say;

/// Deletes the recovery file, unless the database has or may have the pending password.
pub(super) async fn abandon(
    service: &Service,
    function: &Function,
    strategy: &str,
    journal: &RecoveryFile,
) -> Result<()> {
    let pending = json!({"SecretId": SECRET, "VersionStage": PENDING});
    let Some(token) =
        service.unfinished(SECRET).filter(|_| service.perform("GetSecretValue", &pending).is_ok())
    else {
        return discard(journal, "it has not created a new password");
    };
    if !journal.reached() {
        return discard(
            journal,
            &format!("the password of version {token} has reached no database"),
        );
    }
    if strategy == "single-user-by-master" {
        bail!(
            "the master may have set the new password for some accounts of the user, for instance \
             those of other hosts, so the rotation must not be discarded. Run the same command \
             without --abandon to finish it."
        );
    }
    // The version's credential logs in if and only if the database has its password.
    let event = json!({"Step": "testSecret", "SecretId": SECRET, "ClientRequestToken": token});
    match function.invoke(&event).await {
        Err(error) if error.error_type == "CredentialsRefused" => {
            discard(journal, &format!("the database rejects the password of version {token}"))
        }
        Err(error) if error.error_type != "UsersDiffer" => bail!(
            "could not check whether the database has the password of the unfinished rotation: \
             {}: {}\nNothing was discarded. Run this command again when the database responds. \
             The password is in {}.",
            error.error_type,
            error.message,
            journal.path().display()
        ),
        _ => bail!(
            "the database has the password of the unfinished rotation, so it must not be \
             discarded. Run the same command without --abandon to finish it."
        ),
    }
}

fn discard(journal: &RecoveryFile, why: &str) -> Result<()> {
    journal.remove()?;
    say(&format!("The unfinished rotation is discarded: {why}. The secret's file is unchanged."));
    Ok(())
}
