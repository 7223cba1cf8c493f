//! The `preflight` step: it checks everything that a rotation needs from inside the function's
//! network, and changes nothing.
//!
//! An operator starts it with `aws lambda invoke` and `events/preflight.json`, preferably before
//! rotation is turned on.

use crate::checks::{Checks, Status};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::operator::secret_file;
use crate::record::Done;
use crate::replicas::Replica;
use crate::rotator::Rotator;
use crate::staging::CURRENT;

/// Checks the calls to Secrets Manager, then calls [`Rotator::preflight`] for everything else.
pub(crate) async fn run<R: Rotator>(rotator: &R, cx: &Context<'_>) -> Result<Done> {
    let mut checks = Checks::default();
    let (manager, id) = (cx.manager, cx.secret_id());
    let random = async {
        match rotator.password() {
            Some(settings) => Some(manager.random_password(settings).await),
            None => None,
        }
    };
    let (description, current, random) =
        tokio::join!(manager.describe(id), manager.value(id, CURRENT), random);
    let described =
        checks.record("Secrets Manager is reachable, and DescribeSecret is allowed", description);
    if let Some(description) = described {
        if description.rotation_enabled != Some(true) && secret_file().is_none() {
            checks.skipped(
                "rotation is turned on",
                "rotation is off; turn it on with rotate-secret --rotation-lambda-arn",
            );
        }
        let is_free = match description.unfinished() {
            Some(version) => Err(Error::RotationUnfinished { version: version.to_owned() }),
            None => Ok(()),
        };
        checks.record("no rotation is in progress", is_free);
        for replica in &description.replicas.accounts {
            check_replica(replica, &mut checks);
        }
    }
    let current = current.and_then(|value| value.ok_or(Error::NoCurrentVersion));
    let current = checks.record("the secret's AWSCURRENT value can be read and decrypted", current);
    let random = match random {
        Some(random) => {
            checks.record("GetRandomPassword is allowed and accepts the password settings", random)
        }
        None => None,
    };
    if secret_file().is_none() {
        checks.skipped(
            "PutSecretValue and UpdateSecretVersionStage are allowed",
            "not checked, because these calls change the secret; check that the function's role \
             allows both",
        );
    }
    if let Some(current) = &current
        && checks.record("the secret's value is complete", rotator.validate(current)).is_some()
    {
        Box::pin(rotator.preflight(cx, current, random, &mut checks)).await;
    }
    let failed = checks.count(|status| matches!(status, Status::Failed { .. }));
    let skipped = checks.count(|status| matches!(status, Status::Skipped { .. }));
    let ran = checks.0.len() - skipped;
    let did = format!("Ran {ran} checks, skipped {skipped}, and changed nothing.");
    let did = match failed {
        0 => format!("{did} The secret can be rotated."),
        _ => format!("{did} {failed} failed: a rotation would fail."),
    };
    Ok(Done { checks: checks.0, ..Done::now(did) })
}

/// Checks a replica in another account.
fn check_replica(replica: &Replica, checks: &mut Checks) {
    let name = &replica.name;
    let check = format!("replication to {name} has not failed");
    match replica.failure() {
        Some(error) => checks.failed(check, &error),
        None => checks.passed(check),
    }
    if replica.role.is_none() {
        checks.skipped(
            format!("kms:Encrypt is allowed on the KMS key of {name}"),
            "not checked, because only a change of the secret uses the key; the replica has no \
             replication role, so check that the function's role and the policy of the replica's \
             key allow it (parameter replicaKmsKeyArn of the template)",
        );
    }
}
