//! Tests of failures that only MySQL and MariaDB report, which the function must tell apart.

use anyhow::{Context, Result, ensure};
use rotation_tests::mysql::{Fixture, Target, Which, account, account_at, sql};
use serde_json::json;

crate::on_both! {
    non_password_errors_stop_the_search
    account_locked_by_failed_logins_is_reported
    error_instead_of_greeting_is_reported
    password_policy_error_is_reported
    blocked_change_times_out
    missing_master_privilege_is_reported
    unsupported_plugin_is_reported
    rogue_server_gets_no_cleartext_password
    privileged_master_does_not_change_read_only_server
    server_of_other_engine_is_reported
}

async fn non_password_errors_stop_the_search<W: Which>(target: Target<W>) -> Result<()> {
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
        let fixture = Fixture::new(&target).await?;
        sql(&mut target.admin().await?, &statement.replace("{user}", &account(&fixture.user)))
            .await?;
        fixture.change(&change)?;
        if error_type == "TooManyConnections" {
            fixture.log_in().await?;
        }
        fixture.expect(&fixture.function("single-user"), error_type, part).await?;
    }
    Ok(())
}

/// `FAILED_LOGIN_ATTEMPTS` (MySQL) or `max_password_errors` (MariaDB) locks the account.
async fn account_locked_by_failed_logins_is_reported<W: Which>(target: Target<W>) -> Result<()> {
    let mut options = rotation_tests::mysql::options()?;
    if W::ENGINE == "mariadb" {
        options.arguments = vec!["--max-password-errors=1".into()];
    }
    let Some((_server, strict)) = target.another(options).await? else { return Ok(()) };
    let fixture = Fixture::new(&strict).await?;
    let part = if W::ENGINE == "mariadb" {
        "FLUSH PRIVILEGES"
    } else {
        let lock = "FAILED_LOGIN_ATTEMPTS 1 PASSWORD_LOCK_TIME UNBOUNDED";
        sql(&mut strict.admin().await?, &format!("ALTER USER {} {lock}", account(&fixture.user)))
            .await?;
        "ACCOUNT UNLOCK"
    };
    let mut wrong = fixture.value("AWSCURRENT")?;
    wrong["password"] = "a-wrong-password".into();
    ensure!(fixture.log_in_with(&wrong).await.is_err());
    fixture.expect(&fixture.function("single-user"), "AccountLocked", part).await?;
    Ok(())
}

/// Instead of a greeting, the server sends an error packet without an SQLSTATE.
async fn error_instead_of_greeting_is_reported<W: Which>(target: Target<W>) -> Result<()> {
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
        let (port, _) = rogue_mysql_server(packet, Vec::new()).await?;
        let fixture = Fixture::new(&target).await?;
        fixture.change(&json!({"host": "127.0.0.1", "port": port}))?;
        let error = fixture.expect(&fixture.function("single-user"), error_type, part).await?;
        assert!(error.message.contains(words), "{}", error.message);
    }
    Ok(())
}

/// A password policy of the server rejects the password. The error also reports a policy that needs
/// the cleartext, which MariaDB does not get.
async fn password_policy_error_is_reported<W: Which>(target: Target<W>) -> Result<()> {
    let mut options = rotation_tests::mysql::options()?;
    if W::ENGINE == "mariadb" {
        options.arguments = vec!["--strict-password-validation=OFF".into()];
    }
    let Some((_server, strict)) = target.another(options).await? else { return Ok(()) };
    let fixture = Fixture::new(&strict).await?;
    let mut admin = strict.admin().await?;
    if W::ENGINE == "mariadb" {
        sql(&mut admin, "INSTALL SONAME 'simple_password_check'").await?;
        // The server cannot check a hash. It accepts one unless strict_password_validation is on.
        fixture.rotate(&fixture.function("single-user")).await?;
        sql(&mut admin, "SET GLOBAL strict_password_validation = ON").await?;
        for strategy in ["single-user", "master-user"] {
            let fixture = fixture_despite_validation(&mut admin, &strict).await?;
            let function = fixture.function(strategy);
            fixture
                .expect(&function, "PasswordRejected", "strict_password_validation = OFF")
                .await?;
            fixture.log_in().await?;
        }
        return Ok(());
    }
    if sql(&mut admin, "INSTALL COMPONENT 'file://component_validate_password'").await.is_err() {
        println!("skipped: the server has no validate_password");
        return Ok(());
    }
    sql(&mut admin, "SET GLOBAL validate_password.length = 100").await?;
    for strategy in ["single-user", "master-user"] {
        let error = fixture
            .expect(&fixture.function(strategy), "PasswordRejected", "PASSWORD_LENGTH")
            .await?;
        assert!(error.message.contains("--remove-from-version-id"), "{}", error.message);
        let token = fixture.version("AWSPENDING")?.context("no pending version")?;
        let remove = json!({
            "SecretId": "test/secret",
            "VersionStage": "AWSPENDING",
            "RemoveFromVersionId": token,
        });
        fixture.service.perform("UpdateSecretVersionStage", &remove)?;
        fixture.log_in().await?;
    }
    let function = fixture.program("single-user").env("PASSWORD_LENGTH", "100").into();
    fixture.rotate(&function).await?;
    Ok(())
}

/// A backup holds the global read lock.
async fn blocked_change_times_out<W: Which>(target: Target<W>) -> Result<()> {
    let Some((_server, other)) = target.another(rotation_tests::mysql::options()?).await? else {
        return Ok(());
    };
    let fixture = Fixture::new(&other).await?;
    let mut backup = other.admin().await?;
    sql(&mut backup, "FLUSH TABLES WITH READ LOCK").await?;
    let function = fixture.function("single-user");
    fixture.expect(&function, "DatabaseBusy", "the session that holds the lock").await?;
    sql(&mut backup, "UNLOCK TABLES").await?;
    let token = fixture.version("AWSPENDING")?.context("no pending version")?;
    assert_eq!(fixture.attempt(&function, &token, 1).await.failed, None);
    fixture.log_in().await?;
    Ok(())
}

/// Creates a fixture on a server that rejects hashes, by turning the check off meanwhile.
async fn fixture_despite_validation<W: Which>(
    admin: &mut sqlx::MySqlConnection,
    target: &Target<W>,
) -> Result<Fixture<W>> {
    sql(admin, "SET GLOBAL strict_password_validation = OFF").await?;
    let fixture = Fixture::new(target).await?;
    sql(admin, "SET GLOBAL strict_password_validation = ON").await?;
    Ok(fixture)
}

async fn missing_master_privilege_is_reported<W: Which>(target: Target<W>) -> Result<()> {
    let rows = [
        ("REVOKE CREATE USER ON *.* FROM {master}", "GRANT CREATE USER ON *.* TO"),
        ("REVOKE SELECT, UPDATE ON mysql.* FROM {master}", "GRANT SELECT ON mysql.* TO"),
        ("REVOKE ALL PRIVILEGES ON {database}.* FROM {master}", "GRANT SELECT ON `"),
        ("REVOKE {role} FROM {master}", "WITH ADMIN OPTION"),
    ];
    for (statement, part) in rows {
        let fixture = if part.contains("ADMIN") {
            Fixture::rich(&target).await?
        } else {
            Fixture::new(&target).await?
        };
        let role = format!("`r_{}`", &fixture.user[fixture.user.len().saturating_sub(20)..]);
        let statement = statement
            .replace("{master}", &account(&fixture.master))
            .replace("{database}", &fixture.database)
            .replace("{role}", &role);
        sql(&mut target.admin().await?, &statement).await?;
        // A master user needs no database of its own.
        fixture.change_master(&json!({"dbname": null}))?;
        let before = fixture.value("AWSCURRENT")?;
        let seen_before = match part {
            "GRANT CREATE USER ON *.* TO" => Some(part),
            "GRANT SELECT ON mysql.* TO" => Some("GRANT SELECT, UPDATE ON mysql.* TO"),
            _ => None,
        };
        if let Some(part) = seen_before {
            fixture
                .preflight_finds(&fixture.function("master-user"), "PrivilegeMissing", part)
                .await?;
        }
        fixture.expect(&fixture.function("master-user"), "PrivilegeMissing", part).await?;
        assert_eq!(fixture.value("AWSCURRENT")?, before);
        // The half-created alternate user cannot log in, even without a database.
        let pending = fixture.value("AWSPENDING")?;
        let (user, password) = (pending["username"].as_str(), pending["password"].as_str());
        let at = &target.address;
        let login = test_servers::mysql::connect(
            &at.host,
            at.port,
            at.authority.as_deref(),
            user.unwrap_or_default(),
            password.unwrap_or_default(),
            None,
        );
        assert!(login.await.is_err(), "{statement}");
        fixture.log_in().await?;
    }
    Ok(())
}

async fn unsupported_plugin_is_reported<W: Which>(target: Target<W>) -> Result<()> {
    let fixture = Fixture::new(&target).await?;
    let mut admin = target.admin().await?;
    let user = account_at(&fixture.user, "192.0.2.1");
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
    fixture.expect(&fixture.function("master-user"), "NeedsDecision", plugin).await?;
    Ok(())
}

/// The rogue server greets without TLS and requests the cleartext password, in the greeting or by
/// an authentication switch.
async fn rogue_server_gets_no_cleartext_password<W: Which>(target: Target<W>) -> Result<()> {
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
            let (port, heard) = rogue_mysql_server(first.clone(), then.clone()).await?;
            let fixture = Fixture::new(&target).await?;
            fixture.change(&json!({"host": "127.0.0.1", "port": port, "ssl": ssl}))?;
            let function = fixture.program("single-user").env("TLS_MODE", mode).into();
            let expected = if what.contains("protocol") { "LoginFailed" } else { expected };
            fixture
                .expect(&function, expected, "")
                .await
                .with_context(|| format!("{what}, {ssl}, {mode}"))?;
            let password =
                fixture.value("AWSCURRENT")?["password"].as_str().unwrap_or_default().to_owned();
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
async fn rogue_mysql_server(
    greeting: Vec<u8>,
    then: Vec<u8>,
) -> Result<(u16, rotation_tests::proxy::Heard)> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    let port = listener.local_addr()?.port();
    let heard = rotation_tests::proxy::Heard::default();
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
async fn privileged_master_does_not_change_read_only_server<W: Which>(
    target: Target<W>,
) -> Result<()> {
    let Some((_server, target)) = target.another(rotation_tests::mysql::options()?).await? else {
        return Ok(());
    };
    for strategy in ["single-user", "single-user-by-master", "master-user"] {
        let fixture = Fixture::new(&target).await?;
        let mut admin = target.admin().await?;
        for user in [&fixture.master, &fixture.user] {
            let grant =
                format!("GRANT ALL PRIVILEGES ON *.* TO {} WITH GRANT OPTION", account(user));
            sql(&mut admin, &grant).await?;
        }
        sql(&mut admin, "SET GLOBAL read_only = ON").await?;
        let function = fixture.function(strategy);
        let checks = fixture.preflight(&function).await?;
        let bad: Vec<_> = checks.iter().filter(|check| check["status"] == "failed").collect();
        ensure!(
            bad.len() == 1 && bad[0]["message"].to_string().contains("read_only"),
            "{checks:#?}"
        );
        let error = fixture.expect(&function, "NeedsDecision", "endpoint of the writer").await?;
        ensure!(error.message.contains("read_only is 1"), "{}", error.message);
        sql(&mut admin, "SET GLOBAL read_only = OFF").await?;
        fixture.log_in().await?;
        let token = fixture.version("AWSPENDING")?.unwrap_or_default();
        fixture.give_up(&token)?;
        fixture.rotate(&function).await?;
    }
    Ok(())
}

/// The MySQL function meets a MariaDB server, and the MariaDB function a MySQL server.
async fn server_of_other_engine_is_reported<W: Which>(target: Target<W>) -> Result<()> {
    let (own, other, function) = match W::ENGINE {
        "mysql" => ("MySQL", "MariaDB", "rotation-mariadb"),
        _ => ("MariaDB", "MySQL", "rotation-mysql"),
    };
    let name = other.to_ascii_lowercase();
    for strategy in ["single-user", "single-user-by-master", "master-user"] {
        let fixture = Fixture::new(&target).await?;
        let before = fixture.value("AWSCURRENT")?;
        fixture.change(&json!({"engine": name}))?;
        fixture.change_master(&json!({"engine": name}))?;
        let program = fixture.program_of(function, strategy);
        let error = fixture.expect(&program.into(), "NeedsDecision", W::BINARY).await?;
        let expected = format!("this function is for {other}, but the server is {own}");
        ensure!(error.message.contains(&expected), "{}", error.message);
        fixture.log_in_with(&before).await?;
    }
    Ok(())
}
