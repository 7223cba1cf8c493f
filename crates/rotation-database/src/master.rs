//! The master credential: fetched only after the current credential has been shown valid.

use rotation::{Context, Result};

use crate::error::Error;
use crate::host;
use crate::schema::EngineSpec;
use crate::secret::{DatabaseSecret, MasterSecret};

/// A master credential that is known to be for the secret's server.
pub(crate) struct Master {
    pub(crate) arn: String,
    pub(crate) secret: MasterSecret,
}

impl Master {
    /// Fetches the master secret that `current` names.
    ///
    /// A master secret that RDS manages names no host: it is used at the current secret's, where the current
    /// credential was accepted a moment ago.
    pub(crate) async fn fetch(cx: &Context<'_>, current: &DatabaseSecret, spec: &EngineSpec) -> Result<Self> {
        let Some(arn) = current.master_arn.clone() else {
            return Err(Error::MasterArnMissing { others: Vec::new() }.into());
        };
        cx.doing(format!("reading the master secret {arn}"));
        let value = cx.other_secret(&arn).await?;
        let secret = MasterSecret::parse(&value, spec)
            .map_err(|faults| Error::MasterSchema { arn: arn.clone(), faults })?;
        match &secret.place {
            Some((master_host, port)) if !host::same(master_host, &current.host) || *port != current.port => {
                Err(Error::MasterHostMismatch {
                    arn,
                    master: host::endpoint(master_host, *port),
                    secret: current.place().to_string(),
                }
                .into())
            }
            _ => Ok(Self { arn, secret }),
        }
    }
}
