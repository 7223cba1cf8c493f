//! Tests of master secrets that RDS manages, and of secrets for a replica.
//!
//! RDS reports which server a master secret is for.

use anyhow::{Context, Result};
use rotation_local::Program;
use rotation_tests::moto::Moto;
use rotation_tests::postgres::{Fixture, Target, on_each};
use rotation_tests::scene::MASTER_ARN;
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
fn managed_by_rds(scene: &Fixture, tag: &str, arn: &str) -> Result<()> {
    let stored = scene.service.perform("GetSecretValue", &json!({"SecretId": MASTER_ARN}))?;
    let master: Value = serde_json::from_str(stored["SecretString"].as_str().unwrap_or_default())?;
    let bare = json!({"username": master["username"], "password": master["password"]}).to_string();
    scene
        .service
        .perform("PutSecretValue", &json!({"SecretId": MASTER_ARN, "SecretString": bare}))?;
    scene.service.tag_as_a_service_of_aws(MASTER_ARN, tag, arn)?;
    Ok(())
}

fn program(scene: &Fixture, moto: &Moto) -> Program {
    scene.program("master-user").env("AWS_ENDPOINT_URL_RDS", &*moto.endpoint)
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
async fn a_master_secret_of_rds_is_used_at_the_server_that_its_tag_names() {
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
            let scene = Fixture::new(&target).await?;
            scene.change(&json!({"host": host}))?;
            managed_by_rds(&scene, "aws:rds:primaryDBInstanceArn", &arn)?;
            scene.rotate(&program(&scene, &moto).into()).await.context(host)?;
            scene.log_in().await?;
            assert!(
                scene.function_log().contains("127.0.0.1"),
                "the log does not have the writer's address"
            );
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_cluster_s_writer_and_reader_are_one_server() {
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
            let scene = Fixture::new(&target).await?;
            scene.change(&json!({"host": host}))?;
            managed_by_rds(&scene, "aws:rds:primaryDBClusterArn", &arn)?;
            scene.rotate(&program(&scene, &moto).into()).await.context(host)?;
            scene.log_in().await?;
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_master_secret_with_a_host_serves_its_replicas_as_well() {
    on_each(|target| async move {
        if !has_replica(&target) {
            return Ok(());
        }
        let moto = Moto::start(HOSTS.to_vec()).await?;
        instance(&moto, "db-main", "postgres", target.port, None).await?;
        let scene = Fixture::new(&target).await?;
        scene.change(&json!({"host": "::1"}))?;
        scene.change_master(&json!({"host": "127.0.0.1"}))?;
        let function = program(&scene, &moto).into();
        scene.expect(&function, "MasterHostMismatch", "read replica").await?;

        let replica =
            moto.client.create_db_instance_read_replica().db_instance_identifier("db-replica");
        replica.source_db_instance_identifier("db-main").port(target.port.into()).send().await?;
        let token = scene.version("AWSPENDING")?.context("no pending version")?;
        assert_eq!(scene.attempt(&function, &token, 1).await.failed, None);
        scene.log_in().await?;
        Ok(())
    })
    .await;
}

/// An attacker who can write the secret must not get the master user's password sent to a host of
/// their choice.
#[tokio::test]
async fn another_server_than_the_tag_names_is_refused() {
    on_each(|target| async move {
        if !has_replica(&target) {
            return Ok(());
        }
        let moto = Moto::start(vec![("db-mysql", "127.0.0.1")]).await?;
        let other = instance(&moto, "db-other", "postgres", target.port, None).await?;
        let mysql = instance(&moto, "db-mysql", "mysql", target.port, None).await?;
        let gone = other.replace("db-other", "db-gone");
        for (arn, error_type, part) in [
            (&other, "MasterHostMismatch", "db-other"),
            (&mysql, "MasterSecretMalformed", "RDS says that it is for mysql"),
            (&gone, "MasterSecretMalformed", "which RDS does not know"),
        ] {
            let scene = Fixture::new(&target).await?;
            managed_by_rds(&scene, "aws:rds:primaryDBInstanceArn", arn)?;
            scene.expect(&program(&scene, &moto).into(), error_type, part).await?;
            // The master user has not connected.
            assert!(!scene.server_log()?.contains(&format!("user={}", scene.master)));
        }
        moto.deny();
        let scene = Fixture::new(&target).await?;
        managed_by_rds(&scene, "aws:rds:primaryDBInstanceArn", &other)?;
        scene
            .expect(&program(&scene, &moto).into(), "AccessDenied", "rds:DescribeDBInstances")
            .await?;
        Ok(())
    })
    .await;
}
