//! Tests of failures that only MySQL and MariaDB report, which the function must tell apart.

use anyhow::{Context, Result, ensure};
use rotation_tests::mysql::{Fixture, Target, Which, account, account_at, sql};
use serde_json::json;

crate::on_both! {
    refusals_that_no_password_mends_end_the_search_at_once
    an_account_that_too_many_failed_logins_have_locked
    a_server_that_lets_nobody_in_says_why
    a_password_that_the_server_s_policy_refuses
    a_lock_that_is_not_to_be_had_is_not_waited_for_long
    a_master_without_the_privilege_is_told_which
    a_plugin_that_is_not_supported_is_named
    an_impostor_gets_no_readable_password
    read_only_server_is_not_changed_even_by_a_privileged_master
    server_of_the_other_kind_is_named
}

async fn refusals_that_no_password_mends_end_the_search_at_once<W: Which>(
    target: Target<W>,
) -> Result<()> {
    let missing = json!({"dbname": "no_such_database"});
    let rows = [
        ("ALTER USER {user} ACCOUNT LOCK", json!({}), "AccountLocked", "ACCOUNT UNLOCK"),
        ("DO 1", missing.clone(), "DatabaseAccessDenied", "no_such_database"),
        ("GRANT SELECT ON *.* TO {user}", missing, "DatabaseNotFound", "no_such_database"),
        ("ALTER USER {user} PASSWORD EXPIRE", json!({}), "AccountExpired", "PASSWORD EXPIRE NEVER"),
        (
            "ALTER USER {user} WITH MAX_CONNECTIONS_PER_HOUR 1",
            json!({}),
            "TooManyConnections",
            "limit",
        ),
    ];
    for (statement, change, error_type, part) in rows {
        let scene = Fixture::new(&target).await?;
        sql(&mut target.admin().await?, &statement.replace("{user}", &account(&scene.user)))
            .await?;
        scene.change(&change)?;
        if error_type == "TooManyConnections" {
            scene.log_in().await?;
        }
        scene.expect(&scene.function("single-user"), error_type, part).await?;
    }
    Ok(())
}

/// `FAILED_LOGIN_ATTEMPTS` (MySQL) or `max_password_errors` (MariaDB) locks the account.
async fn an_account_that_too_many_failed_logins_have_locked<W: Which>(
    target: Target<W>,
) -> Result<()> {
    let mut options = rotation_tests::mysql::options()?;
    if W::ENGINE == "mariadb" {
        options.arguments = vec!["--max-password-errors=1".into()];
    }
    let Some((_server, strict)) = target.another(options).await? else { return Ok(()) };
    let scene = Fixture::new(&strict).await?;
    let part = if W::ENGINE == "mariadb" {
        "FLUSH PRIVILEGES"
    } else {
        let lock = "FAILED_LOGIN_ATTEMPTS 1 PASSWORD_LOCK_TIME UNBOUNDED";
        sql(&mut strict.admin().await?, &format!("ALTER USER {} {lock}", account(&scene.user)))
            .await?;
        "ACCOUNT UNLOCK"
    };
    let mut wrong = scene.value("AWSCURRENT")?;
    wrong["password"] = "a-wrong-password".into();
    ensure!(scene.log_in_with(&wrong).await.is_err());
    scene.expect(&scene.function("single-user"), "AccountLocked", part).await?;
    Ok(())
}

/// Instead of a greeting, the server sends an error packet without an SQLSTATE.
async fn a_server_that_lets_nobody_in_says_why<W: Which>(target: Target<W>) -> Result<()> {
    for (number, words, error_type, part) in [
        (1040_u16, "Too many connections", "TooManyConnections", "connection limit"),
        (
            1129,
            "Host 'x' is blocked because of many connection errors",
            "ClientRejected",
            "FLUSH HOSTS",
        ),
        (
            1130,
            "Host 'x' is not allowed to connect to this server",
            "ClientRejected",
            "CREATE USER",
        ),
        (1053, "Server shutdown in progress", "DatabaseNotReady", ""),
    ] {
        let packet = packet(0, &[&[0xff], &number.to_le_bytes()[..], words.as_bytes()].concat());
        let (port, _) = greeter(packet, Vec::new()).await?;
        let scene = Fixture::new(&target).await?;
        scene.change(&json!({"host": "127.0.0.1", "port": port}))?;
        let error = scene.expect(&scene.function("single-user"), error_type, part).await?;
        assert!(error.message.contains(words), "{}", error.message);
    }
    Ok(())
}

/// A password policy of the server rejects the password. The error also reports a policy that needs
/// the cleartext, which MariaDB does not get.
async fn a_password_that_the_server_s_policy_refuses<W: Which>(target: Target<W>) -> Result<()> {
    let mut options = rotation_tests::mysql::options()?;
    if W::ENGINE == "mariadb" {
        options.arguments = vec!["--strict-password-validation=OFF".into()];
    }
    let Some((_server, strict)) = target.another(options).await? else { return Ok(()) };
    let scene = Fixture::new(&strict).await?;
    let mut admin = strict.admin().await?;
    if W::ENGINE == "mariadb" {
        sql(&mut admin, "INSTALL SONAME 'simple_password_check'").await?;
        // The server cannot check a hash. It accepts one unless strict_password_validation is on.
        scene.rotate(&scene.function("single-user")).await?;
        sql(&mut admin, "SET GLOBAL strict_password_validation = ON").await?;
        for strategy in ["single-user", "master-user"] {
            let scene = scene_despite(&mut admin, &strict).await?;
            let function = scene.function(strategy);
            scene.expect(&function, "PasswordRejected", "strict_password_validation = OFF").await?;
            scene.log_in().await?;
        }
        return Ok(());
    }
    if sql(&mut admin, "INSTALL COMPONENT 'file://component_validate_password'").await.is_err() {
        println!("skipped: the server has no validate_password");
        return Ok(());
    }
    sql(&mut admin, "SET GLOBAL validate_password.length = 100").await?;
    for strategy in ["single-user", "master-user"] {
        let error =
            scene.expect(&scene.function(strategy), "PasswordRejected", "PASSWORD_LENGTH").await?;
        assert!(error.message.contains("--remove-from-version-id"), "{}", error.message);
        let token = scene.version("AWSPENDING")?.context("no pending version")?;
        let remove = json!({
            "SecretId": "test/secret",
            "VersionStage": "AWSPENDING",
            "RemoveFromVersionId": token,
        });
        scene.service.perform("UpdateSecretVersionStage", &remove)?;
        scene.log_in().await?;
    }
    let function = scene.program("single-user").env("PASSWORD_LENGTH", "100").into();
    scene.rotate(&function).await?;
    Ok(())
}

/// A backup holds the global read lock.
async fn a_lock_that_is_not_to_be_had_is_not_waited_for_long<W: Which>(
    target: Target<W>,
) -> Result<()> {
    let Some((_server, other)) = target.another(rotation_tests::mysql::options()?).await? else {
        return Ok(());
    };
    let scene = Fixture::new(&other).await?;
    let mut backup = other.admin().await?;
    sql(&mut backup, "FLUSH TABLES WITH READ LOCK").await?;
    let function = scene.function("single-user");
    scene.expect(&function, "DatabaseBusy", "which session holds the lock").await?;
    sql(&mut backup, "UNLOCK TABLES").await?;
    let token = scene.version("AWSPENDING")?.context("no pending version")?;
    assert_eq!(scene.attempt(&function, &token, 1).await.failed, None);
    scene.log_in().await?;
    Ok(())
}

/// Creates a fixture on a server that rejects hashes, by turning the check off meanwhile.
async fn scene_despite<W: Which>(
    admin: &mut sqlx::MySqlConnection,
    target: &Target<W>,
) -> Result<Fixture<W>> {
    sql(admin, "SET GLOBAL strict_password_validation = OFF").await?;
    let scene = Fixture::new(target).await?;
    sql(admin, "SET GLOBAL strict_password_validation = ON").await?;
    Ok(scene)
}

async fn a_master_without_the_privilege_is_told_which<W: Which>(target: Target<W>) -> Result<()> {
    let rows = [
        ("REVOKE CREATE USER ON *.* FROM {master}", "GRANT CREATE USER ON *.* TO"),
        ("REVOKE SELECT, UPDATE ON mysql.* FROM {master}", "GRANT SELECT ON mysql.* TO"),
        ("REVOKE ALL PRIVILEGES ON {database}.* FROM {master}", "GRANT SELECT ON `"),
        ("REVOKE {role} FROM {master}", "WITH ADMIN OPTION"),
    ];
    for (statement, part) in rows {
        let scene = if part.contains("ADMIN") {
            Fixture::rich(&target).await?
        } else {
            Fixture::new(&target).await?
        };
        let role = format!("`r_{}`", &scene.user[scene.user.len().saturating_sub(20)..]);
        let statement = statement
            .replace("{master}", &account(&scene.master))
            .replace("{database}", &scene.database)
            .replace("{role}", &role);
        sql(&mut target.admin().await?, &statement).await?;
        // A master user needs no database of its own.
        scene.change_master(&json!({"dbname": null}))?;
        let before = scene.value("AWSCURRENT")?;
        let seen_before = match part {
            "GRANT CREATE USER ON *.* TO" => Some(part),
            "GRANT SELECT ON mysql.* TO" => Some("GRANT SELECT, UPDATE ON mysql.* TO"),
            _ => None,
        };
        if let Some(part) = seen_before {
            scene.preflight_finds(&scene.function("master-user"), "PrivilegeMissing", part).await?;
        }
        scene.expect(&scene.function("master-user"), "PrivilegeMissing", part).await?;
        assert_eq!(scene.value("AWSCURRENT")?, before);
        // The half-created alternate user cannot log in, even without a database.
        let pending = scene.value("AWSPENDING")?;
        let (user, password) = (pending["username"].as_str(), pending["password"].as_str());
        let at = &target.address;
        let login = rotation_local::throwaway::mysql::connect(
            &at.host,
            at.port,
            at.authority.as_deref(),
            user.unwrap_or_default(),
            password.unwrap_or_default(),
            None,
        );
        assert!(login.await.is_err(), "{statement}");
        scene.log_in().await?;
    }
    Ok(())
}

async fn a_plugin_that_is_not_supported_is_named<W: Which>(target: Target<W>) -> Result<()> {
    let scene = Fixture::new(&target).await?;
    let mut admin = target.admin().await?;
    let user = account_at(&scene.user, "192.0.2.1");
    let (statement, plugin) = match W::ENGINE {
        "mariadb" => (format!("CREATE USER {user} IDENTIFIED VIA unix_socket"), "unix_socket"),
        _ => {
            let _ =
                sql(&mut admin, "INSTALL PLUGIN mysql_no_login SONAME 'mysql_no_login.so'").await;
            (format!("CREATE USER {user} IDENTIFIED WITH mysql_no_login"), "mysql_no_login")
        }
    };
    if sql(&mut admin, &statement).await.is_err() {
        println!("skipped: the server has no {plugin}");
        return Ok(());
    }
    scene.expect(&scene.function("master-user"), "NeedsDecision", plugin).await?;
    Ok(())
}

/// The rogue server greets without TLS and requests the cleartext password, in the greeting or by
/// an authentication switch.
async fn an_impostor_gets_no_readable_password<W: Which>(target: Target<W>) -> Result<()> {
    // The greeting has protocol version 10, no CLIENT_SSL (0x0800), and CLIENT_PLUGIN_AUTH (0x0008
    // of the upper half).
    let greeting = |version: u8, plugin: &[u8]| {
        let body = [
            &[version],
            &b"8.0.0\0\x01\0\0\0abcdefgh\0\xff\xf7\x2d\x02\0\x0f\0\x15"[..],
            &[0; 10],
            b"ijklmnopqrst\0",
            plugin,
            b"\0",
        ];
        packet(0, &body.concat())
    };
    let clear = b"mysql_clear_password";
    let native = b"mysql_native_password";
    let switch = packet(2, &[b"\xfe", &clear[..], b"\0"].concat());
    for (what, first, then) in [
        ("greeting", greeting(10, clear), Vec::new()),
        ("greeting of another protocol", greeting(11, clear), Vec::new()),
        ("switch", greeting(10, native), switch),
    ] {
        for (ssl, mode, expected) in [
            (json!(null), "require", "TlsNotOffered"),
            (json!(true), "prefer", "TlsNotOffered"),
            (json!(null), "prefer", "TlsNotOffered"),
            // Even then, the function does not send it: no account that can be rotated needs a
            // cleartext password.
            (json!(false), "require", "ReadablePasswordRefused"),
        ] {
            let (port, heard) = greeter(first.clone(), then.clone()).await?;
            let scene = Fixture::new(&target).await?;
            scene.change(&json!({"host": "127.0.0.1", "port": port, "ssl": ssl}))?;
            let function = scene.program("single-user").env("TLS_MODE", mode).into();
            let expected = if what.contains("protocol") { "LoginFailed" } else { expected };
            scene
                .expect(&function, expected, "")
                .await
                .with_context(|| format!("{what}, {ssl}, {mode}"))?;
            let password =
                scene.value("AWSCURRENT")?["password"].as_str().unwrap_or_default().to_owned();
            let heard = heard.lock().map(|heard| heard.clone()).unwrap_or_default();
            ensure!(
                !String::from_utf8_lossy(&heard).contains(&password),
                "{what}, {ssl}, {mode}: the password was sent"
            );
            ensure!(
                what == "switch" || heard.is_empty(),
                "{what}, {ssl}, {mode}: something was sent"
            );
        }
    }
    Ok(())
}

/// Returns a packet of the MySQL protocol.
fn packet(sequence: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(0).to_le_bytes();
    [&length[..3], &[sequence], payload].concat()
}

/// Starts a rogue server. It sends the greeting first, and then the same answer to every packet of
/// the client.
async fn greeter(greeting: Vec<u8>, then: Vec<u8>) -> Result<(u16, rotation_tests::relay::Heard)> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    let port = listener.local_addr()?.port();
    let heard = rotation_tests::relay::Heard::default();
    let ears = heard.clone();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let (greeting, then, ears) = (greeting.clone(), then.clone(), ears.clone());
            tokio::spawn(async move {
                let _ = client.write_all(&greeting).await;
                let mut buffer = [0; 4096];
                while let Ok(count @ 1..) = client.read(&mut buffer).await {
                    if let Ok(mut ears) = ears.lock() {
                        ears.extend_from_slice(&buffer[..count]);
                    }
                    let _ = client.write_all(&then).await;
                }
            });
        }
    });
    Ok((port, heard))
}

/// A master user with SUPER or CONNECTION_ADMIN can change a read-only server, but its primary
/// would never get the new password.
async fn read_only_server_is_not_changed_even_by_a_privileged_master<W: Which>(
    target: Target<W>,
) -> Result<()> {
    let Some((_server, target)) = target.another(rotation_tests::mysql::options()?).await? else {
        return Ok(());
    };
    for strategy in ["single-user", "single-user-by-master", "master-user"] {
        let scene = Fixture::new(&target).await?;
        let mut admin = target.admin().await?;
        for user in [&scene.master, &scene.user] {
            let grant =
                format!("GRANT ALL PRIVILEGES ON *.* TO {} WITH GRANT OPTION", account(user));
            sql(&mut admin, &grant).await?;
        }
        sql(&mut admin, "SET GLOBAL read_only = ON").await?;
        let function = scene.function(strategy);
        let checks = scene.preflight(&function).await?;
        let bad: Vec<_> = checks.iter().filter(|check| check["found"] == "bad").collect();
        ensure!(
            bad.len() == 1 && bad[0]["message"].to_string().contains("read_only"),
            "{checks:#?}"
        );
        let error = scene.expect(&function, "NeedsDecision", "endpoint of the writer").await?;
        ensure!(error.message.contains("read_only is 1"), "{}", error.message);
        sql(&mut admin, "SET GLOBAL read_only = OFF").await?;
        scene.log_in().await?;
        let token = scene.version("AWSPENDING")?.unwrap_or_default();
        scene.give_up(&token)?;
        scene.rotate(&function).await?;
    }
    Ok(())
}

/// The MySQL function meets a MariaDB server, and the MariaDB function a MySQL server.
async fn server_of_the_other_kind_is_named<W: Which>(target: Target<W>) -> Result<()> {
    let (own, other, function) = match W::ENGINE {
        "mysql" => ("MySQL", "MariaDB", "rotation-mariadb"),
        _ => ("MariaDB", "MySQL", "rotation-mysql"),
    };
    let name = other.to_ascii_lowercase();
    for strategy in ["single-user", "single-user-by-master", "master-user"] {
        let scene = Fixture::new(&target).await?;
        let before = scene.value("AWSCURRENT")?;
        scene.change(&json!({"engine": name}))?;
        scene.change_master(&json!({"engine": name}))?;
        let program = scene.program_of(function, strategy);
        let error = scene.expect(&program.into(), "NeedsDecision", W::BINARY).await?;
        let expected = format!("this function is for {other}, and the server is {own}");
        ensure!(error.message.contains(&expected), "{}", error.message);
        scene.log_in_with(&before).await?;
    }
    Ok(())
}
