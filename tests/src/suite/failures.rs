//! Tests of failures that the function must tell apart. Each must have its own error type and a
//! remedy, be reported in time, and leak no password.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use test_servers::{Certificates, free_port};
use time::Duration as Days;

use crate::fixture::{Fixture, MASTER_ARN, SECRET_ARN, new_password};
use crate::proxy::impostor;
use crate::server::{NAMES, Server};

/// The server cannot be reached: its name does not resolve, its port is closed, or it is silent.
pub async fn network_failures_have_distinct_errors<T: Server>(target: T) -> Result<()> {
    let (silent, _) = impostor(Vec::new()).await?;
    let closed = free_port()?;
    let cases = [
        (json!({"host": "no-such-host.invalid"}), "HostNameNotFound", "no-such-host.invalid"),
        (json!({"host": "127.0.0.1", "port": closed}), "ConnectionRefused", "server is running"),
        (json!({"host": "127.0.0.1", "port": silent.port()}), "DatabaseSilent", "hangs"),
    ];
    for (change, error_type, part) in cases {
        let fixture = Fixture::new(&target).await?;
        fixture.change(&change)?;
        fixture.expect(&fixture.function("single-user"), error_type, part).await?;
    }
    Ok(())
}

/// The server moves after `setSecret`. The operator follows the remedy in the message, and the next
/// rotation succeeds, although the database has the password of the cancelled version.
pub async fn moved_server_remedy_leads_to_rotation<T: Server>(target: T) -> Result<()> {
    for strategy in ["single-user", "single-user-by-master", "master-user"] {
        let fixture = Fixture::new(&target).await?;
        let (host, port) = (target.address().0.to_owned(), target.address().1);
        let relay = fixture.start_fault_proxy().await?;
        let function = fixture.function(strategy);
        let token = fixture.stage(None)?;
        for step in ["createSecret", "setSecret"] {
            fixture.step(&function, step, &token).await?;
        }
        relay.close();
        let error = fixture
            .step(&function, "testSecret", &token)
            .await
            .err()
            .context("testSecret passed")?
            .to_string();
        for part in ["ConnectionRefused", "--version-stage AWSPENDING", "cancel-rotate-secret"] {
            ensure!(error.contains(part), "{strategy}: {part} is not in {error}");
        }
        // The operator stores the password that works in the edited secret. With alternating users,
        // it is the current one, otherwise the pending one.
        let mut edited = json!({"host": host, "port": port});
        if strategy != "master-user" {
            edited["password"] = fixture.value("AWSPENDING")?["password"].clone();
        }
        fixture.change(&edited)?;
        fixture.change_master(&json!({"host": host, "port": port}))?;
        fixture.give_up(&token)?;
        fixture.rotate(&function).await.with_context(|| strategy.to_owned())?;
        fixture.log_in().await?;
    }
    Ok(())
}

/// The server has an unusable certificate, or does not offer TLS.
pub async fn tls_failures_have_distinct_errors<T: Server>(target: T) -> Result<()> {
    let other = Certificates::for_names(&["localhost"])?;
    let wrong_name = Certificates::for_names(&["db.example.com"])?;
    let expired = Certificates::valid(&NAMES, -Days::days(30), -Days::days(1))?;
    let cases = [
        (Some((wrong_name.clone(), wrong_name.authority)), "TlsWrongName", "CNAME"),
        (Some((expired.clone(), expired.authority)), "TlsCertificateExpired", "Renew"),
        (
            Some((Certificates::for_names(&NAMES)?, other.authority)),
            "TlsUntrustedAuthority",
            "TLS_CA_FILE",
        ),
        (None, "TlsNotOffered", "\"ssl\": false"),
    ];
    for (certificates, error_type, part) in cases {
        let authority = certificates.as_ref().map(|(_, authority)| authority.clone());
        let certificates = certificates.map(|(certificates, _)| certificates);
        let Some((_server, port)) = target.another_with(certificates).await? else { return Ok(()) };
        // The users are created on the good server. No login on the other server gets far enough to
        // need them.
        let fixture = Fixture::new(&target).await?;
        fixture.change(&json!({"port": port, "host": "localhost"}))?;
        let file = tempfile::NamedTempFile::new()?;
        let authority = authority.or(target.authority().map(str::to_owned));
        std::fs::write(file.path(), authority.unwrap_or_default())?;
        let program =
            fixture.program("single-user").env("TLS_CA_FILE", file.path().to_string_lossy());
        fixture.expect(&program.into(), error_type, part).await?;
    }
    Ok(())
}

/// Only the engine for Oracle needs a temporary folder, because its driver reads the CA
/// certificates from a wallet.
pub async fn unusable_temporary_folder_is_reported<T: Server>(target: T) -> Result<()> {
    let fixture = Fixture::new(&target).await?;
    let function = fixture.program("single-user").env("TMPDIR", "/no-such-folder").into();
    if T::ENGINE != "oracle" {
        return fixture.rotate(&function).await.map(drop);
    }
    fixture.expect(&function, "TemporaryFolderUnusable", "/no-such-folder").await?;
    Ok(())
}

/// Three versions have a staging label. Each password is tried once, and the error names all three.
pub async fn unknown_password_fails_after_each_version_once<T: Server>(target: T) -> Result<()> {
    let fixture = Fixture::new(&target).await?;
    let function = fixture.function("single-user");
    fixture.rotate(&function).await?;
    target.give_password(&fixture.user, &new_password()).await?;
    let error = fixture.expect(&function, "CredentialsRefused", "put-secret-value").await?;
    for label in ["AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"] {
        assert!(error.message.contains(label), "{}", error.message);
    }
    if target.log().is_some() {
        assert_eq!(fixture.failed_logins()?, 3);
    }
    Ok(())
}

/// A password is sent only to the user and the server that it belongs to.
pub async fn previous_password_of_other_user_or_server_is_not_tried<T: Server>(
    target: T,
) -> Result<()> {
    for change in [json!({"host": "db.example.com"}), json!({"username": "somebody_else"})] {
        let fixture = Fixture::new(&target).await?;
        let good = fixture.value("AWSCURRENT")?;
        fixture.change(&change)?;
        let mut current = good.clone();
        current["password"] = new_password().into();
        fixture.store(&current)?;
        // The version before that one is for this user and server, but the search ends at the first
        // version that is not.
        let error = fixture
            .expect(&fixture.function("single-user"), "CredentialsRefused", "not tried")
            .await?;
        assert!(error.message.contains("another user or server"), "{}", error.message);
        if target.log().is_some() {
            assert_eq!(fixture.failed_logins()?, 2);
        }
    }
    Ok(())
}

/// The secret is edited between the steps.
pub async fn mismatched_versions_are_rejected_before_login<T: Server>(target: T) -> Result<()> {
    for (change, error_type) in [
        (json!({"username": "another_user"}), "UserMismatch"),
        (json!({"host": "db.example.com"}), "HostMismatch"),
        (json!({"port": 1}), "HostMismatch"),
        (json!({"dbname": "another_database"}), "HostMismatch"),
        // A password that is set over one kind of connection could not be tested over the other.
        (json!({"ssl": target.authority().is_some().then_some(true)}), "HostMismatch"),
    ] {
        let fixture = Fixture::new(&target).await?;
        for strategy in ["single-user", "master-user"] {
            let function = fixture.function(strategy);
            let token = fixture.stage(None)?;
            fixture.step(&function, "createSecret", &token).await?;
            let good = fixture.value("AWSCURRENT")?;
            fixture.change(&change)?;
            let error = fixture
                .step(&function, "setSecret", &token)
                .await
                .err()
                .context("setSecret passed")?;
            assert!(error.to_string().starts_with(error_type), "{strategy}: {error}");
            fixture.store(&good)?;
            fixture.service.perform(
                "UpdateSecretVersionStage",
                &json!({"SecretId": "test/secret",
                "VersionStage": "AWSPENDING", "RemoveFromVersionId": token}),
            )?;
        }
        // This check has no effect if this machine does not have the server's log.
        assert_eq!(fixture.logins()?, 0);
    }
    Ok(())
}

/// The error reports every problem of a secret at once.
pub async fn malformed_secret_reports_every_problem<T: Server>(target: T) -> Result<()> {
    let fixture = Fixture::new(&target).await?;
    let function = fixture.function("single-user");
    let other = if T::ENGINE == "oracle" { "mysql" } else { "oracle" };
    fixture.change(&json!({"engine": other, "host": null, "port": "many"}))?;
    let error = fixture.expect(&function, "SecretMalformed", "\"host\" is missing").await?;
    for part in [format!("\"engine\" is \"{other}\""), "\"port\"".to_owned()] {
        assert!(error.message.contains(&part), "{}", error.message);
    }
    let fixture = Fixture::new(&target).await?;
    fixture.change(&json!({"masterarn": null}))?;
    fixture.expect(&fixture.function("master-user"), "MasterArnMissing", "\"masterarn\"").await?;
    Ok(())
}

/// The master secret has a wrong password, a wrong host, the ARN of another Region, or no host.
pub async fn unusable_master_secret_is_reported<T: Server>(target: T) -> Result<()> {
    let put = |fixture: &Fixture<T>, value: &Value| {
        let request = json!({"SecretId": "test/master", "SecretString": value.to_string()});
        fixture.service.perform("PutSecretValue", &request)
    };
    let fixture = Fixture::new(&target).await?;
    let function = fixture.function("master-user");
    put(&fixture, &fixture.secret(&fixture.master, "a-wrong-password"))?;
    let error = fixture.expect(&function, "MasterCredentialsRefused", "test/master").await?;
    assert!(!error.message.contains("a-wrong-password"));

    let fixture = Fixture::new(&target).await?;
    let mut elsewhere = fixture.secret(&fixture.master, "x");
    elsewhere["host"] = "other.example.com".into();
    put(&fixture, &elsewhere)?;
    fixture
        .expect(&fixture.function("master-user"), "MasterHostMismatch", "other.example.com")
        .await?;

    // A secret of another Region cannot be read, so `createSecret` fails before it creates
    // anything.
    for strategy in ["master-user", "single-user-by-master"] {
        let fixture = Fixture::new(&target).await?;
        fixture.change(&json!({"masterarn": MASTER_ARN.replace("us-east-1", "eu-west-1")}))?;
        let function = fixture.function(strategy);
        let part = "--add-replica-regions Region=us-east-1";
        fixture.preflight_finds(&function, "MasterRegionMismatch", part).await?;
        let error = fixture.expect(&function, "MasterRegionMismatch", part).await?;
        ensure!(error.message.starts_with("createSecret"), "{}", error.message);
    }

    // A master secret without a host is valid only if RDS reports which server it is for.
    // Otherwise, an attacker who can write the secret would choose the server.
    let fixture = Fixture::new(&target).await?;
    put(&fixture, &json!({"username": fixture.master, "password": "x"}))?;
    fixture
        .expect(&fixture.function("master-user"), "MasterSecretMalformed", "\"host\" is missing")
        .await?;
    assert_eq!(T::count_logins(&fixture.server_log()?, &fixture.master), 0);
    Ok(())
}

/// A used password that the operator stores as `AWSPENDING` is not mistaken for one that an earlier
/// attempt has set.
pub async fn reused_pending_password_is_rejected<T: Server>(target: T) -> Result<()> {
    if !T::HAS_PASSWORD_HISTORY {
        return Ok(());
    }
    for (strategy, users) in [("single-user", 1), ("single-user-by-master", 1), ("master-user", 2)]
    {
        let fixture = Fixture::rich(&target).await?;
        let function = fixture.function(strategy);
        for _ in 0..users {
            fixture.rotate(&function).await?;
        }
        let used = fixture.value("AWSCURRENT")?;
        // After these rotations, the same user is the target again.
        for _ in 0..2 * users - 1 {
            fixture.rotate(&function).await?;
        }
        let token = fixture.stage(None)?;
        fixture.service.perform(
            "PutSecretValue",
            &json!({"SecretId": SECRET_ARN, "ClientRequestToken": token,
                "VersionStages": ["AWSPENDING"],
                "SecretString": used.to_string()}),
        )?;
        fixture.step(&function, "createSecret", &token).await?;
        let refused =
            fixture.step(&function, "setSecret", &token).await.err().context("setSecret passed")?;
        let refused = format!("{refused:#}");
        ensure!(refused.starts_with("PasswordRejected"), "{strategy}: {refused}");
        ensure!(refused.contains("remove-from-version-id"), "{strategy}: {refused}");
        fixture.search_for_passwords(&refused)?;
        fixture.log_in().await?;
        fixture.give_up(&token)?;
        fixture.rotate(&function).await?;
        fixture.log_in().await?;
    }
    Ok(())
}

/// An attacker who can write the secret, but cannot read its earlier versions, stores the name of a
/// user that an earlier version was for.
pub async fn deprecated_password_of_other_user_is_not_tried<T: Server>(target: T) -> Result<()> {
    for strategy in ["single-user", "master-user"] {
        let (fixture, victim) = (Fixture::new(&target).await?, Fixture::new(&target).await?);
        let own = fixture.value("AWSCURRENT")?;
        let mut others = victim.value("AWSCURRENT")?;
        for value in [&others, &own] {
            fixture.store(value)?;
        }
        let function = fixture.function(strategy);
        for _ in 0..2 {
            fixture.rotate(&function).await?;
        }
        others["password"] = new_password().into();
        fixture.store(&others)?;
        fixture.expect(&function, "CredentialsRefused", &victim.user).await?;
        victim.log_in().await?;
    }
    Ok(())
}

/// An attacker who can only write the secret turns encryption off and stores a wrong password. No
/// earlier password of the secret is sent then.
pub async fn earlier_password_is_not_sent_over_weaker_tls<T: Server>(target: T) -> Result<()> {
    if target.authority().is_none() {
        return Ok(());
    }
    for strategy in ["single-user", "master-user"] {
        let fixture = Fixture::new(&target).await?;
        let function = fixture.function(strategy);
        fixture.rotate(&function).await?;
        fixture.change(&json!({"password": new_password(), "ssl": false}))?;
        let error = fixture.failure(&function).await?;
        println!("{strategy}: {}", error.message);
        // Some servers reject unencrypted connections.
        let expected =
            ["CredentialsRefused", "ReadablePasswordRefused", "ClientRejected", "ConnectionFailed"];
        ensure!(expected.contains(&error.error_type.as_str()), "{strategy}: {error:?}");
        if error.error_type == "CredentialsRefused" {
            ensure!(error.message.contains("was encrypted"), "{strategy}: {error:?}");
        }
    }
    Ok(())
}
