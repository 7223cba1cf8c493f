//! Failures of the database, told apart.

use anyhow::{Context, Result, ensure};
use rotation_tests::mysql::{Scene, Target, Which, account, account_at, sql};
use serde_json::json;

crate::on_both! {
    refusals_that_no_password_mends_end_the_search_at_once
    a_master_without_the_privilege_is_told_which
    a_plugin_that_is_not_supported_is_named
    an_impostor_gets_no_readable_password
}

async fn refusals_that_no_password_mends_end_the_search_at_once<W: Which>(target: Target<W>) -> Result<()> {
    let rows = [
        ("ALTER USER {user} ACCOUNT LOCK", json!({}), "AccountLocked", "ACCOUNT UNLOCK"),
        ("DO 1", json!({"dbname": "no_such_database"}), "DatabaseAccessDenied", "no_such_database"),
        ("ALTER USER {user} WITH MAX_CONNECTIONS_PER_HOUR 1", json!({}), "TooManyConnections", "limit"),
    ];
    for (statement, change, error_type, part) in rows {
        let scene = Scene::new(&target).await?;
        sql(&mut target.admin().await?, &statement.replace("{user}", &account(&scene.user))).await?;
        scene.change(&change)?;
        if error_type == "TooManyConnections" {
            scene.log_in().await?;
        }
        scene.expect(&scene.function("single-user"), error_type, part).await?;
    }
    Ok(())
}

async fn a_master_without_the_privilege_is_told_which<W: Which>(target: Target<W>) -> Result<()> {
    let rows = [
        ("REVOKE CREATE USER ON *.* FROM {master}", "GRANT CREATE USER ON *.* TO"),
        ("REVOKE SELECT, UPDATE ON mysql.* FROM {master}", "GRANT SELECT ON mysql.* TO"),
        ("REVOKE ALL PRIVILEGES ON {database}.* FROM {master}", "GRANT SELECT ON `"),
    ];
    for (statement, part) in rows {
        let scene = Scene::new(&target).await?;
        let statement =
            statement.replace("{master}", &account(&scene.master)).replace("{database}", &scene.database);
        sql(&mut target.admin().await?, &statement).await?;
        // A master needs no database of its own.
        scene.change_master(&json!({"dbname": null}))?;
        let before = scene.value("AWSCURRENT")?;
        scene.expect(&scene.function("master-user"), "PrivilegeMissing", part).await?;
        assert_eq!(scene.value("AWSCURRENT")?, before);
        // What was left over half-way cannot log in, not even where it needs no privilege.
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
    let scene = Scene::new(&target).await?;
    let mut admin = target.admin().await?;
    let user = account_at(&scene.user, "192.0.2.1");
    let (statement, plugin) = match W::ENGINE {
        "mariadb" => (format!("CREATE USER {user} IDENTIFIED VIA unix_socket"), "unix_socket"),
        _ => (format!("CREATE USER {user} IDENTIFIED WITH mysql_no_login"), "mysql_no_login"),
    };
    if sql(&mut admin, &statement).await.is_err() {
        println!("skipped: the server has no {plugin}");
        return Ok(());
    }
    scene.expect(&scene.function("master-user"), "NeedsDecision", plugin).await?;
    Ok(())
}

/// Greets without TLS, and asks for the password in clear text: at once, or by a switch.
async fn an_impostor_gets_no_readable_password<W: Which>(target: Target<W>) -> Result<()> {
    let packet = |sequence: u8, payload: &[u8]| -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap_or(0).to_le_bytes();
        [&length[..3], &[sequence], payload].concat()
    };
    // Protocol 10, no CLIENT_SSL (0x0800), CLIENT_PLUGIN_AUTH (0x0008 of the upper half).
    let greeting = |plugin: &[u8]| {
        let body = [
            b"\x0a8.0.0\0\x01\0\0\0abcdefgh\0\xff\xf7\x2d\x02\0\x0f\0\x15",
            &[0; 10][..],
            b"ijklmnopqrst\0",
            plugin,
            b"\0",
        ];
        packet(0, &body.concat())
    };
    let clear = b"mysql_clear_password";
    let native = b"mysql_native_password";
    let switch = packet(2, &[b"\xfe", &clear[..], b"\0"].concat());
    for (what, first, then) in
        [("greeting", greeting(clear), Vec::new()), ("switch", greeting(native), switch)]
    {
        for (ssl, mode, expected) in [
            (json!(null), "require", "TlsNotOffered"),
            (json!(true), "prefer", "TlsNotOffered"),
            (json!(null), "prefer", "ReadablePasswordRefused"),
        ] {
            let (port, heard) = greeter(first.clone(), then.clone()).await?;
            let scene = Scene::new(&target).await?;
            scene.change(&json!({"host": "127.0.0.1", "port": port, "ssl": ssl}))?;
            let function = scene.program("single-user").env("TLS_MODE", mode).into();
            scene.expect(&function, expected, "").await.with_context(|| format!("{what}, {ssl}, {mode}"))?;
            let password = scene.value("AWSCURRENT")?["password"].as_str().unwrap_or_default().to_owned();
            let heard = heard.lock().map(|heard| heard.clone()).unwrap_or_default();
            ensure!(
                !String::from_utf8_lossy(&heard).contains(&password),
                "{what}, {ssl}, {mode}: the password was sent"
            );
        }
    }
    Ok(())
}

/// A server speaks first: it greets, and answers once.
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
