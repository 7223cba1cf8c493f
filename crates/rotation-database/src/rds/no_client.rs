//! The replacement of the client of the RDS API, in a build without the feature `rds`.

use rotation::{Context, Result};

use super::RdsServer;

/// A client that cannot exist.
pub(crate) enum Rds {}

impl Rds {
    /// Returns `None`, as for a rotation without AWS.
    pub(crate) fn of(_cx: &Context<'_>) -> Option<Self> {
        None
    }

    pub(crate) async fn server(&self, _arn: &str) -> Result<Option<RdsServer>> {
        match *self {}
    }

    pub(crate) async fn server_of_writer(&self, _writer: &str) -> Result<Option<RdsServer>> {
        match *self {}
    }
}
