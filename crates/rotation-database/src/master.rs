//! The master credential. It is read only after the current credential has been verified.

use std::collections::HashMap;

use rotation::{Context, Result};

use crate::error::{Endpoint, Error};
use crate::host;
use crate::master_secret::MasterSecret;
use crate::problem::SecretProblem;
use crate::rds::{self, Rds};
use crate::schema::EngineSpec;
use crate::secret::DatabaseSecret;

/// The tags with the ARN of the server, on a master secret that RDS manages. They are in lower
/// case.
const SERVER_TAGS: [&str; 2] = ["aws:rds:primarydbclusterarn", "aws:rds:primarydbinstancearn"];

/// A master credential that is verified to be for the secret's server.
#[derive(Debug)]
pub(crate) struct Master {
    pub(crate) arn: String,
    pub(crate) secret: MasterSecret,
    /// The server to which the master user logs in. If the secret names a replica, this is the
    /// writer.
    pub(crate) endpoint: Endpoint,
}

impl Master {
    /// Reads the master secret that `current` names.
    ///
    /// An attacker who can write the secret must not be able to send the master password to a host
    /// of their choice. The master secret's own host or the host in RDS is therefore used.
    pub(crate) async fn fetch(
        cx: &Context<'_>,
        current: &DatabaseSecret,
        spec: &EngineSpec,
    ) -> Result<Self> {
        let Some(arn) = current.master_arn.clone() else {
            return Err(Error::MasterArnMissing { others: Vec::new() }.into());
        };
        ensure_same_region(&arn, cx.secret_id())?;
        cx.set_activity(format!("reading the master secret {arn}"));
        let value = cx.other_secret(&arn).await?;
        let secret = MasterSecret::parse(&value, spec)
            .map_err(|problems| Error::MasterSchema { arn: arn.clone(), problems })?;
        let endpoint = match secret.endpoint.clone() {
            Some((host, port)) => {
                endpoint_from_secret(cx, &arn, current, Endpoint { host, port }).await?
            }
            None => endpoint_from_rds(cx, &arn, current, spec).await?,
        };
        Ok(Self { arn, secret, endpoint })
    }
}

/// Checks that a master secret is in the Region of the secret. Secrets Manager cannot read a secret
/// of another Region, and its error does not show whether the secret exists there. A name or a
/// partial ARN has no Region, so it passes this check.
pub(crate) fn ensure_same_region(arn: &str, secret: &str) -> Result<(), Error> {
    match (region_of(arn), region_of(secret)) {
        (Some(master), Some(own)) if master != own => Err(Error::MasterRegionMismatch {
            arn: arn.to_owned(),
            master: master.to_owned(),
            secret: own.to_owned(),
        }),
        _ => Ok(()),
    }
}

fn region_of(arn: &str) -> Option<&str> {
    arn.strip_prefix("arn:")?.split(':').nth(2).filter(|region| !region.is_empty())
}

/// Returns the server in the master secret, if the secret's host is the same server or a reader of
/// it.
async fn endpoint_from_secret(
    cx: &Context<'_>,
    arn: &str,
    current: &DatabaseSecret,
    endpoint: Endpoint,
) -> Result<Endpoint> {
    if endpoint.port == current.port && host::is_same_machine(&endpoint.host, &current.host).await {
        return Ok(endpoint);
    }
    let mismatch = || mismatch(arn, &endpoint, current);
    // Two ports of one machine are two servers.
    if endpoint.port != current.port || !rds::may_be_rds_host(&endpoint.host) {
        return Err(mismatch().into());
    }
    cx.set_activity(format!(
        "asking RDS whether {} is a reader of {}",
        current.host, endpoint.host
    ));
    let Some(rds) = Rds::of(cx) else { return Err(mismatch().into()) };
    match rds.server_of_writer(&endpoint.host).await? {
        Some(server) if server.has(&current.host).await => Ok(endpoint),
        _ => Err(mismatch().into()),
    }
}

/// Returns the server of a master secret without a host. A master secret that RDS manages has no
/// host, but its tags name the server. Without host and tags, only the secret itself would name the
/// server for the master password, and other principals can write the secret.
async fn endpoint_from_rds(
    cx: &Context<'_>,
    arn: &str,
    current: &DatabaseSecret,
    spec: &EngineSpec,
) -> Result<Endpoint> {
    let tags = cx.tags_of(arn).await?;
    let unusable = |problem: String| Error::MasterSchema {
        arn: arn.to_owned(),
        problems: vec![SecretProblem::Server(problem)],
    };
    let (Some(server_arn), Some(rds)) = (server_tag(&tags), Rds::of(cx)) else {
        let fault = if cfg!(feature = "rds") {
            "\"host\" is missing, and it has no tag of RDS that names its server"
        } else {
            "\"host\" is missing, and this function was built without the feature rds"
        };
        return Err(unusable(fault.to_owned()).into());
    };
    cx.set_activity(format!("asking RDS for the host of {server_arn}"));
    let Some(server) = rds.server(&server_arn).await? else {
        return Err(unusable(format!("it is for {server_arn}, which RDS does not know")).into());
    };
    let engine = server.engine.as_deref();
    if !engine.is_some_and(|engine| spec.is_named(engine)) {
        let fault = format!(
            "according to RDS, it is for {}, but this function rotates {}",
            engine.unwrap_or("an engine without a name"),
            spec.display
        );
        return Err(unusable(fault).into());
    }
    let Some(host) = server.writer.clone() else {
        let fault = format!("RDS shows no endpoint of {server_arn}, which may still be created");
        return Err(unusable(fault).into());
    };
    let endpoint = Endpoint { host, port: server.port.unwrap_or(current.port) };
    if endpoint.port == current.port && server.has(&current.host).await {
        return Ok(endpoint);
    }
    Err(mismatch(arn, &endpoint, current).into())
}

fn mismatch(arn: &str, master: &Endpoint, current: &DatabaseSecret) -> Error {
    Error::MasterHostMismatch {
        arn: arn.to_owned(),
        master: master.to_string(),
        secret: current.endpoint().to_string(),
    }
}

fn server_tag(tags: &HashMap<String, String>) -> Option<String> {
    let named = |name: &str| tags.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
    SERVER_TAGS.iter().find_map(|name| named(name)).map(|(_, arn)| arn.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn master_secret_of_another_region_is_rejected() {
        let arn = |region: &str| {
            format!("arn:aws:secretsmanager:{region}:123456789012:secret:master-AbCdEf")
        };
        let own = arn("us-east-1");
        let error = ensure_same_region(&arn("eu-west-1"), &own).unwrap_err();
        assert!(matches!(error, Error::MasterRegionMismatch { .. }), "{error:?}");
        for (master, secret) in [
            (own.as_str(), own.as_str()),
            ("arn:aws:secretsmanager:us-east-1:999999999999:secret:master-AbCdEf", &own),
            ("master", &own),
            ("arn:aws:secretsmanager::123456789012:secret:master-AbCdEf", &own),
            (&arn("eu-west-1"), "app"),
        ] {
            assert!(ensure_same_region(master, secret).is_ok(), "{master} {secret}");
        }
    }
}
