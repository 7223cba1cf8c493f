//! Failures of the database, told apart: each with its own type, the next thing to do, in time, and without a leak.

use anyhow::Context;
use rotation_local::throwaway::{Certificates, free_port};
use rotation_postgres::identifier;
use rotation_tests::postgres::{NAMES, Scene, on_each, options, sql};
use rotation_tests::relay::impostor;
use rotation_tests::scene::new_password;
use serde_json::{Value, json};
use time::Duration as Days;

#[tokio::test]
async fn failures_of_the_network() {
    on_each(|target| async move {
        let (silent, _) = impostor(Vec::new()).await?;
        // Says that it has TLS, and then nothing.
        let (half, _) = impostor(vec![b"S".to_vec()]).await?;
        let closed = free_port()?;
        let cases = [
            (json!({"host": "no-such-host.invalid"}), "HostNameNotFound", "no-such-host.invalid"),
            (json!({"host": "127.0.0.1", "port": closed}), "ConnectionRefused", "security group"),
            (json!({"host": "127.0.0.1", "port": silent.port()}), "DatabaseSilent", "hangs"),
            (json!({"host": "127.0.0.1", "port": half.port()}), "DatabaseSilent", "hangs"),
        ];
        for (change, error_type, part) in cases {
            let scene = Scene::new(&target).await?;
            scene.change(&change)?;
            let part = if error_type == "ConnectionRefused" { "server is running" } else { part };
            scene.expect(&scene.function("single-user"), error_type, part).await?;
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn failures_of_tls() {
    on_each(|target| async move {
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
            let mut options = options()?;
            let authority = certificates.as_ref().map(|(_, authority)| authority.clone());
            options.certificates = certificates.map(|(certificates, _)| certificates);
            let Some((_server, bad)) = target.another(options)? else { return Ok(()) };
            // The users are made on the good server: no login gets as far as them.
            let mut scene = Scene::new(&target).await?;
            scene.change(&json!({"port": bad.port, "host": "localhost"}))?;
            let file = tempfile::NamedTempFile::new()?;
            std::fs::write(file.path(), authority.or(target.authority.clone()).unwrap_or_default())?;
            let program = scene.program("single-user").env("TLS_CA_FILE", file.path().to_string_lossy());
            scene.target.log = None;
            scene.expect(&program.into(), error_type, part).await?;
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_password_that_no_version_has_is_refused_after_each_was_tried_once() {
    on_each(|target| async move {
        let scene = Scene::new(&target).await?;
        let function = scene.function("single-user");
        scene.rotate(&function).await?;
        let mut admin = scene.admin().await?;
        sql(&mut admin, &format!("ALTER ROLE {} PASSWORD NULL", identifier(&scene.user))).await?;
        let error = scene.expect(&function, "CredentialsRefused", "put-secret-value").await?;
        for label in ["AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"] {
            assert!(error.message.contains(label), "{}", error.message);
        }
        if target.log.is_some() {
            assert_eq!(scene.failed_logins()?, 3);
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_previous_password_for_another_user_or_server_is_not_even_tried() {
    on_each(|target| async move {
        for change in [json!({"host": "db.example.com"}), json!({"username": "somebody_else"})] {
            let scene = Scene::new(&target).await?;
            let good = scene.value("AWSCURRENT")?;
            scene.change(&change)?;
            let mut current = good.clone();
            current["password"] = new_password().into();
            scene.store(&current)?;
            let error =
                scene.expect(&scene.function("single-user"), "CredentialsRefused", "not tried").await?;
            assert!(error.message.contains("another user or server"), "{}", error.message);
            if target.log.is_some() {
                assert_eq!(scene.failed_logins()?, 2);
            }
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn refusals_that_no_password_mends_end_the_search_at_once() {
    on_each(|target| async move {
        let rows: [(&str, Value, &str, &str); 4] = [
            ("ALTER ROLE {user} NOLOGIN", json!({}), "LoginNotPermitted", "LOGIN."),
            ("", json!({"dbname": "no_such_database"}), "DatabaseNotFound", "\"dbname\""),
            (
                "REVOKE CONNECT ON DATABASE {database} FROM PUBLIC",
                json!({}),
                "DatabaseAccessDenied",
                "GRANT CONNECT ON DATABASE",
            ),
            ("ALTER ROLE {user} CONNECTION LIMIT 0", json!({}), "TooManyConnections", "connection limit"),
        ];
        for (statement, change, error_type, part) in rows {
            let scene = Scene::new(&target).await?;
            if !statement.is_empty() {
                let statement = statement
                    .replace("{user}", &identifier(&scene.user))
                    .replace("{database}", &identifier(&scene.database));
                sql(&mut scene.admin().await?, &statement).await?;
            }
            scene.change(&change)?;
            scene.expect(&scene.function("single-user"), error_type, part).await?;
            assert_eq!(scene.failed_logins()?, 0);
            if target.log.is_some() {
                let tried = scene.server_log()?.matches(&format!("user={}", scene.user)).count();
                assert!(tried <= 1, "{tried} sessions");
            }
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_server_that_is_full_and_one_that_rejects_by_its_rules() {
    on_each(|target| async move {
        let mut full = options()?;
        full.configuration = "max_connections = 4\nsuperuser_reserved_connections = 3\n".into();
        let Some((_full, full)) = target.another(full)? else { return Ok(()) };
        let scene = Scene::new(&full).await?;
        let taken = scene.log_in().await?;
        scene.expect(&scene.function("single-user"), "TooManyConnections", "connection limit").await?;
        drop(taken);

        let mut strict = options()?;
        strict.access_rules = "host all rejected_user all reject\nhost all postgres all scram-sha-256\n\
            host all +nobody_is_in_here all scram-sha-256\nhost all all all reject"
            .into();
        let Some((_strict, strict)) = target.another(strict)? else { return Ok(()) };
        let scene = Scene::new(&strict).await?;
        scene.expect(&scene.function("single-user"), "ClientRejected", "pg_hba.conf").await?;
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn an_expired_role_is_told_by_whoever_may_look() {
    on_each(|target| async move {
        // The server hides it from the role itself: same answer as for a wrong password, so the error names it too.
        let scene = Scene::new(&target).await?;
        let expire = format!("ALTER ROLE {} VALID UNTIL '2001-01-01'", identifier(&scene.user));
        sql(&mut scene.admin().await?, &expire).await?;
        scene.expect(&scene.function("single-user"), "CredentialsRefused", "rolvaliduntil").await?;

        // With alternating users the master sees it.
        let scene = Scene::new(&target).await?;
        let function = scene.function("master-user");
        scene.rotate(&function).await?;
        let expire = format!("ALTER ROLE {} VALID UNTIL '2001-01-01'", identifier(&scene.user));
        sql(&mut scene.admin().await?, &expire).await?;
        scene.expect(&function, "AccountExpired", "VALID UNTIL 'infinity'").await?;
        scene.log_in().await?;
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn versions_that_do_not_belong_together_are_refused_before_any_login() {
    on_each(|target| async move {
        for (change, error_type) in [
            (json!({"username": "another_user"}), "UserMismatch"),
            (json!({"host": "db.example.com"}), "HostMismatch"),
            (json!({"port": 1}), "HostMismatch"),
        ] {
            let scene = Scene::new(&target).await?;
            for strategy in ["single-user", "master-user"] {
                let function = scene.function(strategy);
                let token = scene.stage(None)?;
                scene.step(&function, "createSecret", &token).await?;
                let good = scene.value("AWSCURRENT")?;
                scene.change(&change)?;
                let error = scene.step(&function, "setSecret", &token).await.unwrap_err().to_string();
                assert!(error.starts_with(error_type), "{strategy}: {error}");
                scene.store(&good)?;
                scene.service.perform(
                    "UpdateSecretVersionStage",
                    &json!({"SecretId": "test/secret",
                    "VersionStage": "AWSPENDING", "RemoveFromVersionId": token}),
                )?;
            }
            assert_eq!(scene.logins()?, 0);
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn secrets_that_do_not_follow_the_schema() {
    on_each(|target| async move {
        let scene = Scene::new(&target).await?;
        let function = scene.function("single-user");
        scene.change(&json!({"engine": "mysql", "host": null, "port": "many"}))?;
        let error = scene.expect(&function, "SecretMalformed", "\"host\" is missing").await?;
        for part in ["\"engine\" is \"mysql\"", "\"port\""] {
            assert!(error.message.contains(part), "{}", error.message);
        }
        let scene = Scene::new(&target).await?;
        scene.change(&json!({"masterarn": null}))?;
        scene.expect(&scene.function("master-user"), "MasterArnMissing", "\"masterarn\"").await?;
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_master_that_cannot_be_used() {
    on_each(|target| async move {
        let put = |scene: &Scene, value: &Value| {
            scene.service.perform(
                "PutSecretValue",
                &json!({"SecretId": "test/master", "SecretString": value.to_string()}),
            )
        };
        let scene = Scene::new(&target).await?;
        let function = scene.function("master-user");
        put(&scene, &scene.secret(&scene.master, "a-wrong-password"))?;
        let error = scene.expect(&function, "MasterCredentialsRefused", "test/master").await?;
        assert!(!error.message.contains("a-wrong-password"));

        let scene = Scene::new(&target).await?;
        let mut elsewhere = scene.secret(&scene.master, "x");
        elsewhere["host"] = "other.example.com".into();
        put(&scene, &elsewhere)?;
        scene.expect(&scene.function("master-user"), "MasterHostMismatch", "other.example.com").await?;

        // RDS's own master secrets name no host.
        let scene = Scene::new(&target).await?;
        let master: Value = serde_json::from_str(
            scene.service.perform("GetSecretValue", &json!({"SecretId": "test/master"}))?["SecretString"]
                .as_str()
                .unwrap_or(""),
        )?;
        let mut bare = json!({"username": master["username"], "password": master["password"], "x": 1});
        if target.authority.is_none() {
            bare["ssl"] = false.into();
        }
        put(&scene, &bare)?;
        scene.rotate(&scene.function("master-user")).await?;
        scene.log_in().await?;
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_master_without_the_privilege_is_told_the_statement_and_nothing_is_promoted() {
    on_each(|target| async move {
        let version = target.version().await?;
        let scene = Scene::new(&target).await?;
        let (user, master) = (identifier(&scene.user), identifier(&scene.master));
        let mut admin = scene.admin().await?;
        let (take, part) = if version >= 160_000 {
            (format!("REVOKE {user} FROM {master}"), format!("GRANT {user} TO {master} WITH ADMIN OPTION"))
        } else {
            (format!("ALTER ROLE {master} NOCREATEROLE"), format!("ALTER ROLE {master} CREATEROLE"))
        };
        sql(&mut admin, &take).await?;
        let before = scene.value("AWSCURRENT")?;
        scene.expect(&scene.function("master-user"), "PrivilegeMissing", &part).await?;
        assert_eq!(scene.value("AWSCURRENT")?, before);
        let clone = format!("{}_clone", scene.user);
        let left: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_roles WHERE rolname = $1")
            .bind(&clone)
            .fetch_one(&mut admin)
            .await?;
        assert_eq!(left, 0, "a failed rotation has left a role");
        scene.log_in().await?;

        // What the error has told, run by an administrator, is enough.
        sql(&mut admin, &format!("ALTER ROLE {master} CREATEROLE")).await?;
        if version >= 160_000 {
            sql(&mut admin, &part).await?;
        }
        let token = scene.version("AWSPENDING")?.context("no pending version")?;
        let rotation = scene.attempt(&scene.function("master-user"), &token, 1).await;
        assert_eq!(rotation.failed, None);
        scene.log_in().await?;
        Ok(())
    })
    .await;
}
