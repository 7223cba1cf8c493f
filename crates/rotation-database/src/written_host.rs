//! The parser for the key `host`, as operators and tools write it.
//!
//! It accepts a host name or an address, with or without a port (Terraform's
//! `aws_db_instance.endpoint` contains the port). It rejects any other form with a message that
//! shows the corrected keys. A URL can contain a password, so the message repeats only the host,
//! the port and the database.

/// The host and port in the key `host`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct WrittenHost {
    /// The host name or address.
    pub(crate) host: String,
    /// The port after the host, if there is one.
    pub(crate) port: Option<u16>,
}

/// Parses the key `host`.
///
/// # Errors
/// Returns the problem, as the rest of a sentence that begins with the key, and the corrected keys.
pub(crate) fn read(text: &str) -> Result<WrittenHost, String> {
    let text = text.trim();
    let lower = text.to_ascii_lowercase();
    if text.starts_with('/') {
        // Drivers interpret a path as a Unix socket.
        return Err("is a path, not a host name or address".into());
    }
    if lower.contains("://") || lower.starts_with("jdbc:") {
        return Err(url(text));
    }
    if let Some(rest) = lower.strip_prefix("tcp:").map(|rest| &text[text.len() - rest.len()..]) {
        let (host, port) = rest.split_once(',').unwrap_or((rest, ""));
        return Err(format!(
            "starts with the prefix tcp:; {}",
            corrected(host, port.trim().parse().ok(), None)
        ));
    }
    if let Some((host, rest)) = text.split_once(',') {
        return Err(match rest.trim().parse::<u16>() {
            Ok(port) => {
                format!("contains a port after a comma; {}", corrected(host, Some(port), None))
            }
            Err(_) => {
                format!("names several servers; name the writer: {}", corrected(host, None, None))
            }
        });
    }
    if let Some((host, _)) = text.split_once('\\') {
        return Err(format!(
            "contains the name of an instance, which can only be reached by its port \
             (SELECT local_tcp_port FROM sys.dm_exec_connections WHERE session_id = @@SPID shows \
             it); {} and that port in \"port\"",
            corrected(host, None, None)
        ));
    }
    if lower == "." || lower.starts_with("(local") {
        return Err(format!(
            "is a short form of SQL Server's tools; {}",
            corrected("localhost", None, None)
        ));
    }
    let written = with_port(text)?;
    if is_host(&written.host) {
        return Ok(written);
    }
    Err("is not a host name or address, such as db.example.com or 10.0.0.7".into())
}

/// Splits off a port: `db:5432`, `[::1]:5432`. An IPv6 address without brackets has no port.
fn with_port(text: &str) -> Result<WrittenHost, String> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if host.ends_with(']') || !host.contains(':') => (host, port),
        _ => return Ok(WrittenHost { host: text.to_owned(), port: None }),
    };
    match port.parse::<u16>() {
        Ok(port) if port > 0 => Ok(WrittenHost { host: host.trim().to_owned(), port: Some(port) }),
        _ => Err(format!("has a colon without a port number; {}", corrected(host, None, None))),
    }
}

fn is_host(host: &str) -> bool {
    let is_unfit =
        |c: char| c.is_whitespace() || c.is_control() || "\"'`@?#=;&<>()|{}!$*^~,".contains(c);
    !host.is_empty() && !host.chars().any(is_unfit)
}

/// Returns the message for a URL, such as `jdbc:postgresql://user:password@db:5432/app?…`,
/// `jdbc:oracle:thin:@//db:1521/ORCL`, `jdbc:oracle:thin:@db:1521:ORCL` or
/// `jdbc:sqlserver://db:1433;databaseName=app`.
fn url(text: &str) -> String {
    let unclear = format!("is a URL; {}", corrected("", None, None));
    // Oracle's form can have a user and a password before the @. It is unambiguous only without
    // them.
    let is_oracle = text.to_ascii_lowercase().starts_with("jdbc:oracle:");
    let after = match (is_oracle, text.split_once(":@")) {
        (true, Some((scheme, after))) if scheme.len() == "jdbc:oracle:thin".len() => after,
        (true, _) => return unclear,
        (false, _) => text.find("://").map_or(text, |at| &text[at + 3..]),
    };
    // A password can be before the @ or in the properties, and it can contain any of these
    // characters. Its end is certain only if there is exactly one @, and none of the other
    // characters before it.
    let after = match after.split_once('@') {
        Some((user, rest)) if user.contains(['/', ';', '?']) || rest.contains('@') => {
            return unclear;
        }
        Some((_, rest)) => rest,
        None => after.trim_start_matches('/'),
    };
    let (after, properties) = after.split_at(after.find([';', '?']).unwrap_or(after.len()));
    let (endpoint, rest) = after.split_at(after.find(['/', ',']).unwrap_or(after.len()));
    let mut parts = endpoint.splitn(3, ':');
    let (host, port) = match endpoint.starts_with('[') {
        true => with_port(endpoint)
            .map_or((endpoint.to_owned(), None), |written| (written.host, written.port)),
        false => (
            parts.next().unwrap_or_default().to_owned(),
            parts.next().and_then(|port| port.parse::<u16>().ok()),
        ),
    };
    let sid = parts.next().filter(|_| !endpoint.starts_with('['));
    let by_key = properties.split(';').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        ["databasename", "database"]
            .contains(&key.trim().to_ascii_lowercase().as_str())
            .then_some(value)
    });
    let by_path = rest.strip_prefix('/').and_then(|path| path.split(['?', ';', '&', ',']).next());
    let database = by_key.or(by_path).or(sid).filter(|name| !name.is_empty());
    format!("is a URL; {}", corrected(&host, port, database))
}

/// Returns the corrected keys as text. It leaves out any part that contains special characters.
fn corrected(host: &str, port: Option<u16>, database: Option<&str>) -> String {
    let host = host.trim();
    if !is_host(host) {
        return "write only the name or address of the server".into();
    }
    let is_plain =
        |name: &&str| name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.$".contains(c));
    let mut keys = format!("write \"host\": \"{host}\"");
    if let Some(port) = port {
        keys.push_str(&format!(", \"port\": {port}"));
    }
    if let Some(database) = database.filter(is_plain) {
        keys.push_str(&format!(", \"dbname\": \"{database}\""));
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::SecretProblem;
    use proptest::prelude::*;

    #[test]
    fn hosts_are_accepted_with_and_without_port() {
        for (text, host, port) in [
            ("db.example.com", "db.example.com", None),
            (" db.example.com \n", "db.example.com", None),
            ("db.example.com:5432", "db.example.com", Some(5432)),
            (
                "app.abc123.eu-west-1.rds.amazonaws.com:3306",
                "app.abc123.eu-west-1.rds.amazonaws.com",
                Some(3306),
            ),
            ("10.0.0.7:1433", "10.0.0.7", Some(1433)),
            ("::1", "::1", None),
            ("fd00::12:34", "fd00::12:34", None),
            ("[::1]", "[::1]", None),
            ("[::1]:5432", "[::1]", Some(5432)),
            ("my_db.internal.", "my_db.internal.", None),
        ] {
            assert_eq!(read(text), Ok(WrittenHost { host: host.into(), port }), "{text:?}");
        }
    }

    #[test]
    fn other_host_forms_are_rejected_with_a_correction() {
        for (text, corrected) in [
            ("tcp:db,1433", "write \"host\": \"db\", \"port\": 1433"),
            ("TCP:db.example.com", "write \"host\": \"db.example.com\""),
            ("db,1433", "write \"host\": \"db\", \"port\": 1433"),
            ("a.example.com,b.example.com", "write \"host\": \"a.example.com\""),
            ("db\\SQLEXPRESS", "write \"host\": \"db\" and that port in \"port\""),
            ("(local)", "write \"host\": \"localhost\""),
            (".", "write \"host\": \"localhost\""),
            ("db:", "write \"host\": \"db\""),
            ("db:http", "write \"host\": \"db\""),
            (
                "jdbc:postgresql://db:5432/app?ssl=true",
                "\"host\": \"db\", \"port\": 5432, \"dbname\": \"app\"",
            ),
            (
                "postgres://app:s3cret@db.example.com/shop",
                "\"host\": \"db.example.com\", \"dbname\": \"shop\"",
            ),
            ("postgres://app:s3c@ret@db:1/shop", "write only the name or address of the server"),
            ("postgres://app:s3c@ret/x@db:1/shop", "write only the name or address of the server"),
            ("postgres://app:s3c/ret@db:1/shop", "write only the name or address of the server"),
            (
                "jdbc:oracle:thin:app/s3cret@db:1521/ORCL",
                "write only the name or address of the server",
            ),
            ("jdbc:oracle:thin:app/s3cret", "write only the name or address of the server"),
            (
                "jdbc:sqlserver://db:1433;user=sa;password=P@s3cret;databaseName=app",
                "write only the name or address of the server",
            ),
            (
                "jdbc:postgresql://db:5432/shop?user=app&password=h@s3cret",
                "write only the name or address of the server",
            ),
            (
                "jdbc:postgresql://db:5432/shop?user=app&password=s3cret",
                "\"host\": \"db\", \"port\": 5432, \"dbname\": \"shop\"",
            ),
            ("jdbc:mysql://db:3306/app", "\"host\": \"db\", \"port\": 3306, \"dbname\": \"app\""),
            (
                "jdbc:sqlserver://db:1433;databaseName=app;encrypt=true",
                "\"port\": 1433, \"dbname\": \"app\"",
            ),
            (
                "jdbc:oracle:thin:@//db:1521/ORCL",
                "\"host\": \"db\", \"port\": 1521, \"dbname\": \"ORCL\"",
            ),
            (
                "jdbc:oracle:thin:@db:1521:ORCL",
                "\"host\": \"db\", \"port\": 1521, \"dbname\": \"ORCL\"",
            ),
            ("https://db.example.com", "write \"host\": \"db.example.com\""),
            (
                "postgresql://[::1]:5432/app",
                "\"host\": \"[::1]\", \"port\": 5432, \"dbname\": \"app\"",
            ),
        ] {
            let fault = SecretProblem::unusable("host", read(text).unwrap_err()).to_string();
            assert!(fault.starts_with("\"host\" ") && fault.contains(corrected), "{text}: {fault}");
            assert!(!fault.contains("s3c"), "{fault}");
        }
        for text in ["/var/run/postgresql", "db example", "app@db", "\"db\"", ""] {
            let fault = SecretProblem::unusable("host", read(text).unwrap_err()).to_string();
            assert!(fault.starts_with("\"host\" is"), "{text}: {fault}");
        }
    }

    proptest! {
        #[test]
        fn any_text_parses_without_panic(text in ".*") {
            let _ = read(&text);
        }

        #[test]
        fn password_of_a_url_is_never_repeated(
            password in "[QXZ789@/;?=&:]{6,20}",
            form in 0..5_usize,
        ) {
            let text = match form {
                0 => format!("postgres://app:{password}@db.example.com:5432/shop"),
                1 => format!("jdbc:postgresql://db:5432/shop?user=app&password={password}"),
                2 => format!(
                    "jdbc:sqlserver://db:1433;user=sa;password={password};databaseName=app"
                ),
                3 => format!("jdbc:oracle:thin:app/{password}@db:1521/ORCL"),
                _ => format!("jdbc:oracle:thin:app/{password}"),
            };
            let fault = read(&text).unwrap_err();
            for part in password
                .split(['@', '/', ';', '?', '=', '&', ':'])
                .filter(|part| part.len() > 2)
            {
                prop_assert!(!fault.contains(part), "{text}: {fault}");
            }
        }
    }
}
