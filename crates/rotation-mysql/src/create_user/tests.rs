use super::*;

const MYSQL: &str = concat!(
    r#"CREATE USER `a b`@`%` IDENTIFIED WITH 'caching_sha2_password' AS 0x244124 "#,
    r#"DEFAULT ROLE `r1`@`%`,`r2`@`%` REQUIRE SUBJECT 'x' WITH MAX_QUERIES_PER_HOUR "#,
    r#"100 PASSWORD EXPIRE INTERVAL 90 DAY ACCOUNT UNLOCK PASSWORD HISTORY DEFAULT "#,
    r#"PASSWORD REUSE INTERVAL DEFAULT PASSWORD REQUIRE CURRENT DEFAULT "#,
    r#"FAILED_LOGIN_ATTEMPTS 3 PASSWORD_LOCK_TIME 2 ATTRIBUTE '{"comment": "it\'s "#,
    r#"\\"x\\""}'"#,
);

#[test]
fn mysql_statement_is_parsed_and_rendered() {
    let user = parse(MYSQL).unwrap();
    assert_eq!(user.plugins, ["caching_sha2_password"]);
    assert_eq!(user.default_roles.as_deref(), Some("`r1`@`%`, `r2`@`%`"));
    assert!(!user.locked);
    assert_eq!(
        user.all_clauses_locked(),
        concat!(
            r#"REQUIRE SUBJECT 'x' WITH MAX_QUERIES_PER_HOUR 100 MAX_UPDATES_PER_HOUR 0 "#,
            r#"MAX_CONNECTIONS_PER_HOUR 0 MAX_USER_CONNECTIONS 0 PASSWORD EXPIRE INTERVAL "#,
            r#"90 DAY PASSWORD HISTORY DEFAULT PASSWORD REUSE INTERVAL DEFAULT PASSWORD "#,
            r#"REQUIRE CURRENT DEFAULT FAILED_LOGIN_ATTEMPTS 3 PASSWORD_LOCK_TIME 2 ACCOUNT "#,
            r#"LOCK ATTRIBUTE '{"comment": "it''s \\"x\\""}'"#,
        )
    );
    assert_eq!(user.clauses_to(&user), "");
}

#[test]
fn mariadb_statement_is_parsed() {
    let user =
        parse("CREATE USER `a`@`%` IDENTIFIED BY PASSWORD '*24' REQUIRE SSL ACCOUNT LOCK").unwrap();
    assert_eq!((user.plugins, user.locked), (vec!["mysql_native_password".to_owned()], true));
    let user = parse(
        "CREATE USER `a`@`%` IDENTIFIED VIA unix_socket OR ed25519 USING 'x' PASSWORD EXPIRE",
    )
    .unwrap();
    assert_eq!(user.plugins, ["unix_socket", "ed25519"]);
    assert_eq!(user.all_clauses_locked(), "ACCOUNT LOCK");
}

#[test]
fn clause_that_base_user_lacks_is_reset() {
    let plain =
        parse("CREATE USER `a`@`%` IDENTIFIED WITH 'p' REQUIRE NONE PASSWORD EXPIRE DEFAULT")
            .unwrap();
    let strict = parse(
        "CREATE USER `a`@`%` IDENTIFIED WITH 'p' REQUIRE SSL WITH MAX_USER_CONNECTIONS 2 \
         PASSWORD EXPIRE NEVER FAILED_LOGIN_ATTEMPTS 3 PASSWORD_LOCK_TIME 2",
    )
    .unwrap();
    assert_eq!(
        strict.clauses_to(&plain),
        "REQUIRE NONE WITH MAX_QUERIES_PER_HOUR 0 MAX_UPDATES_PER_HOUR 0 \
         MAX_CONNECTIONS_PER_HOUR 0 MAX_USER_CONNECTIONS 0 PASSWORD EXPIRE DEFAULT \
         FAILED_LOGIN_ATTEMPTS 0 PASSWORD_LOCK_TIME 0"
    );
}

/// `PASSWORD EXPIRE` hides the interval. If the interval were compared, such an account would
/// always differ.
#[test]
fn manually_expired_account_has_no_interval() {
    let of = |text: &str| parse(&format!("CREATE USER `a`@`%` IDENTIFIED WITH 'p'{text}")).unwrap();
    let (expired, ordinary) = (of(" PASSWORD EXPIRE"), of(" PASSWORD EXPIRE DEFAULT"));
    assert_eq!(ordinary.clauses_to(&expired), "");
    assert_eq!(expired.clauses_to(&ordinary), "");
    assert_eq!(
        ordinary.clauses_to(&of(" PASSWORD EXPIRE INTERVAL 9 DAY")),
        "PASSWORD EXPIRE INTERVAL 9 DAY"
    );
    let interval = of(" PASSWORD EXPIRE INTERVAL 9 DAY");
    for (wanted, first) in [
        (" PASSWORD EXPIRE DEFAULT", true),
        ("", true),
        (" PASSWORD EXPIRE NEVER", false),
        (" PASSWORD EXPIRE INTERVAL 8 DAY", false),
        (" PASSWORD EXPIRE", false),
    ] {
        assert_eq!(interval.lifetime_must_end_first(&of(wanted)), first, "{wanted}");
        assert!(!ordinary.lifetime_must_end_first(&of(wanted)), "{wanted}");
    }
}

#[test]
fn account_with_several_passwords_is_rejected() {
    let account = Account { user: "a".into(), host: "%".into() };
    let check = |via: &str| {
        let text = format!("CREATE USER `a`@`%` IDENTIFIED VIA {via}");
        parse(&text).unwrap().check_single_password(&account)
    };
    assert_eq!(check("ed25519 USING 'x'"), Ok(()));
    assert_eq!(check("unix_socket OR ed25519 USING 'x'"), Ok(()));
    for two in [
        "ed25519 USING 'x' OR mysql_native_password USING 'y'",
        "mysql_native_password USING 'y' OR ed25519 USING 'x'",
    ] {
        assert!(matches!(check(two), Err(EngineError::NeedsDecision { .. })), "{two}");
    }
}
