//! Access to the parsers of server data for fuzz targets and benchmarks.

use crate::create_user;
use crate::grants;
use crate::tokens::tokens;

/// Parses a text as each kind of data that a server shows about a user.
///
/// # Panics
/// Panics if the parsed data, written again, differs from the text, or differs from itself.
pub fn shown(text: &str) {
    if let Ok(read) = tokens(text) {
        let again = tokens(&create_user::render(&read));
        assert_eq!(again.as_ref(), Ok(&read), "{text:?} is written differently");
    }
    let rows: Vec<String> = text.lines().map(str::to_owned).collect();
    if let Ok(grants) = grants::parse(&rows) {
        assert!(grants.changes_to(&grants).is_empty(), "{text:?} differs from itself");
    }
    if let Ok(user) = create_user::parse(text) {
        assert!(user.clauses_to(&user).is_empty(), "{text:?} differs from itself");
    }
}

/// Returns `Some(true)` if a stored hash belongs to a password, and `None` if the format of the
/// hash is unknown.
pub fn holds(plugin: &str, stored: &[u8], password: &str) -> Option<bool> {
    crate::stored::holds(plugin, stored, password)
}

/// Logs in without TLS to a server that sends these bytes.
///
/// # Panics
/// Panics if the server receives the password, or a hash that can be used instead of it.
pub fn login(server: &[u8]) {
    use rotation_database::{CaCertificates, Login, Password, TlsUse};
    use sha1::{Digest as _, Sha1};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    const PASSWORD: &str = "the-password-of-this-login";
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let Ok(runtime) = runtime else { return };
    let received = runtime.block_on(async {
        let (near, mut far) = tokio::io::duplex(1 << 20);
        let (password, authorities) = (Password::new(PASSWORD), CaCertificates::read(&|_| None));
        let Ok(authorities) = authorities else { return Vec::new() };
        let login = Login {
            host: "h",
            port: 1,
            user: "u",
            password: &password,
            database: Some("d"),
            tls: TlsUse::Off,
            authorities: &authorities,
        };
        let mut received = Vec::new();
        if far.write_all(server).await.is_ok() && far.shutdown().await.is_ok() {
            let mut packets = crate::packet::Packets::new(near);
            if let Ok(greeting) = crate::login::greet(&mut packets, &login).await {
                let agreed = greeting.agreed(true);
                let _ = crate::authenticate::authenticate(&mut packets, &greeting, agreed, &login)
                    .await;
            }
            drop(packets);
            let _ = far.read_to_end(&mut received).await;
        }
        received
    });
    for secret in [PASSWORD.as_bytes(), &Sha1::digest(PASSWORD), &sha2::Sha256::digest(PASSWORD)] {
        assert!(
            !received.windows(secret.len()).any(|part| part == secret),
            "the server got a secret"
        );
    }
}
