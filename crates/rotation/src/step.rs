//! The steps of a rotation.

use std::fmt;

/// One of the four steps of a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Create a new value and store it as `AWSPENDING`.
    Create,
    /// Make the service accept the pending credential.
    Set,
    /// Prove that the pending credential works.
    Test,
    /// Move `AWSCURRENT` to the pending version.
    Finish,
    /// Check everything that a rotation needs, for an operator. Secrets Manager does not send this
    /// step.
    Preflight,
}

impl Step {
    /// Returns the step's name as Secrets Manager sends it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "createSecret",
            Self::Set => "setSecret",
            Self::Test => "testSecret",
            Self::Finish => "finishSecret",
            Self::Preflight => "preflight",
        }
    }

    /// Parses the name of a step. AWS's documentation uses `createSecret` and, on one page,
    /// `create_secret`, so both spellings are accepted.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "createSecret" | "create_secret" => Self::Create,
            "setSecret" | "set_secret" => Self::Set,
            "testSecret" | "test_secret" => Self::Test,
            "finishSecret" | "finish_secret" => Self::Finish,
            "preflight" => Self::Preflight,
            _ => return None,
        })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
