//! The schemas of database secrets, one row per engine.
//!
//! Source: [JSON structure of AWS Secrets Manager database credential secrets][doc].
//!
//! [doc]: https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_secret_json_structure.html

/// What is particular to an engine's secrets.
#[derive(Debug, PartialEq, Eq)]
pub struct EngineSpec {
    /// The engine's name in a secret, in metrics and in function names.
    pub name: &'static str,
    /// Other names that a secret may use.
    pub also: &'static [&'static str],
    /// The names of the RDS API (`DescribeDBInstances`, `Engine`), which tools copy into secrets.
    pub rds: &'static [&'static str],
    /// The engine's name for people.
    pub display: &'static str,
    /// The port when the secret has none.
    pub default_port: u16,
    /// The key `dbname`.
    pub database: DatabaseKey,
    /// `true` if a master logs in to the secret's database, where the users' objects are, or to its
    /// own.
    pub master_enters_database: bool,
    /// `true` if a user may have two passwords at a time (`KEEP_PREVIOUS_PASSWORD`).
    pub keeps_previous_password: bool,
    /// `true` if the server itself shows that two users are a pair. Where not, the secret's
    /// versions must.
    pub marks_pairs: bool,
    /// `true` if a user may have several accounts, one for each host that it connects from, each
    /// with its own password.
    pub has_accounts_by_host: bool,
    /// How long a user name may be.
    pub user_name_limit: NameLimit,
    /// What the second of two alternating users has behind its name.
    pub alternate_suffix: &'static str,
    /// `true` if double quotes around a user name are not part of the name.
    pub unquotes_names: bool,
    /// Default of `PASSWORD_LENGTH`.
    pub password_length: u32,
    /// Default of `EXCLUDE_CHARACTERS`.
    pub password_excluded: &'static str,
    /// Characters that a password of this engine cannot hold.
    pub password_forbidden: &'static [char],
    /// The longest password that the engine takes, in bytes.
    pub password_max_bytes: usize,
    /// What else a refused password can mean on this engine; empty when nothing.
    pub refused_also_means: &'static str,
}

/// Whether a secret must name a database.
#[derive(Debug, PartialEq, Eq)]
pub enum DatabaseKey {
    /// Optional; this one is used when absent, if any.
    Optional(Option<&'static str>),
    /// Required.
    Required,
}

/// The limit of a user name.
#[derive(Debug, PartialEq, Eq)]
pub enum NameLimit {
    /// In bytes of UTF-8.
    Bytes(usize),
    /// In characters.
    Characters(usize),
    /// In characters, and `USERNAME_CHARACTER_LIMIT` sets another.
    CharactersUnlessSet(usize),
}

/// The default of AWS's own functions, for all engines but PostgreSQL.
const EXCLUDED: &str = "/@\"'\\";

/// PostgreSQL and Aurora PostgreSQL.
pub const POSTGRES: EngineSpec = EngineSpec {
    name: "postgres",
    also: &["aurora-postgresql", "postgresql"],
    rds: &[],
    display: "PostgreSQL",
    default_port: 5432,
    database: DatabaseKey::Optional(Some("postgres")),
    master_enters_database: true,
    keeps_previous_password: false,
    marks_pairs: true,
    has_accounts_by_host: false,
    user_name_limit: NameLimit::Bytes(63),
    alternate_suffix: "_clone",
    unquotes_names: false,
    password_length: 32,
    password_excluded: ":/@\"'\\",
    password_forbidden: &[],
    password_max_bytes: 1000,
    refused_also_means: "PostgreSQL gives the same answer when the role does not exist, has no password, or its \
        password has expired (SELECT rolvaliduntil FROM pg_roles tells)",
};

/// MySQL and Aurora MySQL.
pub const MYSQL: EngineSpec = EngineSpec {
    name: "mysql",
    also: &["aurora-mysql"],
    rds: &["aurora"],
    display: "MySQL",
    default_port: 3306,
    database: DatabaseKey::Optional(None),
    master_enters_database: false,
    keeps_previous_password: true,
    marks_pairs: false,
    has_accounts_by_host: true,
    user_name_limit: NameLimit::CharactersUnlessSet(32),
    alternate_suffix: "_clone",
    unquotes_names: false,
    password_length: 32,
    password_excluded: EXCLUDED,
    password_forbidden: &[],
    password_max_bytes: 256,
    refused_also_means: "MySQL gives the same answer when no account matches the user and the function's address, or \
        when the account demands TLS in a way that this login does not have (REQUIRE SSL, REQUIRE X509)",
};

/// MariaDB.
pub const MARIADB: EngineSpec = EngineSpec {
    name: "mariadb",
    also: &[],
    rds: &[],
    display: "MariaDB",
    default_port: 3306,
    database: DatabaseKey::Optional(None),
    master_enters_database: false,
    keeps_previous_password: false,
    marks_pairs: false,
    has_accounts_by_host: true,
    user_name_limit: NameLimit::CharactersUnlessSet(80),
    alternate_suffix: "_clone",
    unquotes_names: false,
    password_length: 32,
    password_excluded: EXCLUDED,
    password_forbidden: &[],
    password_max_bytes: 256,
    refused_also_means: "MariaDB gives the same answer when no account matches the user and the function's address, or \
        when the account demands TLS in a way that this login does not have (REQUIRE SSL, REQUIRE X509)",
};

/// Microsoft SQL Server.
pub const SQLSERVER: EngineSpec = EngineSpec {
    name: "sqlserver",
    also: &[],
    rds: &["sqlserver-ee", "sqlserver-se", "sqlserver-ex", "sqlserver-web", "sqlserver-dev-ee"],
    display: "SQL Server",
    default_port: 1433,
    database: DatabaseKey::Optional(Some("master")),
    master_enters_database: true,
    keeps_previous_password: false,
    marks_pairs: false,
    has_accounts_by_host: false,
    user_name_limit: NameLimit::Characters(128),
    alternate_suffix: "_clone",
    unquotes_names: false,
    password_length: 32,
    password_excluded: EXCLUDED,
    password_forbidden: &[],
    password_max_bytes: 128,
    refused_also_means: "SQL Server gives the same answer when the login does not exist, and when the server takes Windows \
        logins only (its error log tells: state 5, 58)",
};

/// Oracle Database.
pub const ORACLE: EngineSpec = EngineSpec {
    name: "oracle",
    also: &[],
    rds: &["oracle-ee", "oracle-ee-cdb", "oracle-se2", "oracle-se2-cdb"],
    display: "Oracle",
    default_port: 1521,
    database: DatabaseKey::Required,
    master_enters_database: true,
    keeps_previous_password: false,
    marks_pairs: false,
    has_accounts_by_host: false,
    user_name_limit: NameLimit::Bytes(128),
    alternate_suffix: "_CLONE",
    unquotes_names: true,
    password_length: 30,
    password_excluded: EXCLUDED,
    password_forbidden: &['"'],
    password_max_bytes: 30,
    refused_also_means: "Oracle gives the same answer when the user does not exist, and when the account has no 12C verifier \
        (SELECT username, password_versions FROM dba_users; setting the password anew makes one)",
};

/// All engines.
pub const SCHEMAS: [&EngineSpec; 5] = [&MYSQL, &MARIADB, &POSTGRES, &SQLSERVER, &ORACLE];

impl EngineSpec {
    /// Returns `true` if a secret's `engine` means this engine, in any letter case.
    pub fn is_named(&self, engine: &str) -> bool {
        let engine = engine.trim().to_ascii_lowercase();
        let engine = engine.strip_prefix("custom-").unwrap_or(&engine);
        self.name == engine || self.also.contains(&engine) || self.rds.contains(&engine)
    }

    /// The names that a secret's `engine` may have, for people.
    pub(crate) fn names(&self) -> String {
        let mut names = format!("\"{}\"", self.name);
        self.also.iter().for_each(|name| names.push_str(&format!(" or \"{name}\"")));
        names
    }
}

impl NameLimit {
    /// The length of `name` and the limit it breaks, or `None` when it fits.
    pub(crate) fn broken_by(&self, name: &str, set: Option<u32>) -> Option<String> {
        let (length, limit, unit) = match (self, set) {
            (Self::Bytes(limit), _) => (name.len(), *limit, "bytes"),
            (Self::CharactersUnlessSet(_), Some(limit)) => {
                (name.chars().count(), limit as usize, "characters")
            }
            (Self::Characters(limit) | Self::CharactersUnlessSet(limit), _) => {
                (name.chars().count(), *limit, "characters")
            }
        };
        (length > limit).then(|| format!("{length} {unit} long, and the limit is {limit}"))
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
        assert!(NameLimit::Bytes(63).broken_by(&"é".repeat(32), None).is_some());
        assert!(NameLimit::Bytes(63).broken_by(&"e".repeat(63), None).is_none());
        assert!(NameLimit::CharactersUnlessSet(32).broken_by(&"e".repeat(40), Some(80)).is_none());
        assert!(NameLimit::Characters(32).broken_by(&"é".repeat(32), None).is_none());
    }
}
