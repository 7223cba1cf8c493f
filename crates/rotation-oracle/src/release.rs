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
        for (version, is_supported) in [
            (OracleVersion(11, 2, 0, 4, 0), false),
            (OracleVersion(12, 1, 0, 2, 0), false),
            (OracleVersion(12, 2, 0, 1, 0), true),
            (OracleVersion(18, 3, 0, 0, 0), true),
            (OracleVersion(19, 0, 0, 0, 0), true),
            (OracleVersion(21, 3, 0, 0, 0), true),
            (OracleVersion(23, 4, 0, 24, 5), true),
            (OracleVersion(23, 26, 0, 0, 0), true),
        ] {
            assert_eq!(Release::supported(&version).is_ok(), is_supported, "{version}");
        }
    }
}
