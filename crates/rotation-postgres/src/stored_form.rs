//! Chooses the form in which the server stores a new password: SCRAM-SHA-256 or MD5.
//!
//! The form is chosen before anything changes. Since PostgreSQL 10, a SCRAM verifier works with
//! every rule of `pg_hba.conf`: with the rule `md5`, the server asks for SCRAM if it stores a SCRAM
//! verifier. An MD5 hash does not work with the rule `scram-sha-256`. So MD5 is stored only if
//! `password_encryption` is MD5, which supports clients without SCRAM, and if the server has shown
//! that it accepts MD5 from this user.

use std::num::NonZeroU32;
use std::time::Duration;

use rotation_database::TlsUse;

use crate::authenticate::Method;
use crate::login;
use crate::origin::Origin;
use crate::scram::{DEFAULT_ITERATIONS, FIRST_VERSION_WITH_SCRAM, MAX_ITERATIONS};
use crate::verifier::Encryption;

/// The server's settings for new passwords, as a session reads them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StorageSettings {
    /// `true` if `password_encryption` is MD5.
    pub(crate) md5: bool,
    /// The value of `scram_iterations`, or its default.
    pub(crate) iterations: NonZeroU32,
}

/// The timeout for asking the server for the method, which takes about half as long as a login.
const METHOD_TIMEOUT: Duration = Duration::from_secs(5);

impl StorageSettings {
    /// Parses `password_encryption` and `scram_iterations`.
    pub(crate) fn of(encryption: &str, iterations: Option<&str>) -> Self {
        let iterations =
            iterations.and_then(|text| text.parse().ok()).unwrap_or(DEFAULT_ITERATIONS);
        Self { md5: matches!(encryption, "md5" | "on" | "off"), iterations }
    }

    /// Returns the form for a new password of the session's own user.
    pub(crate) fn own_form(self, session: &Origin) -> Encryption {
        match session.method {
            Method::Md5 => self.preferred(session),
            // Other rules, such as the one for the application's address, may demand SCRAM, and no
            // rule rejects it.
            _ if knows_scram(session) => self.scram(session),
            _ => self.preferred(session),
        }
    }

    /// Returns the form for a password that the master user sets for `user`.
    pub(crate) async fn form_for(
        self,
        session: &Origin,
        user: &str,
        logs_in_unencrypted: bool,
    ) -> Encryption {
        if !self.md5 || !knows_scram(session) {
            return self.preferred(session);
        }
        let tls = if logs_in_unencrypted { TlsUse::Off } else { session.tls };
        let asked = login::method_of(user, tls, session);
        match tokio::time::timeout(METHOD_TIMEOUT, asked).await {
            Ok(Ok(Method::Md5)) => self.preferred(session),
            // The server demands SCRAM, or it is unknown what it demands of the user.
            Ok(Ok(_) | Err(_)) | Err(_) => self.scram(session),
        }
    }

    /// Returns the form that the settings ask for, unless MD5 is not safe on this connection.
    fn preferred(self, session: &Origin) -> Encryption {
        // An attacker can log in with an MD5 hash as with the password. So it is never sent without
        // TLS if an attacker may have removed the server's offer of TLS.
        let may_be_md5 = session.tls != TlsUse::NotOffered || !knows_scram(session);
        if self.md5 && may_be_md5 { Encryption::Md5 } else { self.scram(session) }
    }

    fn scram(self, session: &Origin) -> Encryption {
        // The next login rejects more iterations than this.
        let mut iterations = self.iterations.min(MAX_ITERATIONS);
        if session.tls == TlsUse::NotOffered {
            // Without TLS, the next login rejects fewer iterations than this.
            iterations = iterations.max(DEFAULT_ITERATIONS);
        }
        Encryption::ScramSha256(iterations)
    }
}

/// Returns `true` if the server can store SCRAM verifiers.
pub(crate) fn knows_scram(session: &Origin) -> bool {
    session.version.is_none_or(|version| version >= FIRST_VERSION_WITH_SCRAM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_all_versions_are_parsed() {
        let of = |md5, iterations| StorageSettings { md5, iterations };
        let many = NonZeroU32::new(10_000).unwrap();
        assert_eq!(StorageSettings::of("scram-sha-256", Some("10000")), of(false, many));
        assert_eq!(StorageSettings::of("scram-sha-256", None), of(false, DEFAULT_ITERATIONS));
        // `on` is the old name of `md5`; `off` exists only before PostgreSQL 10.
        for md5 in ["md5", "on", "off"] {
            assert_eq!(StorageSettings::of(md5, None), of(true, DEFAULT_ITERATIONS));
        }
    }

    #[test]
    fn md5_is_stored_only_if_the_server_asked_for_it() {
        let settings = StorageSettings::of("md5", None);
        let origin = |method, version| Origin {
            host: "h".into(),
            port: 1,
            user: "u".into(),
            database: None,
            tls: TlsUse::Verified,
            authorities: rotation_database::CaCertificates::read(&|_| None).unwrap(),
            method,
            version,
            process: None,
        };
        let scram = Encryption::ScramSha256(DEFAULT_ITERATIONS);
        for (method, version, expected) in [
            (Method::Md5, Some(150_000), Encryption::Md5),
            (Method::Sasl, Some(150_000), scram),
            (Method::CleartextPassword, Some(150_000), scram),
            (Method::Nothing, Some(150_000), scram),
            (Method::Nothing, None, scram),
            // Servers before PostgreSQL 10 support only MD5.
            (Method::CleartextPassword, Some(90_624), Encryption::Md5),
        ] {
            assert_eq!(
                settings.own_form(&origin(method, version)),
                expected,
                "{method:?} {version:?}"
            );
        }
    }
}
