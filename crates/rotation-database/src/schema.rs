//! The schemas of database secrets, one row per engine.
//!
//! Source: [JSON structure of AWS Secrets Manager database credential secrets][doc].
//!
//! [doc]: https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_secret_json_structure.html

/// The properties of an engine and its secrets.
#[derive(Debug, PartialEq, Eq)]
pub struct EngineSpec {
    /// The engine's name in a secret, in metrics and in function names.
    pub name: &'static str,
    /// Other names that a secret can use.
    pub also: &'static [&'static str],
    /// The names in the RDS API (`Engine` in `DescribeDBInstances`), which tools copy into secrets.
    pub rds: &'static [&'static str],
    /// The display name of the engine.
    pub display: &'static str,
    /// The port if the secret has none.
    pub default_port: u16,
    /// The rule for the key `dbname`.
    pub database: DatabaseKey,
    /// `true` if a master user logs in to a database: to the secret's database, which contains the
    /// objects of the users, or to the database in the master secret.
    pub master_uses_database: bool,
    /// `true` if a user can have two passwords at the same time (`KEEP_PREVIOUS_PASSWORD`).
    pub keeps_previous_password: bool,
    /// `true` if the server itself stores which two users are a pair. Otherwise, the versions of
    /// the secret must prove it.
    pub pairs_provable: bool,
    /// `true` if a user can have several accounts: one for each host from which it connects, each
    /// with its own password.
    pub has_accounts_by_host: bool,
    /// The maximum length of a user name.
    pub user_name_limit: NameLimit,
    /// The suffix of the alternate user's name.
    pub alternate_suffix: &'static str,
    /// `true` if double quotes around a user name are not part of the name.
    pub strips_quotes: bool,
    /// The default of `PASSWORD_LENGTH`.
    pub password_length: u32,
    /// The default of `EXCLUDE_CHARACTERS`.
    pub password_excluded: &'static str,
    /// The characters that a password of this engine cannot contain.
    pub password_forbidden: &'static [char],
    /// The maximum length of a password, in bytes.
    pub password_max_bytes: usize,
    /// The other causes of a rejected password on this engine, as a sentence.
    pub auth_failure_hint: Option<&'static str>,
}

/// The rule for the key `dbname` of a secret.
#[derive(Debug, PartialEq, Eq)]
pub enum DatabaseKey {
    /// The key is optional. The value is the default database, if the engine has one.
    Optional(Option<&'static str>),
    /// The key is required.
    Required,
}

/// The limit of a user name.
#[derive(Debug, PartialEq, Eq)]
pub enum NameLimit {
    /// A limit in bytes of UTF-8.
    Bytes(usize),
    /// A limit in characters.
    Characters(usize),
    /// A limit in characters, which `USERNAME_CHARACTER_LIMIT` can override.
    CharactersUnlessSet(usize),
}

/// The default of AWS's own functions for all engines except PostgreSQL.
const EXCLUDED: &str = "/@\"'\\";

/// PostgreSQL and Aurora PostgreSQL.
pub const POSTGRES: EngineSpec = EngineSpec {
    name: "postgres",
    also: &["aurora-postgresql", "postgresql"],
    rds: &[],
    display: "PostgreSQL",
    default_port: 5432,
    database: DatabaseKey::Optional(Some("postgres")),
    master_uses_database: true,
    keeps_previous_password: false,
    pairs_provable: true,
    has_accounts_by_host: false,
    user_name_limit: NameLimit::Bytes(63),
    alternate_suffix: "_clone",
    strips_quotes: false,
    password_length: 32,
    password_excluded: ":/@\"'\\",
    password_forbidden: &[],
    password_max_bytes: 1000,
    auth_failure_hint: Some(
        "PostgreSQL returns the same error if the role does not exist, if it has \
        no password, or if its password has expired (see SELECT rolname, rolvaliduntil FROM \
        pg_roles)",
    ),
};

/// MySQL and Aurora MySQL.
pub const MYSQL: EngineSpec = EngineSpec {
    name: "mysql",
    also: &["aurora-mysql"],
    rds: &["aurora"],
    display: "MySQL",
    default_port: 3306,
    database: DatabaseKey::Optional(None),
    master_uses_database: false,
    keeps_previous_password: true,
    pairs_provable: false,
    has_accounts_by_host: true,
    user_name_limit: NameLimit::CharactersUnlessSet(32),
    alternate_suffix: "_clone",
    strips_quotes: false,
    password_length: 32,
    password_excluded: EXCLUDED,
    password_forbidden: &[],
    password_max_bytes: 256,
    auth_failure_hint: Some(
        "MySQL returns the same error if no account matches the user and the \
        function's address, or if the account requires a form of TLS that this login does not use \
        (REQUIRE SSL, REQUIRE X509)",
    ),
};

/// The schema of MariaDB secrets.
pub const MARIADB: EngineSpec = EngineSpec {
    name: "mariadb",
    also: &[],
    rds: &[],
    display: "MariaDB",
    default_port: 3306,
    database: DatabaseKey::Optional(None),
    master_uses_database: false,
    keeps_previous_password: false,
    pairs_provable: false,
    has_accounts_by_host: true,
    user_name_limit: NameLimit::CharactersUnlessSet(80),
    alternate_suffix: "_clone",
    strips_quotes: false,
    password_length: 32,
    password_excluded: EXCLUDED,
    password_forbidden: &[],
    password_max_bytes: 256,
    auth_failure_hint: Some(
        "MariaDB returns the same error if no account matches the user and the \
        function's address, or if the account requires a form of TLS that this login does not use \
        (REQUIRE SSL, REQUIRE X509)",
    ),
};

/// Microsoft SQL Server, including the editions that RDS offers.
pub const SQLSERVER: EngineSpec = EngineSpec {
    name: "sqlserver",
    also: &[],
    rds: &["sqlserver-ee", "sqlserver-se", "sqlserver-ex", "sqlserver-web", "sqlserver-dev-ee"],
    display: "SQL Server",
    default_port: 1433,
    database: DatabaseKey::Optional(Some("master")),
    master_uses_database: true,
    keeps_previous_password: false,
    pairs_provable: false,
    has_accounts_by_host: false,
    user_name_limit: NameLimit::Characters(128),
    alternate_suffix: "_clone",
    strips_quotes: false,
    password_length: 32,
    password_excluded: EXCLUDED,
    password_forbidden: &[],
    password_max_bytes: 128,
    auth_failure_hint: Some(
        "SQL Server returns the same error if the login does not exist, or if the \
        server accepts only Windows logins (its error log shows state 5 or 58)",
    ),
};

/// Oracle Database, including the editions that RDS offers.
pub const ORACLE: EngineSpec = EngineSpec {
    name: "oracle",
    also: &[],
    rds: &["oracle-ee", "oracle-ee-cdb", "oracle-se2", "oracle-se2-cdb"],
    display: "Oracle",
    default_port: 1521,
    database: DatabaseKey::Required,
    master_uses_database: true,
    keeps_previous_password: false,
    pairs_provable: false,
    has_accounts_by_host: false,
    user_name_limit: NameLimit::Bytes(128),
    alternate_suffix: "_CLONE",
    strips_quotes: true,
    password_length: 30,
    password_excluded: EXCLUDED,
    password_forbidden: &['"'],
    password_max_bytes: 30,
    auth_failure_hint: Some(
        "Oracle returns the same error if the user does not exist, or if the \
        account has no 12C verifier (see SELECT username, password_versions FROM dba_users; \
        setting the password again creates one)",
    ),
};

/// The schemas of all engines.
pub const SCHEMAS: [&EngineSpec; 5] = [&MYSQL, &MARIADB, &POSTGRES, &SQLSERVER, &ORACLE];

impl EngineSpec {
    /// Returns `true` if a secret's `engine` is a name of this engine, in any letter case.
    pub fn is_named(&self, engine: &str) -> bool {
        let engine = engine.trim().to_ascii_lowercase();
        let engine = engine.strip_prefix("custom-").unwrap_or(&engine);
        self.name == engine || self.also.contains(&engine) || self.rds.contains(&engine)
    }

    /// Returns the names that a secret's `engine` can have, for a message.
    pub(crate) fn names(&self) -> String {
        let mut names = format!("\"{}\"", self.name);
        self.also.iter().for_each(|name| names.push_str(&format!(" or \"{name}\"")));
        names
    }
}

impl NameLimit {
    /// Returns a text with the length of `name` and the limit if the name is too long, or `None`.
    /// `set` is the value of `USERNAME_CHARACTER_LIMIT`.
    pub(crate) fn check_length(&self, name: &str, set: Option<u32>) -> Option<String> {
        let (length, limit, unit) = match (self, set) {
            (Self::Bytes(limit), _) => (name.len(), *limit, "bytes"),
            (Self::CharactersUnlessSet(_), Some(limit)) => {
                (name.chars().count(), limit as usize, "characters")
            }
            (Self::Characters(limit) | Self::CharactersUnlessSet(limit), _) => {
                (name.chars().count(), *limit, "characters")
            }
        };
        (length > limit).then(|| format!("{length} {unit}, and the limit is {limit}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_engine_name_means_one_engine() {
        for name in [
            "mysql",
            "aurora-mysql",
            "mariadb",
            "postgres",
            "aurora-postgresql",
            "sqlserver",
            "oracle",
        ] {
            assert_eq!(SCHEMAS.iter().filter(|spec| spec.is_named(name)).count(), 1, "{name}");
        }
        for (spec, names) in [
            (&POSTGRES, &["postgresql", "Postgres", " postgres "][..]),
            (&MYSQL, &["aurora", "MySQL"]),
            (&SQLSERVER, &["sqlserver-ex", "sqlserver-web", "custom-sqlserver-ee"]),
            (&ORACLE, &["oracle-se2", "oracle-ee-cdb", "custom-oracle-ee"]),
        ] {
            for name in names {
                let meant: Vec<_> = SCHEMAS.iter().filter(|spec| spec.is_named(name)).collect();
                assert_eq!(meant, [&spec], "{name}");
            }
        }
    }

    #[test]
    fn a_limit_in_bytes_counts_bytes() {
        assert!(NameLimit::Bytes(63).check_length(&"é".repeat(32), None).is_some());
        assert!(NameLimit::Bytes(63).check_length(&"e".repeat(63), None).is_none());
        assert!(
            NameLimit::CharactersUnlessSet(32).check_length(&"e".repeat(40), Some(80)).is_none()
        );
        assert!(NameLimit::Characters(32).check_length(&"é".repeat(32), None).is_none());
    }
}
