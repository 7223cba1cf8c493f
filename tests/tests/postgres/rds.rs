//! Tests of master secrets that RDS manages, and of secrets for a replica.
//!
//! RDS reports which server a master secret is for.

use anyhow::{Context, Result};
use rotation_driver::Program;
use rotation_tests::fixture::MASTER_ARN;
use rotation_tests::moto::Moto;
use rotation_tests::postgres::{Fixture, Target, on_each};
use serde_json::{Value, json};

/// The writer and its replica are the same server under two addresses.
const HOSTS: [(&str, &str); 4] =
    [("db-main", "127.0.0.1"), ("db-replica", "::1"), ("aurora", "127.0.0.1"), ("aurora-1", "::1")];

async fn instance(
    moto: &Moto,
    id: &str,
    engine: &str,
    port: u16,
    cluster: Option<&str>,
) -> Result<String> {
    let request = moto.client.create_db_instance().db_instance_identifier(id).engine(engine);
    let request = request.db_instance_class("db.t3.micro").allocated_storage(20).port(port.into());
    let request = match cluster {
        Some(cluster) => request.db_cluster_identifier(cluster),
        None => request.master_username("root").master_user_password("a-password-of-moto"),
    };
    let made = request.send().await?;
    Ok(made
        .db_instance()
        .and_then(|made| made.db_instance_arn())
        .context("the instance has no ARN")?
        .to_owned())
}

/// Removes the host and the engine from the master secret, and tags it as RDS does.
fn managed_by_rds(fixture: &Fixture, tag: &str, arn: &str) -> Result<()> {
    let stored = fixture.service.perform("GetSecretValue", &json!({"SecretId": MASTER_ARN}))?;
    let master: Value = serde_json::from_str(stored["SecretString"].as_str().unwrap_or_default())?;
    let bare = json!({"username": master["username"], "password": master["password"]}).to_string();
    fixture
        .service
        .perform("PutSecretValue", &json!({"SecretId": MASTER_ARN, "SecretString": bare}))?;
    fixture.service.put_reserved_tag(MASTER_ARN, tag, arn)?;
    Ok(())
}

fn program(fixture: &Fixture, moto: &Moto) -> Program {
    fixture.program("master-user").env("AWS_ENDPOINT_URL_RDS", &*moto.endpoint)
}

/// Returns `true` if this machine and the server have IPv6, which gives the replica its own
/// address.
fn has_replica(target: &Target) -> bool {
    let has = target.log.is_some() && std::net::TcpListener::bind(("::1", 0)).is_ok();
    if !has {
        println!("skipped: IPv6 is not available");
    }
    has
}

#[tokio::test]
async fn rds_master_secret_is_used_at_its_tagged_server() {
    on_each(|target| async move {
        if !has_replica(&target) {
            return Ok(());
        }
        let moto = Moto::start(HOSTS.to_vec()).await?;
        let arn = instance(&moto, "db-main", "postgres", target.port, None).await?;
        let replica =
            moto.client.create_db_instance_read_replica().db_instance_identifier("db-replica");
        replica.source_db_instance_identifier("db-main").port(target.port.into()).send().await?;
        // The hosts are the instance itself, another name of it, and its replica.
        for host in ["127.0.0.1", "localhost", "::1"] {
            let fixture = Fixture::new(&target).await?;
            fixture.change(&json!({"host": host}))?;
            managed_by_rds(&fixture, "aws:rds:primaryDBInstanceArn", &arn)?;
            fixture.rotate(&program(&fixture, &moto).into()).await.context(host)?;
            fixture.log_in().await?;
            assert!(
                fixture.function_log().contains("127.0.0.1"),
                "the log does not have the writer's address"
            );
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn unreachable_rds_is_reported() {
    on_each(|target| async move {
        let fixture = Fixture::new(&target).await?;
        let arn = "arn:aws:rds:us-east-1:123456789012:db:db-main";
        managed_by_rds(&fixture, "aws:rds:primaryDBInstanceArn", arn)?;
        let function =
            fixture.program("master-user").env("AWS_ENDPOINT_URL_RDS", "http://127.0.0.1:9");
        fixture.expect(&function.into(), "RdsUnreachable", "AWS_ENDPOINT_URL_RDS").await?;
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn cluster_writer_and_reader_count_as_one_server() {
    on_each(|target| async move {
        if !has_replica(&target) {
            return Ok(());
        }
        let moto = Moto::start(HOSTS.to_vec()).await?;
        let cluster = moto
            .client
            .create_db_cluster()
            .db_cluster_identifier("aurora")
            .engine("aurora-postgresql");
        let cluster = cluster.master_username("root").master_user_password("a-password-of-moto");
        let made = cluster.port(target.port.into()).send().await?;
        let arn = made
            .db_cluster()
            .and_then(|made| made.db_cluster_arn())
            .context("the cluster has no ARN")?
            .to_owned();
        instance(&moto, "aurora-1", "aurora-postgresql", target.port, Some("aurora")).await?;
        for host in ["127.0.0.1", "::1"] {
            let fixture = Fixture::new(&target).await?;
            fixture.change(&json!({"host": host}))?;
            managed_by_rds(&fixture, "aws:rds:primaryDBClusterArn", &arn)?;
            fixture.rotate(&program(&fixture, &moto).into()).await.context(host)?;
            fixture.log_in().await?;
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn master_secret_with_host_works_for_replicas() {
    on_each(|target| async move {
        if !has_replica(&target) {
            return Ok(());
        }
        let moto = Moto::start(HOSTS.to_vec()).await?;
        instance(&moto, "db-main", "postgres", target.port, None).await?;
        let fixture = Fixture::new(&target).await?;
        fixture.change(&json!({"host": "::1"}))?;
        fixture.change_master(&json!({"host": "127.0.0.1"}))?;
        let function = program(&fixture, &moto).into();
        fixture.expect(&function, "MasterHostMismatch", "read replica").await?;

        let replica =
            moto.client.create_db_instance_read_replica().db_instance_identifier("db-replica");
        replica.source_db_instance_identifier("db-main").port(target.port.into()).send().await?;
        let token = fixture.version("AWSPENDING")?.context("no pending version")?;
        assert_eq!(fixture.attempt(&function, &token, 1).await.failed, None);
        fixture.log_in().await?;
        Ok(())
    })
    .await;
}

/// An attacker who can write the secret must not get the master user's password sent to a host of
/// their choice.
#[tokio::test]
async fn server_other_than_tagged_one_is_rejected() {
    on_each(|target| async move {
        if !has_replica(&target) {
            return Ok(());
        }
        let moto = Moto::start(vec![("db-mysql", "127.0.0.1"), ("db-new", "")]).await?;
        let other = instance(&moto, "db-other", "postgres", target.port, None).await?;
        let mysql = instance(&moto, "db-mysql", "mysql", target.port, None).await?;
        let new = instance(&moto, "db-new", "postgres", target.port, None).await?;
        let gone = other.replace("db-other", "db-gone");
        for (arn, error_type, part) in [
            (&other, "MasterHostMismatch", "db-other"),
            (&mysql, "MasterSecretMalformed", "according to RDS, it is for mysql"),
            (&gone, "MasterSecretMalformed", "which RDS does not know"),
            (&new, "MasterSecretMalformed", "RDS shows no endpoint of"),
        ] {
            let fixture = Fixture::new(&target).await?;
            managed_by_rds(&fixture, "aws:rds:primaryDBInstanceArn", arn)?;
            fixture.expect(&program(&fixture, &moto).into(), error_type, part).await?;
            // The master user has not connected.
            assert!(!fixture.server_log()?.contains(&format!("user={}", fixture.master)));
        }
        moto.deny();
        let fixture = Fixture::new(&target).await?;
        managed_by_rds(&fixture, "aws:rds:primaryDBInstanceArn", &other)?;
        fixture
            .expect(&program(&fixture, &moto).into(), "AccessDenied", "rds:DescribeDBInstances")
            .await?;
        Ok(())
    })
    .await;
}

/// Preflight recognizes an endpoint of RDS Proxy before it connects.
#[tokio::test]
async fn endpoint_of_rds_proxy_is_reported_by_preflight() {
    on_each(|target| async move {
        for strategy in ["single-user", "single-user-by-master"] {
            let fixture = Fixture::new(&target).await?;
            let host = "app.proxy-abcdefghijkl.eu-west-1.rds.amazonaws.com";
            fixture.change(&json!({"host": host}))?;
            let function = fixture.function(strategy);
            let remedy = "attach this secret to the proxy";
            fixture.preflight_finds(&function, "NeedsDecision", remedy).await?;
        }
        Ok(())
    })
    .await;
}
