//! Tests with a real PgBouncer in front of the server.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Child;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rotation_database::Password;
use rotation_postgres::{Encryption, identifier, literal, verifier};
use rotation_tests::postgres::{Fixture, on_each, options, sql};
use serde_json::{Value, json};
use tempfile::TempDir;
use test_servers::{Certificates, Installation, free_port};

/// A pooler that looks users up in the server. Dropping it ends the pooler.
struct Pooler {
    port: u16,
    child: Child,
    folder: TempDir,
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Pooler {
    /// Starts a pooler in front of the fixture's server. The authentication type and the pool mode
    /// have PgBouncer's own names.
    async fn start(
        fixture: &Fixture,
        certificates: &Certificates,
        auth_type: &str,
        pool_mode: &str,
    ) -> Result<Self> {
        let lookup = format!("auth_user=lookup_{}", fixture.database);
        Self::start_with(fixture, certificates, auth_type, pool_mode, &lookup, "").await
    }

    /// Starts a pooler with additional parameters of its connections to the server, and additional
    /// lines in its user file.
    async fn start_with(
        fixture: &Fixture,
        certificates: &Certificates,
        auth_type: &str,
        pool_mode: &str,
        server: &str,
        users: &str,
    ) -> Result<Self> {
        // PgBouncer's own user, which reads the passwords that the server stores.
        let lookup = format!("lookup_{}", fixture.database);
        let mut admin = fixture.admin().await?;
        for statement in [
            format!("CREATE ROLE {lookup} LOGIN SUPERUSER PASSWORD 'lookup-password'"),
            "CREATE FUNCTION public.lookup(n text, OUT u text, OUT p text) LANGUAGE sql AS \
             $$ SELECT rolname::text, rolpassword FROM pg_catalog.pg_authid WHERE rolname = n $$"
                .into(),
        ] {
            sql(&mut admin, &statement).await?;
        }
        let installation = Installation::here("/usr/sbin");
        let (folder, _) = installation.folder()?;
        let port = free_port()?;
        let at = folder.path().display();
        let configuration = format!(
            "[databases]\n* = host=127.0.0.1 port={port_there} {server}\n[pgbouncer]\n\
             listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\npool_mode = \
             {pool_mode}\n\
             auth_type = {auth_type}\nauth_file = {at}/users\n\
             auth_query = SELECT u, p FROM public.lookup($1)\nclient_tls_sslmode = require\n\
             client_tls_key_file = {at}/key\nclient_tls_cert_file = {at}/certificate\n",
            port_there = fixture.target.port
        );
        for (name, text) in [
            ("ini", configuration),
            ("users", format!("\"{lookup}\" \"lookup-password\"\n{users}\n")),
            ("key", certificates.key.clone()),
            ("certificate", certificates.certificate.clone()),
        ] {
            let path = folder.path().join(name);
            fs::write(&path, text)?;
            installation.hand_over(&path)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        }
        let log = fs::File::create(folder.path().join("log"))?;
        let mut command = installation.command("pgbouncer");
        command.arg(folder.path().join("ini")).stdout(log.try_clone()?).stderr(log);
        let child =
            command.spawn().context("pgbouncer is not installed: sh tests/setup.sh test")?;
        let pooler = Self { port, child, folder };
        for _ in 0..250 {
            if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return Ok(pooler);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!("pgbouncer does not start: {}", pooler.log())
    }

    /// Starts a pooler with its own copies of both users' passwords, and puts it into the secrets.
    /// `copy` is that of the base user: the password, or what the server has stored.
    async fn with_copies(
        fixture: &Fixture,
        certificates: &Certificates,
        auth_type: &str,
        pool_mode: &str,
        copy: &Value,
    ) -> Result<Self> {
        let (user, master) = (&fixture.user, &fixture.master);
        let of_master = json!(fixture.master_password()?);
        let users = format!("\"{user}\" {copy}\n\"{master}\" {of_master}");
        let pooler =
            Self::start_with(fixture, certificates, auth_type, pool_mode, "", &users).await?;
        let port = json!({"port": pooler.port});
        fixture.change(&port)?;
        fixture.change_master(&port)?;
        Ok(pooler)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

/// Makes the server store the base user's password as MD5, and returns the hash.
async fn store_as_md5(fixture: &Fixture) -> Result<String> {
    let password = fixture.value("AWSCURRENT")?["password"].as_str().unwrap_or_default().to_owned();
    let hash = verifier(&fixture.user, &Password::new(&password), Encryption::Md5);
    let hash = hash.map_err(anyhow::Error::msg)?;
    let (user, quoted) = (identifier(&fixture.user), literal(&hash));
    sql(&mut fixture.admin().await?, &format!("ALTER ROLE {user} PASSWORD {quoted}")).await?;
    Ok(hash.to_string())
}

/// The test stops a rotation after `setSecret` and retries it. The retry meets a pooler that
/// reports a rejected password as SQLSTATE 08P01.
async fn rejected_password_is_recognized(
    rule: &'static str,
    auth_type: &'static str,
    pool_mode: &'static str,
) {
    on_each(|target| async move {
        let mut options = options()?;
        options.access_rules = format!("host all all all {rule}");
        options.configuration = format!("password_encryption = '{rule}'\n");
        let certificates = options.certificates.clone().context("no certificates")?;
        let Some((_server, target)) = target.another(options)? else { return Ok(()) };
        for strategy in ["single-user", "single-user-by-master", "master-user"] {
            let case = format!("{auth_type}, {pool_mode}, {strategy}");
            let fixture = Fixture::new(&target).await?;
            if rule == "md5" {
                store_as_md5(&fixture).await?;
            }
            let pooler = Pooler::start(&fixture, &certificates, auth_type, pool_mode).await?;
            let port = json!({"port": pooler.port});
            fixture.change(&port)?;
            fixture.change_master(&port)?;
            let function = fixture.function(strategy);
            for turn in 0..2 {
                let case = format!("{case}, turn {turn}");
                let token = fixture.stage(None)?;
                for step in ["createSecret", "setSecret"] {
                    let done = fixture.step(&function, step, &token).await;
                    done.with_context(|| format!("{case}: {}", pooler.log()))?;
                }
                let rotation = fixture.attempt(&function, &token, 1).await;
                ensure!(
                    rotation.failed.is_none(),
                    "{case}: {:?}\n{}",
                    rotation.failed,
                    pooler.log()
                );
                let mut value = fixture.value("AWSCURRENT")?;
                value["port"] = fixture.target.port.into();
                fixture.log_in_with(&value).await.context(case)?;
            }
        }
        Ok(())
    })
    .await;
}

/// Runs [`rejected_password_is_recognized`] with SCRAM logins and session pooling.
#[tokio::test]
async fn rejected_password_is_recognized_behind_scram_sessions() {
    rejected_password_is_recognized("scram-sha-256", "scram-sha-256", "session").await;
}

/// Runs [`rejected_password_is_recognized`] with SCRAM logins and transaction pooling.
#[tokio::test]
async fn rejected_password_is_recognized_behind_scram_transactions() {
    rejected_password_is_recognized("scram-sha-256", "scram-sha-256", "transaction").await;
}

/// Runs [`rejected_password_is_recognized`] with MD5 logins and transaction pooling.
#[tokio::test]
async fn rejected_password_is_recognized_behind_md5_transactions() {
    rejected_password_is_recognized("md5", "md5", "transaction").await;
}

/// A pooler that logs in to the server as one role for every client proves nothing about the
/// client's role.
#[tokio::test]
async fn pooler_with_a_role_of_its_own_proves_no_other_role() {
    on_each(|target| async move {
        let options = options()?;
        let certificates = options.certificates.clone().context("no certificates")?;
        let Some((_server, target)) = target.another(options)? else { return Ok(()) };
        for strategy in ["single-user", "single-user-by-master", "master-user"] {
            let fixture = Fixture::new(&target).await?;
            let shared = format!("user=lookup_{} password=lookup-password", fixture.database);
            let before = fixture.value("AWSCURRENT")?;
            let users = format!("\"{}\" {}", fixture.user, before["password"]);
            let auth_type = "scram-sha-256";
            let pooler =
                Pooler::start_with(&fixture, &certificates, auth_type, "session", &shared, &users)
                    .await?;
            fixture.change(&json!({"port": pooler.port}))?;
            let error =
                fixture.expect(&fixture.function(strategy), "NeedsDecision", "\"username\"").await;
            let error = error.with_context(|| pooler.log())?;
            ensure!(error.message.contains("a pooler or a proxy"), "{}", error.message);
            fixture.log_in_with(&before).await?;
        }
        Ok(())
    })
    .await;
}

/// The cleartext password is not sent through a pooler, because it is unknown how the pooler
/// forwards it.
#[tokio::test]
async fn cleartext_is_not_sent_through_a_pooler() {
    on_each(|target| async move {
        let mut options = options()?;
        options.configuration = "log_statement = none\nlog_min_duration_statement = -1\n".into();
        let certificates = options.certificates.clone().context("no certificates")?;
        let Some((_server, target)) = target.another(options)? else { return Ok(()) };
        for strategy in ["single-user", "single-user-by-master", "master-user"] {
            let fixture = Fixture::new(&target).await?;
            let pooler = Pooler::start(&fixture, &certificates, "scram-sha-256", "session").await?;
            fixture.change(&json!({"port": pooler.port}))?;
            fixture.change_master(&json!({"port": pooler.port}))?;
            let function =
                fixture.program(strategy).env("POSTGRES_PASSWORD_FORM", "cleartext").into();
            let error =
                fixture.expect(&function, "NeedsDecision", "the server's own endpoint").await;
            error.with_context(|| format!("{strategy}: {}", pooler.log()))?;
            fixture.log_in().await?;
        }
        Ok(())
    })
    .await;
}

/// A pooler with its own copy of the password would lock every client out. The function recognizes
/// it and changes nothing, so the server's verifier stays as it is.
#[tokio::test]
async fn pooler_with_its_own_copy_of_the_password_is_rejected() {
    on_each(|target| async move {
        let options = options()?;
        let certificates = options.certificates.clone().context("no certificates")?;
        let Some((_server, target)) = target.another(options)? else { return Ok(()) };
        for (auth_type, pool_mode, copies_verifier) in [
            ("scram-sha-256", "session", false),
            ("scram-sha-256", "transaction", false),
            ("md5", "transaction", false),
            // PgBouncer logs in to the server with the verifier, so its copy must stay the same.
            ("scram-sha-256", "transaction", true),
        ] {
            for strategy in ["single-user", "single-user-by-master"] {
                let case = format!("{auth_type}, {pool_mode}, {strategy}, {copies_verifier}");
                let fixture = Fixture::new(&target).await?;
                let before = fixture.stored_password(&fixture.user).await?;
                let copy = match copies_verifier {
                    true => json!(before),
                    false => fixture.value("AWSCURRENT")?["password"].clone(),
                };
                let pooler =
                    Pooler::with_copies(&fixture, &certificates, auth_type, pool_mode, &copy)
                        .await?;
                let function = fixture.function(strategy);
                let checks = fixture.preflight(&function).await?;
                // With a copy of the verifier, PgBouncer offers the same salt as the server.
                let (status, part) = match copies_verifier {
                    true => ("skipped", "a pooler or proxy was found"),
                    false => ("failed", "own copy of the password"),
                };
                ensure!(
                    checks.iter().any(|check| check["status"] == status
                        && check["message"].to_string().contains(part)),
                    "{case}: {checks:#?}"
                );
                let error = fixture.expect(&function, "NeedsDecision", "auth_query").await;
                let error = error.with_context(|| format!("{case}: {}", pooler.log()))?;
                ensure!(error.message.contains("own copy of the password"), "{}", error.message);
                // Applications can still log in, both through the pooler and directly.
                let mut value = fixture.value("AWSCURRENT")?;
                fixture
                    .log_in_with(&value)
                    .await
                    .with_context(|| format!("{case}: {}", pooler.log()))?;
                value["port"] = fixture.target.port.into();
                fixture.log_in_with(&value).await?;
                if copies_verifier {
                    let after = fixture.stored_password(&fixture.user).await?;
                    assert_eq!(after, before, "{case}");
                }
            }
        }
        Ok(())
    })
    .await;
}

/// On a server that stores MD5 hashes, a pooler with its own copy asks for the same proof as the
/// server. The function recognizes it, and the server's hash stays as it is.
#[tokio::test]
async fn pooler_with_its_own_copy_in_front_of_an_md5_server_is_rejected() {
    pooler_with_its_own_copy_is_rejected("md5").await;
}

/// The server has stored a verifier, and would store an MD5 hash next time. With an MD5 hash, its
/// rule would reject every login.
#[tokio::test]
async fn verifier_stays_behind_a_pooler_that_asks_for_md5() {
    pooler_with_its_own_copy_is_rejected("scram-sha-256").await;
}

async fn pooler_with_its_own_copy_is_rejected(rule: &'static str) {
    on_each(|target| async move {
        let is_md5 = rule == "md5";
        let version = target.admin("postgres").await?.server_version_num().unwrap_or(0);
        if !is_md5 && version < 160_000 {
            println!("skipped: {version} does not report how the pooler has logged in");
            return Ok(());
        }
        let mut options = options()?;
        options.access_rules = format!("host all all all {rule}");
        options.configuration = "password_encryption = 'md5'\n".into();
        let certificates = options.certificates.clone().context("no certificates")?;
        let Some((_server, target)) = target.another(options)? else { return Ok(()) };
        for (pool_mode, copies_hash) in
            [("session", false), ("transaction", false), ("transaction", true)]
        {
            for strategy in ["single-user", "single-user-by-master"] {
                // A copy of the verifier would let the pooler ask for SCRAM.
                if copies_hash && !is_md5 {
                    continue;
                }
                let case = format!("{pool_mode}, {strategy}, {copies_hash}");
                let fixture = Fixture::new(&target).await?;
                let before = match is_md5 {
                    true => store_as_md5(&fixture).await?,
                    false => fixture.stored_password(&fixture.user).await?,
                };
                let copy = match copies_hash {
                    true => json!(before),
                    false => fixture.value("AWSCURRENT")?["password"].clone(),
                };
                let pooler =
                    Pooler::with_copies(&fixture, &certificates, "md5", pool_mode, &copy).await?;
                let function = fixture.function(strategy);
                let error = fixture.expect(&function, "NeedsDecision", "auth_query").await;
                let error = error.with_context(|| format!("{case}: {}", pooler.log()))?;
                ensure!(error.message.contains("own copy of the password"), "{}", error.message);
                fixture.log_in().await.with_context(|| format!("{case}: {}", pooler.log()))?;
                assert_eq!(fixture.stored_password(&fixture.user).await?, before, "{case}");
            }
        }
        Ok(())
    })
    .await;
}
