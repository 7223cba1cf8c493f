//! The settings of a database function.

use rotation::settings::{Source, boolean, choice, number};
use rotation::{Error, PasswordSettings, Result};

use crate::schema::EngineSpec;
use crate::tls::{CaCertificates, TlsMode};

/// The rotation strategy, as the setting `ROTATION_STRATEGY` selects it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StrategyKind {
    /// The user changes its own password.
    SingleUser,
    /// A master user changes the user's password.
    SingleUserByMaster,
    /// Alternating users: a master user changes the password of the user that is not current.
    MasterUser,
}

impl StrategyKind {
    /// Returns the name in `ROTATION_STRATEGY` and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::SingleUser => "single-user",
            Self::SingleUserByMaster => "single-user-by-master",
            Self::MasterUser => "master-user",
        }
    }

    /// Returns `true` if the secret must name the secret of a master user.
    pub(crate) fn needs_master(self) -> bool {
        self != Self::SingleUser
    }

    /// Returns `true` if each rotation is for the other one of two users.
    pub(crate) fn alternates(self) -> bool {
        self == Self::MasterUser
    }
}

/// The settings of a database function, from its environment.
#[derive(Debug)]
pub struct Settings {
    /// The setting `ROTATION_STRATEGY`. The default is single user.
    pub strategy: StrategyKind,
    /// The setting `TLS_MODE`, which decides about servers that do not offer TLS. The default is
    /// `require`.
    pub tls_mode: TlsMode,
    /// The trusted CA certificates: the built-in ones and those in `TLS_CA_FILE`.
    pub authorities: CaCertificates,
    /// The settings for new passwords.
    pub password: PasswordSettings,
    /// The setting `USERNAME_CHARACTER_LIMIT`, which replaces the engine's limit.
    pub user_name_limit: Option<u32>,
    /// The setting `KEEP_PREVIOUS_PASSWORD`. If it is `true`, the previous password of a single
    /// user stays valid until the next rotation.
    pub keep_previous_password: bool,
}

impl Settings {
    /// Reads the settings from the environment.
    ///
    /// # Errors
    /// Returns [`rotation::Error::Setting`] with the name of the invalid variable.
    pub fn read(source: Source<'_>, spec: &EngineSpec) -> Result<Self> {
        let strategies =
            [StrategyKind::SingleUser, StrategyKind::SingleUserByMaster, StrategyKind::MasterUser]
                .map(|kind| (kind.name(), kind));
        let modes = [("require", TlsMode::Require), ("prefer", TlsMode::Prefer)];
        let user_name_limit = match source("USERNAME_CHARACTER_LIMIT") {
            Some(_) => Some(number(source, "USERNAME_CHARACTER_LIMIT", 0, 1..=1024)?),
            None => None,
        };
        let strategy =
            choice(source, "ROTATION_STRATEGY", &strategies)?.unwrap_or(StrategyKind::SingleUser);
        Ok(Self {
            strategy,
            keep_previous_password: keep_previous_password(source, spec, strategy)?,
            tls_mode: choice(source, "TLS_MODE", &modes)?.unwrap_or(TlsMode::Require),
            authorities: CaCertificates::read(source)?,
            password: PasswordSettings::read(source, spec.password_length, spec.password_excluded)?,
            user_name_limit,
        })
    }
}

fn keep_previous_password(
    source: Source<'_>,
    spec: &EngineSpec,
    strategy: StrategyKind,
) -> Result<bool> {
    const NAME: &str = "KEEP_PREVIOUS_PASSWORD";
    if !boolean(source, NAME, false)? {
        return Ok(false);
    }
    let refuse = |fault: String| Err(Error::Setting { name: NAME, fault });
    if !spec.keeps_previous_password {
        return refuse(format!(
            "a user of {} can have only one password at a time; to rotate without an outage, set \
             ROTATION_STRATEGY=master-user",
            spec.display
        ));
    }
    match strategy {
        StrategyKind::SingleUser => Ok(true),
        StrategyKind::SingleUserByMaster => {
            refuse("only the strategy single-user supports it".into())
        }
        StrategyKind::MasterUser => refuse(
            "only the strategy single-user supports it; with alternating users, the previous user \
             keeps its password anyway"
                .into(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{MYSQL, ORACLE, POSTGRES};

    #[test]
    fn defaults_match_aws_functions() {
        let none = |_: &str| None;
        let settings = Settings::read(&none, &POSTGRES).unwrap();
        assert_eq!(settings.password.exclude_characters, ":/@\"'\\");
        assert_eq!((settings.password.length, settings.tls_mode), (32, TlsMode::Require));
        assert!(settings.password.require_each_included_type);
        assert_eq!(Settings::read(&none, &ORACLE).unwrap().password.length, 30);
    }

    #[test]
    fn keep_previous_password_needs_single_user_and_mysql() {
        for (spec, strategy, expected) in [
            (&MYSQL, "single-user", true),
            (&MYSQL, "master-user", false),
            (&POSTGRES, "single-user", false),
        ] {
            let source = move |asked: &str| match asked {
                "KEEP_PREVIOUS_PASSWORD" => Some("true".to_owned()),
                "ROTATION_STRATEGY" => Some(strategy.to_owned()),
                _ => None,
            };
            let settings = Settings::read(&source, spec);
            assert_eq!(settings.is_ok_and(|settings| settings.keep_previous_password), expected);
        }
    }

    #[test]
    fn invalid_setting_names_its_variable() {
        for name in [
            "ROTATION_STRATEGY",
            "TLS_MODE",
            "PASSWORD_LENGTH",
            "EXCLUDE_NUMBERS",
            "TLS_CA_FILE",
            "USERNAME_CHARACTER_LIMIT",
            "KEEP_PREVIOUS_PASSWORD",
        ] {
            let source = move |asked: &str| (asked == name).then(|| "/no/such thing".to_owned());
            let error = Settings::read(&source, &POSTGRES).unwrap_err();
            assert_eq!(error.error_type(), "InvalidSetting");
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}
