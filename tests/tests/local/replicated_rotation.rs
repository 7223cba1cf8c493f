//! Tests of rotations of a secret that has a replica in another account.

use anyhow::{Context, Result, ensure};
use rotation_driver::{Function, Rotation};
use rotation_tests::fixture::SECRET_ARN;
use rotation_tests::postgres::{Fixture, Target, on_newest};
use secretsmanager_emulator::ReplicationControl;
use serde_json::{Value, json};

use crate::raw::Raw;

/// The account of the replica.
const OTHER: &str = "222222222222";

/// A secret that can be rotated, with its replica `copy` in the account [`OTHER`].
struct Replicated {
    fixture: Fixture,
    replica: Raw,
    /// The ARN of the replica.
    copy: String,
}

impl Replicated {
    async fn new(target: &Target, role: Option<&str>) -> Result<Self> {
        let fixture = Fixture::new(target).await?;
        let replica = Raw::at(fixture.service.endpoint(), "test", "us-east-1").in_account(OTHER);
        let create =
            json!({"Name": "copy", "CrossAccountPrimaryARN": SECRET_ARN, "KmsKeyId": "key"});
        let created = replica.call("CreateSecret", create).await?;
        let copy = created["ARN"].as_str().context("the replica has no ARN")?.to_owned();
        let mut link = json!({"SecretId": SECRET_ARN, "CrossAccountReplicaARN": copy});
        if let Some(role) = role {
            link["ReplicationRoleARN"] = role.into();
        }
        fixture.service.perform("AssociateCrossAccountReplica", &link)?;
        let replicated = Self { fixture, replica, copy };
        ensure!(replicated.status()? == "InSync");
        Ok(replicated)
    }

    /// Returns the status that the primary shows.
    fn status(&self) -> Result<Value> {
        let id = json!({"SecretId": SECRET_ARN});
        let described = self.fixture.service.perform("DescribeSecret", &id)?;
        Ok(described["CrossAccountReplicas"][0]["ReplicationStatus"].clone())
    }

    async fn value_of_replica(&self) -> Result<Value> {
        let got = self.replica.call("GetSecretValue", json!({"SecretId": "copy"})).await?;
        Ok(serde_json::from_str(got["SecretString"].as_str().unwrap_or_default())?)
    }

    fn control(&self, delay_seconds: f64, failure: Option<&str>) {
        let failure = failure.map(str::to_owned);
        self.fixture
            .service
            .control_replication(OTHER, ReplicationControl { delay: delay_seconds, failure });
    }

    /// Rotates, and returns the notes of `finishSecret`.
    async fn notes(&self, function: &Function) -> Result<Vec<String>> {
        notes(&self.fixture.rotate(function).await?)
    }
}

fn notes(rotation: &Rotation) -> Result<Vec<String>> {
    let finish = rotation.steps.last().context("no step has run")?;
    let record = finish.result.as_ref().map_err(|error| anyhow::anyhow!("{error:?}"))?;
    Ok(serde_json::from_value(record["notes"].clone()).unwrap_or_default())
}

#[tokio::test]
async fn finish_waits_until_a_replica_in_another_account_is_in_sync() {
    on_newest(|target| async move {
        let replicated = Replicated::new(&target, None).await?;
        let function = replicated.fixture.function("single-user");
        replicated.control(1.0, None);
        ensure!(replicated.notes(&function).await?.is_empty());
        assert_eq!(replicated.value_of_replica().await?, replicated.fixture.value("AWSCURRENT")?);

        replicated.control(3600.0, None);
        let notes = replicated.notes(&function).await?;
        assert_eq!(notes, [format!("The replica {} is not in sync yet.", replicated.copy)]);
        // The rotation is complete all the same.
        replicated.fixture.log_in().await?;
        Ok(())
    })
    .await;
}

/// The applications that read the replica use the password of an earlier rotation. Another rotation
/// would change that password.
#[tokio::test]
async fn failed_replication_stops_the_next_rotation_before_it_locks_anybody_out() {
    on_newest(|target| async move {
        let replicated = Replicated::new(&target, None).await?;
        let (fixture, copy) = (&replicated.fixture, &replicated.copy);
        let function = fixture.function("master-user");
        replicated.control(0.0, Some("Access to KMS is not allowed"));
        let notes = replicated.notes(&function).await?;
        let [note] = &notes[..] else { anyhow::bail!("{notes:?}") };
        for part in [copy, "Access to KMS is not allowed", "kms:Encrypt", "replicaKmsKeyArn"] {
            ensure!(note.contains(part), "{part} is not in {note}");
        }
        let stale = replicated.value_of_replica().await?;
        assert_ne!(stale, fixture.value("AWSCURRENT")?);

        let error = fixture.expect(&function, "ReplicationFailed", copy).await?;
        fixture.log_in_with(&stale).await?;
        fixture.log_in().await?;

        // The remedy, as it is written.
        replicated.control(0.0, None);
        let link = json!({"SecretId": SECRET_ARN, "CrossAccountReplicaARN": copy});
        ensure!(error.message.contains(&format!(
            "associate-cross-account-replica --secret-id SECRET --cross-account-replica-arn {copy}"
        )));
        fixture.service.perform("AssociateCrossAccountReplica", &link)?;
        let rotation = fixture.again(&function).await?;
        ensure!(rotation.failed.is_none(), "{:?}", rotation.failed);
        ensure!(self::notes(&rotation)?.is_empty());
        assert_eq!(replicated.value_of_replica().await?, fixture.value("AWSCURRENT")?);

        // The other remedy.
        replicated.control(0.0, Some("Access to KMS is not allowed"));
        replicated.notes(&function).await?;
        let token = fixture.stage(None)?;
        let refused = fixture.attempt(&function, &token, 5).await;
        assert_eq!(refused.steps.len(), 1, "the rotation was retried");
        ensure!(error.message.contains(&format!(
            "disassociate-cross-account-replica --secret-id SECRET --cross-account-replica-arn \
             {copy}"
        )));
        fixture.service.perform("DisassociateCrossAccountReplica", &link)?;
        let rotation = fixture.again(&function).await?;
        ensure!(rotation.failed.is_none(), "{:?}", rotation.failed);
        Ok(())
    })
    .await;
}

/// A rotation that has changed the database must be completed, whatever happens to the replica.
#[tokio::test]
async fn failed_replication_does_not_stop_a_rotation_that_has_begun() {
    on_newest(|target| async move {
        let replicated = Replicated::new(&target, None).await?;
        let fixture = &replicated.fixture;
        let function = fixture.function("single-user");
        let token = fixture.stage(None)?;
        fixture.step(&function, "createSecret", &token).await?;
        fixture.step(&function, "setSecret", &token).await?;
        replicated.control(0.0, Some("the key is disabled"));
        let link = json!({"SecretId": SECRET_ARN, "CrossAccountReplicaARN": replicated.copy});
        fixture.service.perform("AssociateCrossAccountReplica", &link)?;
        assert_eq!(replicated.status()?, "Failed");
        let rotation = fixture.again(&function).await?;
        ensure!(rotation.failed.is_none(), "{:?}", rotation.failed);
        fixture.log_in().await?;
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn preflight_names_the_permission_of_a_replica_without_a_role() {
    on_newest(|target| async move {
        let role = "arn:aws:iam::123456789012:role/replication";
        for (role, is_named) in [(None, true), (Some(role), false)] {
            let replicated = Replicated::new(&target, role).await?;
            let function = replicated.fixture.function("single-user");
            let checks = replicated.fixture.preflight(&function).await?;
            let status = |check: &str| {
                let check = format!("{check} {}", replicated.copy);
                let found = checks.iter().find(|one| one["check"].as_str() == Some(&check));
                found.map(|found| found["status"].clone())
            };
            assert_eq!(status("kms:Encrypt is allowed on the KMS key of").is_some(), is_named);
            let replication = format!("replication to {} has not failed", replicated.copy);
            let passed = checks.iter().find(|one| one["check"].as_str() == Some(&replication));
            assert_eq!(passed.context("no check of the replica")?["status"], "passed");
            // The remedy keeps the role.
            if let Some(role) = role {
                replicated.control(0.0, Some("no"));
                replicated.notes(&function).await?;
                let part = format!("--replication-role-arn {role}");
                replicated.fixture.preflight_finds(&function, "ReplicationFailed", &part).await?;
            }
        }
        Ok(())
    })
    .await;
}
