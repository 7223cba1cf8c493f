//! `rotate --abandon`: gives an unfinished rotation up, if that loses no password.

use anyhow::{Result, bail};
use serde_json::json;

use super::SECRET;
use crate::function::Function;
use crate::journal::Journal;
use crate::progress::say;
use crate::service::{PENDING, Service};

/// Discards the journal, unless the database has the pending password or may have it.
pub(super) async fn abandon(
    service: &Service,
    function: &Function,
    strategy: &str,
    journal: &Journal,
) -> Result<()> {
    let pending = json!({"SecretId": SECRET, "VersionStage": PENDING});
    let Some(token) =
        service.unfinished(SECRET).filter(|_| service.perform("GetSecretValue", &pending).is_ok())
    else {
        return discard(journal, "it had not created a new password");
    };
    if !journal.reached() {
        return discard(
            journal,
            &format!("the password of version {token} has reached no database"),
        );
    }
    if strategy == "single-user-by-master" {
        bail!(
            "the master may have given some accounts of the user the new password already, those of other hosts for \
             instance, so the rotation must not be discarded. Run the same command without --abandon to finish it."
        );
    }
    // The version's credential logs in if, and only if, the database has its password.
    let event = json!({"Step": "testSecret", "SecretId": SECRET, "ClientRequestToken": token});
    match function.invoke(&event).await {
        Err(error) if error.error_type == "CredentialsRefused" => {
            discard(journal, &format!("the database rejects the password of version {token}"))
        }
        Err(error) if error.error_type != "UsersDiffer" => bail!(
            "whether the database has the password of the unfinished rotation could not be found out: {}: {}\nNothing was \
             discarded. Run this again when the database answers. {} holds the password.",
            error.error_type,
            error.message,
            journal.path().display()
        ),
        _ => bail!(
            "the database has the password of the unfinished rotation, so it must not be discarded. Run the same command \
             without --abandon to finish it."
        ),
    }
}

fn discard(journal: &Journal, why: &str) -> Result<()> {
    journal.remove()?;
    say(&format!("The unfinished rotation is discarded: {why}. The secret's file is unchanged."));
    Ok(())
}
