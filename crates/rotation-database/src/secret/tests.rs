use super::*;
use crate::problem::join;
use crate::schema::{ORACLE, POSTGRES};
use proptest::prelude::*;

fn parse(text: &str) -> Result<DatabaseSecret, Vec<SecretProblem>> {
    DatabaseSecret::parse(&SecretValue::new(text), &POSTGRES, RequiredKeys::Endpoint)
}

const GOOD: &str = r#"{"engine":"postgres","host":"db","username":"app","password":"pw-of-app"}"#;

#[test]
fn all_secret_problems_are_reported_without_values() {
    let text = r#"{"engine":"hunter2-engine","Host":"x","username":7,"password":"",
        "port":"http","dbname":[]}"#;
    let faults = parse(text).map_err(|problems| join(&problems)).unwrap_err();
    for part in [
        "\"engine\" is not a known engine",
        "letter case",
        "\"username\" is not a string",
        "\"password\" is empty",
        "\"port\"",
        "\"dbname\" is not a string",
    ] {
        assert!(faults.contains(part), "{part} not in: {faults}");
    }
    assert!(!faults.contains("hunter2") && !faults.contains("http"), "{faults}");
}

#[test]
fn defaults_come_from_the_engine() {
    let secret = parse(GOOD).unwrap();
    assert_eq!(
        (secret.port, secret.database.as_deref(), secret.ssl),
        (5432, Some("postgres"), Ssl::Unspecified)
    );
}

#[test]
fn port_is_a_number_or_a_string_of_digits() {
    for (port, expected) in [
        ("6543", Some(6543)),
        ("\"6543\"", Some(6543)),
        ("0", None),
        ("70000", None),
        ("\"\"", None),
        ("1.5", None),
        ("true", None),
    ] {
        let text = GOOD.replace("\"host\"", &format!("\"port\":{port},\"host\""));
        assert_eq!(parse(&text).ok().map(|secret| secret.port), expected, "{port}");
    }
}

#[test]
fn ssl_spellings_are_read_and_others_count_as_absent() {
    for (ssl, expected) in [
        ("true", Ssl::Required),
        ("\"True\"", Ssl::Required),
        ("false", Ssl::Off),
        ("\"FALSE\"", Ssl::Off),
        ("\"yes\"", Ssl::Unspecified),
        ("1", Ssl::Unspecified),
        ("null", Ssl::Unspecified),
    ] {
        let text = GOOD.replace("\"host\"", &format!("\"ssl\":{ssl},\"host\""));
        assert_eq!(parse(&text).unwrap().ssl, expected, "{ssl}");
    }
}

#[test]
fn unknown_keys_keep_order_type_and_number_format() {
    let text = concat!(
        r#"{"z":1.50,"engine":"postgres","host":"db","a":[null,{"k":12345678901234567890123}],"#,
        r#""username":"app","password":"old-password","port":"5432","ssl":"TRUE"}"#,
    );
    let written = parse(text).unwrap().with("app_clone", &Password::new("new-password")).unwrap();
    let expected = text.replace("\"app\"", "\"app_clone\"").replace("old-password", "new-password");
    assert_eq!(written.expose(), expected);
}

/// Each case is a secret as operators or tools write it, and the expected result.
#[test]
fn common_secret_spellings_are_accepted() {
    let keys = |more: &str| format!(r#"{{{more},"username":"app","password":"pw-of-app"}}"#);
    for (value, host, port, database) in [
        // Secrets from the consoles of RDS and Secrets Manager.
        (
            keys(
                r#""engine":"postgres","host":"db.abc.eu-west-1.rds.amazonaws.com","port":5432,
                "dbInstanceIdentifier":"db""#,
            ),
            "db.abc.eu-west-1.rds.amazonaws.com",
            5432,
            "postgres",
        ),
        // Terraform's aws_db_instance.endpoint contains the port.
        (
            keys(r#""engine":"postgres","host":"db.example.com:6543","dbname":"shop""#),
            "db.example.com",
            6543,
            "shop",
        ),
        (
            keys(r#""engine":"postgres","host":"db.example.com:6543","port":"6543""#),
            "db.example.com",
            6543,
            "postgres",
        ),
        (keys(r#""engine":"postgresql","host":" db ","port":5432.0"#), "db", 5432, "postgres"),
        (
            keys(r#""engine":"Aurora-PostgreSQL","host":"db","port":"5432.0""#),
            "db",
            5432,
            "postgres",
        ),
        (
            keys(r#""engine":"postgres","host":"db","port":null,"dbname":null,"ssl":null"#),
            "db",
            5432,
            "postgres",
        ),
        (format!("\u{feff}{}", keys(r#""engine":"postgres","host":"db""#)), "db", 5432, "postgres"),
        (keys("\n  \"engine\": \"postgres\",\r\n\t\"host\": \"db\""), "db", 5432, "postgres"),
    ] {
        let secret = parse(&value).unwrap_or_else(|faults| panic!("{value}: {faults:?}"));
        let read = (secret.host.as_str(), secret.port, secret.database.as_deref());
        assert_eq!(read, (host, port, Some(database)), "{value}");
        assert!(parse(secret.with("app", &Password::new("new")).unwrap().expose()).is_ok());
    }
}

#[test]
fn common_mistakes_are_rejected_with_a_correction() {
    let keys = |more: &str| format!(r#"{{{more},"username":"app","password":"pw-of-app"}}"#);
    let good = keys(r#""engine":"postgres","host":"db""#);
    let utf16: String = good.chars().flat_map(|c| [c, '\0']).collect();
    for (value, parts) in [
        (
            keys(r#""engine":"postgres","host":"postgres://app:pw-of-app@db:5432/shop""#),
            ["\"host\": \"db\"", "\"dbname\": \"shop\""],
        ),
        (
            keys(r#""engine":"postgres","host":"jdbc:postgresql://db:5432/shop""#),
            ["\"host\" is a URL", "\"port\": 5432"],
        ),
        (keys(r#""engine":"postgres","host":"tcp:db,1433""#), ["tcp:", "\"host\": \"db\""]),
        (keys(r#""engine":"postgres","host":"db\\SQLEXPRESS""#), ["instance", "\"host\": \"db\""]),
        (
            keys(r#""engine":"postgres","host":"db:1","port":2"#),
            ["\"host\" ends with port 1", "\"port\" is 2"],
        ),
        (
            keys(r#""engine":"postgres","host":"db","port":"""#),
            ["\"port\" is empty", "\"port\": 5432"],
        ),
        (
            keys(r#""engine":"postgres","host":"db","port":0.5"#),
            ["\"port\" is neither", "\"port\": 5432"],
        ),
        (
            keys(r#""engine":"postgres","host":"db","dbname":"shop ""#),
            ["\"dbname\"", "\"dbname\": \"shop\""],
        ),
        (
            keys(r#""engine":"postgres","host":"db","host":"db2""#),
            ["\"host\" occurs twice", "keep one"],
        ),
        (
            keys(r#""engine":"postgres","host":"db","port":1,"port":2"#),
            ["\"port\" occurs twice", "keep one"],
        ),
        (
            keys(r#""engine":"oracle-se2","host":"db""#),
            ["\"engine\" is \"oracle-se2\"", "\"postgres\""],
        ),
        (
            good.replace("\"app\"", "\"app \""),
            ["\"username\" starts or ends", "\"username\": \"app\""],
        ),
        (
            good.replace("username", "user"),
            ["\"username\" is missing", "rename it to \"username\""],
        ),
        (
            good.replace("\"host\"", "\"hostname\""),
            ["\"host\" is missing", "rename it to \"host\""],
        ),
        (format!(r#"{{"db":{good}}}"#), ["inside \"db\"", "\"password\" is missing"]),
        (
            serde_json::json!({"SecretString": good}).to_string(),
            ["inside \"SecretString\"", "missing"],
        ),
        (serde_json::json!(good).to_string(), ["JSON string", "store the object itself"]),
        (utf16, ["UTF-16", "UTF-8"]),
    ] {
        let faults = parse(&value).map_err(|problems| join(&problems)).unwrap_err();
        for part in parts {
            assert!(faults.contains(part), "{part} is not in {faults:?} of {value}");
        }
        assert!(!faults.contains("pw-of-app"), "{faults}");
    }
}

#[test]
fn master_arn_accepts_a_secret_arn_or_name() {
    let parse = |arn: &str| {
        let text = GOOD.replace('{', &format!(r#"{{"masterarn":"{arn}","#));
        DatabaseSecret::parse(&SecretValue::new(text), &POSTGRES, RequiredKeys::EndpointAndMaster)
    };
    for arn in [
        "arn:aws:secretsmanager:eu-west-1:123456789012:secret:master-AbCdEf",
        " arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:master ",
        "prod/master_1",
    ] {
        assert_eq!(parse(arn).unwrap().master_arn.as_deref(), Some(arn.trim()));
    }
    for arn in [
        "arn:aws:rds:eu-west-1:123456789012:db:shop",
        "arn:aws:iam::123456789012:role/x",
        "a b",
        "https://x",
    ] {
        let faults = parse(arn).unwrap_err();
        assert!(faults[0].to_string().starts_with("\"masterarn\" is"), "{faults:?}");
    }
}

#[test]
fn oracle_must_name_a_database() {
    let text = GOOD.replace("\"postgres\"", "\"oracle\"");
    let faults = DatabaseSecret::parse(&SecretValue::new(text), &ORACLE, RequiredKeys::Endpoint)
        .unwrap_err();
    assert_eq!(faults, [SecretProblem::Missing { key: "dbname", instead: None }]);
}

#[test]
fn debug_output_of_a_secret_shows_no_password() {
    assert!(!format!("{:?}", parse(GOOD).unwrap()).contains("pw-of-app"));
}

proptest! {
    #[test]
    fn any_password_survives_json_round_trip(password in "[^\\x00]{1,64}") {
        let written = parse(GOOD).unwrap().with("app", &Password::new(password.clone())).unwrap();
        let read = parse(written.expose()).unwrap();
        prop_assert_eq!(read.password.expose(), password);
    }

    #[test]
    fn any_text_parses_without_panic(text in ".*") {
        let _ = parse(&text);
    }
}
