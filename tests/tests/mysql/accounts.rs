//! Tests of users with several accounts, and of sessions that run as another account.

use anyhow::{Context, Result, ensure};
use rotation_mysql::inspect;
use rotation_tests::fixture::new_password;
use rotation_tests::mysql::{Fixture, MySql, Target, Which, account, account_at, on_each, sql};
use serde_json::json;
use sqlx::{AssertSqlSafe, Row as _};

crate::on_both! {
    new_account_gets_promoted_password
    anonymous_account_proves_no_user
    expired_account_still_proves_its_user
    expired_users_rotate
    single_user_reports_the_changed_account
}

const REFUSED: &str = "NeedsDecision";

/// Checks in the server's account table that every unlocked account of the current user has the
/// current password.
async fn check_account_passwords<W: Which>(fixture: &Fixture<W>, accounts: usize) -> Result<()> {
    let current = fixture.value("AWSCURRENT")?;
    let text = |key: &str| current[key].as_str().unwrap_or_default();
    let mut admin = fixture.target.admin().await?;
    let locked = match W::ENGINE {
        "mysql" => "account_locked",
        // MariaDB's view does not show whether an account is locked.
        _ => "'N'",
    };
    let query = format!(
        "SELECT Host, plugin, authentication_string, {locked} FROM mysql.user WHERE User = ?"
    );
    let rows =
        sqlx::query(AssertSqlSafe(query)).bind(text("username")).fetch_all(&mut admin).await?;
    assert_eq!(rows.len(), accounts);
    for row in rows {
        let column = |at| {
            String::from_utf8_lossy(row.try_get_unchecked(at).unwrap_or_default()).into_owned()
        };
        let (host, plugin, stored, locked) = (column(0), column(1), column(2), column(3));
        let holds = inspect::holds(&plugin, stored.as_bytes(), text("password"));
        assert_eq!(holds, Some(locked != "Y"), "{}@{host}, {plugin}", text("username"));
        assert_eq!(inspect::holds(&plugin, stored.as_bytes(), "another"), Some(false), "{plugin}");
    }
    Ok(())
}

/// The base user gets another account later, and its password history forbids the password that the
/// other accounts already have.
async fn new_account_gets_promoted_password<W: Which>(target: Target<W>) -> Result<()> {
    let history = if W::ENGINE == "mysql" { " PASSWORD HISTORY 3" } else { "" };
    for turns in [2, 1, 3] {
        let fixture = Fixture::new(&target).await?;
        let mut admin = target.admin().await?;
        let user = account(&fixture.user);
        if !history.is_empty() {
            sql(&mut admin, &format!("ALTER USER {user}{history}")).await?;
        }
        let function = fixture.function("master-user");
        for _ in 0..turns {
            fixture.rotate(&function).await?;
        }
        // A connection over the server's loopback interface comes from one of these two addresses.
        let hosts = ["127.0.0.1", "::1"];
        // If the target is the base user, AWSPREVIOUS shows that the base user belongs to the
        // secret.
        let label = if turns % 2 == 0 { "AWSCURRENT" } else { "AWSPREVIOUS" };
        let password = fixture.value(label)?["password"].as_str().unwrap_or_default().to_owned();
        for host in hosts {
            let base = account_at(&fixture.user, host);
            target.create_account(&mut admin, &base, &password).await?;
            if !history.is_empty() {
                sql(&mut admin, &format!("ALTER USER {base}{history}")).await?;
            }
            sql(&mut admin, &format!("GRANT SELECT ON `{}`.* TO {base}", fixture.database)).await?;
        }
        fixture.rotate(&function).await?;
        check_account_passwords(&fixture, 3).await?;
        fixture.search_for_passwords("")?;
    }
    Ok(())
}

/// The password history of one account rejects a password that another account already has.
#[tokio::test]
async fn retry_completes_accounts_blocked_by_history() {
    on_each::<MySql, _>(|target| async move {
        for (strategy, first) in
            [("single-user-by-master", 0), ("master-user", 0), ("master-user", 1)]
        {
            let fixture = Fixture::new(&target).await?;
            let mut admin = target.admin().await?;
            let hosts = ["192.0.2.7", "192.0.2.8"];
            let password =
                fixture.value("AWSCURRENT")?["password"].as_str().unwrap_or_default().to_owned();
            for host in hosts {
                target
                    .create_account(&mut admin, &account_at(&fixture.user, host), &password)
                    .await?;
            }
            for host in ["%", hosts[0], hosts[1]] {
                let name = account_at(&fixture.user, host);
                sql(&mut admin, &format!("ALTER USER {name} PASSWORD HISTORY 5")).await?;
            }
            let function = fixture.function(strategy);
            for _ in 0..first {
                fixture.rotate(&function).await?;
            }
            let token = fixture.stage(None)?;
            fixture.step(&function, "createSecret", &token).await?;
            fixture.step(&function, "setSecret", &token).await?;
            let pending = fixture.value("AWSPENDING")?;
            let user = pending["username"].as_str().unwrap_or_default();
            // One account has got another password meanwhile.
            let other = account_at(user, hosts[1]);
            sql(&mut admin, &format!("DROP USER {other}")).await?;
            sql(&mut admin, &format!("CREATE USER {other} IDENTIFIED BY '{}'", new_password()))
                .await?;
            let rotation = fixture.attempt(&function, &token, 1).await;
            ensure!(rotation.failed.is_none(), "{:?}", rotation.failed);
            check_account_passwords(&fixture, 3).await?;
            fixture.search_for_passwords("")?;
        }
        Ok(())
    })
    .await;
}

/// The session of a proxy user runs as the proxied account, whose password is not the secret's.
#[tokio::test]
async fn password_of_proxied_account_is_not_changed() {
    on_each::<MySql, _>(|target| async move {
        let fixture = Fixture::new(&target).await?;
        let mut admin = target.admin().await?;
        let (team, team_password, password) = (
            format!("team_{}", &fixture.user[fixture.user.len() - 10..]),
            new_password(),
            new_password(),
        );
        let (person, team) = (account(&fixture.user), account(&team));
        for statement in [
            format!("CREATE USER {team} IDENTIFIED BY '{team_password}'"),
            format!("GRANT CREATE USER ON *.* TO {team}"),
            format!("GRANT ALL ON `{}`.* TO {team}", fixture.database),
            format!("ALTER USER {person} IDENTIFIED WITH sha256_password BY '{password}'"),
            format!("GRANT PROXY ON {team} TO {person}"),
            "SET GLOBAL check_proxy_users = ON".to_owned(),
            "SET GLOBAL sha256_password_proxy_users = ON".to_owned(),
        ] {
            sql(&mut admin, &statement).await?;
        }
        let stored = "SELECT HEX(authentication_string) FROM mysql.user WHERE User LIKE 'team!_%' \
            ESCAPE '!' \
            AND CONCAT(QUOTE(User), '@', QUOTE(Host)) = ?";
        let before: String = sqlx::query_scalar(stored).bind(&team).fetch_one(&mut admin).await?;
        fixture.change(&json!({"password": password}))?;
        let refused =
            fixture.expect(&fixture.function("single-user"), REFUSED, "CURRENT_USER").await;
        let kept = fixture.program("single-user").env("KEEP_PREVIOUS_PASSWORD", "true").into();
        fixture.give_up(&fixture.version("AWSPENDING")?.unwrap_or_default())?;
        let refused_again = fixture.expect(&kept, REFUSED, "CURRENT_USER").await;
        for statement in
            ["SET GLOBAL check_proxy_users = OFF", "SET GLOBAL sha256_password_proxy_users = OFF"]
        {
            sql(&mut admin, statement).await?;
        }
        refused?;
        refused_again?;
        let after: String = sqlx::query_scalar(stored).bind(&team).fetch_one(&mut admin).await?;
        assert_eq!(before, after, "the password of {team} has changed");
        Ok(())
    })
    .await;
}

/// A second password that `KEEP_PREVIOUS_PASSWORD` has retained is discarded after the setting is
/// turned off.
#[tokio::test]
async fn second_password_is_discarded_without_setting() {
    on_each::<MySql, _>(|target| async move {
        for strategy in ["single-user", "single-user-by-master", "master-user"] {
            let fixture = Fixture::new(&target).await?;
            let user = account(&fixture.user);
            let grant = format!("GRANT APPLICATION_PASSWORD_ADMIN ON *.* TO {user}");
            sql(&mut target.admin().await?, &grant).await?;
            let old = fixture.value("AWSCURRENT")?;
            let keeping =
                fixture.program("single-user").env("KEEP_PREVIOUS_PASSWORD", "true").into();
            fixture.rotate(&keeping).await?;
            fixture.log_in_with(&old).await?;
            if strategy == "master-user" {
                let master = account(&fixture.master);
                let option = format!("{} WITH GRANT OPTION", grant.replace(&user, &master));
                sql(&mut target.admin().await?, &option).await?;
                fixture.rotate(&fixture.function(strategy)).await?;
            }
            fixture.rotate(&fixture.function(strategy)).await?;
            assert!(
                fixture.log_in_with(&old).await.is_err(),
                "{strategy}: the old password still works"
            );
            fixture.log_in().await?;
        }
        Ok(())
    })
    .await;
}

/// The server runs any user's session as an anonymous account if that account's host is more
/// specific. Such a session proves nothing. Otherwise, the master user would copy the privileges of
/// a user whose password has not been proven.
async fn anonymous_account_proves_no_user<W: Which>(target: Target<W>) -> Result<()> {
    for strategy in ["single-user", "single-user-by-master", "master-user"] {
        // This test has its own server, because an anonymous account would affect every other test.
        let Some((_server, target)) = target.another(rotation_tests::mysql::options()?).await?
        else {
            return Ok(());
        };
        let fixture = Fixture::new(&target).await?;
        let mut admin = target.admin().await?;
        let anonymous = new_password();
        for host in ["localhost", "127.0.0.1", "::1"] {
            target.create_account(&mut admin, &account_at("", host), &anonymous).await?;
            // The master user gets accounts for the same hosts, because the server prefers an
            // account with a name if the hosts are equal.
            let master = account_at(&fixture.master, host);
            target.create_account(&mut admin, &master, &fixture.master_password()?).await?;
            sql(&mut admin, &format!("GRANT ALL PRIVILEGES ON *.* TO {master} WITH GRANT OPTION"))
                .await?;
        }
        let victim = format!("victim_{}", fixture.user);
        let password = new_password();
        target.create_account(&mut admin, &account(&victim), &password).await?;
        let shown = format!("SHOW CREATE USER {}", account(&victim));
        let before: String =
            sqlx::query_scalar(AssertSqlSafe(shown.clone())).fetch_one(&mut admin).await?;
        fixture.change(&json!({"username": victim, "password": anonymous, "dbname": null}))?;
        let error = fixture.expect(&fixture.function(strategy), REFUSED, "\"username\"").await?;
        ensure!(error.message.contains("anonymous account"), "{}", error.message);
        let after: String = sqlx::query_scalar(AssertSqlSafe(shown)).fetch_one(&mut admin).await?;
        assert_eq!(after, before);
        let query = "SELECT COUNT(*) FROM mysql.user WHERE User = ?";
        let clone = format!("{victim}_clone");
        let count: i64 = sqlx::query_scalar(query).bind(&clone).fetch_one(&mut admin).await?;
        assert_eq!(count, 0, "{clone} was created");
    }
    Ok(())
}

/// MariaDB lets an expired account log in and change its password, but not run anything else.
async fn expired_account_still_proves_its_user<W: Which>(target: Target<W>) -> Result<()> {
    if W::ENGINE != "mariadb" {
        // MySQL rejects the login (error 1862).
        return Ok(());
    }
    let fixture = Fixture::new(&target).await?;
    let function = fixture.function("master-user");
    fixture.rotate(&function).await?;
    let current = fixture.value("AWSCURRENT")?["username"].as_str().unwrap_or_default().to_owned();
    let expire = format!("ALTER USER {} PASSWORD EXPIRE", account(&current));
    sql(&mut target.admin().await?, &expire).await?;
    fixture.rotate(&function).await?;
    fixture.log_in().await?;
    Ok(())
}

/// The server chooses the user's account according to the client's address.
async fn single_user_reports_the_changed_account<W: Which>(target: Target<W>) -> Result<()> {
    let fixture = Fixture::new(&target).await?;
    let function = fixture.function("single-user");
    let notes =
        |record: &serde_json::Value| record["notes"].as_array().cloned().unwrap_or_default();
    let set = async |label| {
        let token = fixture.stage(None)?;
        fixture.step(&function, "createSecret", &token).await?;
        let record = fixture.step(&function, "setSecret", &token).await?;
        let rotation = fixture.attempt(&function, &token, 1).await;
        ensure!(rotation.failed.is_none(), "{label}: {:?}", rotation.failed);
        anyhow::Ok(record)
    };
    let record = set("one account").await?;
    let named = format!("changed the password of '{}'@'%'", fixture.user);
    ensure!(record["did"].as_str().is_some_and(|text| text.contains(&named)), "{record:#}");
    assert!(notes(&record).is_empty(), "{record:#}");

    let mut admin = target.admin().await?;
    let password = fixture.value("AWSCURRENT")?["password"].as_str().unwrap_or_default().to_owned();
    for host in ["127.0.0.1", "::1"] {
        target.create_account(&mut admin, &account_at(&fixture.user, host), &password).await?;
    }
    let one_of_them = |text: &str| {
        ["127.0.0.1", "::1"]
            .iter()
            .any(|host| text.contains(&format!("'{}'@'{host}'", fixture.user)))
    };
    let checks = fixture.preflight(&function).await?;
    let warns = |check: &serde_json::Value| {
        check["status"] == "skipped" && check["message"].as_str().is_some_and(&one_of_them)
    };
    ensure!(checks.iter().any(warns), "{checks:#?}");
    let record = set("three accounts").await?;
    ensure!(record["did"].as_str().is_some_and(one_of_them), "{record:#}");
    let notes = notes(&record);
    let [note] = notes.as_slice() else { anyhow::bail!("{record:#}") };
    ensure!(
        note.as_str().is_some_and(|note| one_of_them(note) && note.contains("other hosts")),
        "{note}"
    );
    Ok(())
}

/// A server reports an expired password only to a client that knows it. The master user then sets a
/// new one.
async fn expired_users_rotate<W: Which>(target: Target<W>) -> Result<()> {
    let own = rotation_tests::mysql::options()?;
    let Some((_server, target)) = target.another(own).await? else { return Ok(()) };
    let fixture = Fixture::new(&target).await?;
    let function = fixture.function("master-user");
    let mut admin = target.admin().await?;
    // Without this setting, MariaDB lets an expired user log in and change its password.
    if W::ENGINE == "mariadb" {
        sql(&mut admin, "SET GLOBAL disconnect_on_expired_password = ON").await?;
    }
    fixture.rotate(&function).await?;
    for label in ["AWSPREVIOUS", "AWSCURRENT", "AWSPREVIOUS", "AWSCURRENT"] {
        let value = fixture.value(label)?;
        let user = account(value["username"].as_str().unwrap_or_default());
        sql(&mut admin, &format!("ALTER USER {user} PASSWORD EXPIRE")).await?;
        ensure!(fixture.log_in_with(&value).await.is_err(), "{label} has not expired");
        fixture.rotate(&function).await.context(label)?;
        fixture.log_in().await.context(label)?;
    }
    check_account_passwords(&fixture, 1).await?;
    Ok(())
}
