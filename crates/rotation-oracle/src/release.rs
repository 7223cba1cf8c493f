//! The release of the server, which it reports in its answer to a login.

use oracledb::OracleVersion;
use rotation_database::LoginError;

/// The oldest supported release. Older ones lack columns of the dictionary that the queries read:
/// `INHERITED` of `DBA_USERS` and `USER_USERS` ([Database Reference][1]).
///
/// [1]: https://docs.oracle.com/database/122/REFRN/ALL_USERS.htm
const OLDEST: &str = "12.2";

/// The release of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Release {
    major: usize,
    minor: usize,
}

impl Release {
    /// Returns the release, or the error for one that is older than the oldest supported release.
    pub(crate) fn supported(version: &OracleVersion) -> Result<Self, LoginError> {
        let release = Self { major: version.0, minor: version.1 };
        if release < (Self { major: 12, minor: 2 }) {
            return Err(unsupported(version.to_string()));
        }
        Ok(release)
    }

    /// Returns `true` for 23ai and newer releases, which have privileges on whole schemas
    /// (`DBA_SCHEMA_PRIVS`) and read-only users (`READ_ONLY` of `DBA_USERS`).
    pub(crate) fn is_23_or_newer(self) -> bool {
        self.major >= 23
    }
}

/// Returns the error for a server whose protocol the driver does not support.
pub(crate) fn too_old_for_driver() -> LoginError {
    unsupported("11.2 or older".into())
}

fn unsupported(release: String) -> LoginError {
    LoginError::ReleaseUnsupported { release, oldest: OLDEST }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_before_12_2_are_unsupported() {
        for (version, is_supported, is_23) in [
            (OracleVersion(11, 2, 0, 4, 0), false, false),
            (OracleVersion(12, 1, 0, 2, 0), false, false),
            (OracleVersion(12, 2, 0, 1, 0), true, false),
            (OracleVersion(18, 3, 0, 0, 0), true, false),
            (OracleVersion(19, 0, 0, 0, 0), true, false),
            (OracleVersion(21, 3, 0, 0, 0), true, false),
            (OracleVersion(23, 4, 0, 24, 5), true, true),
            (OracleVersion(23, 26, 0, 0, 0), true, true),
        ] {
            let release = Release::supported(&version);
            assert_eq!(release.is_ok(), is_supported, "{version}");
            assert_eq!(release.is_ok_and(Release::is_23_or_newer), is_23, "{version}");
        }
    }
}
