//! The command `doctor`, which reports on the rotations of an account.
//!
//! It only lists and describes: `ListSecrets`, `DescribeSecret` and `ListSecretVersionIds` of
//! Secrets Manager, `GetFunctionConfiguration` and `ListTags` of Lambda. It never reads a value.

mod args;
mod arn;
mod causes;
mod commands;
mod connection;
mod findings;
mod inventory;
mod lambda;
mod model;
mod origin;
mod replacement;
mod report;
mod runtimes;

use std::collections::BTreeMap;

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};

use crate::progress::print_json;
pub(crate) use args::DoctorArgs;
use arn::FunctionArn;
use commands::Commands;
use connection::Connection;
use findings::{Examined, unfinished};
use inventory::Inventory;
use lambda::Lambda;
use model::{Function, Secret};
use origin::origin_of;
use replacement::replacement;
use report::{Gap, Report, SecretReport};

/// The error when the report has findings.
#[derive(Debug)]
pub(crate) struct Findings(String);

impl std::error::Error for Findings {}

impl std::fmt::Display for Findings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Examines the rotations of an account, and prints the report.
pub(crate) async fn doctor(args: &DoctorArgs) -> Result<()> {
    let connection = Connection::from_environment(args.region.as_deref()).await?;
    let inventory = Inventory::read(&connection).await?;
    let functions = functions(&connection, &inventory.secrets).await;
    let report = report(args, &connection, inventory, &functions);
    report.print();
    if args.json {
        print_json(&report.json());
    }
    if report.findings() > 0 {
        return Err(anyhow::Error::new(Findings(report.summary())));
    }
    Ok(())
}

/// Asks Lambda for each function once.
async fn functions(connection: &Connection, secrets: &[Secret]) -> BTreeMap<FunctionArn, Function> {
    let lambda = Lambda::new(connection);
    let mut functions = BTreeMap::new();
    for arn in secrets.iter().filter_map(Secret::function) {
        if functions.contains_key(arn) {
            continue;
        }
        let function = match &lambda {
            Ok(lambda) => lambda.function(arn).await,
            Err(reason) => Function::NotKnown(reason.clone()),
        };
        functions.insert(arn.clone(), function);
    }
    functions
}

fn report(
    args: &DoctorArgs,
    connection: &Connection,
    inventory: Inventory,
    functions: &BTreeMap<FunctionArn, Function>,
) -> Report {
    let now: DateTime<Utc> = std::time::SystemTime::now().into();
    let limit = TimeDelta::minutes(args.stuck_after.into());
    let commands = Commands::new(args.region.as_deref(), !connection.is_local());
    let not_known = gaps(&inventory.secrets, functions);
    let examine = |secret: Secret| {
        let function = secret.function().and_then(|arn| functions.get(arn)).cloned();
        let origin = secret.function().zip(function.as_ref());
        let origin = origin.map(|(arn, function)| origin_of(arn, function));
        let unfinished = unfinished(&secret, now, limit);
        let examined = Examined {
            secret: &secret,
            function: function.as_ref(),
            unfinished: unfinished.as_ref(),
            now,
            commands: &commands,
        };
        let findings = examined.findings();
        let known = origin.as_ref().unwrap_or(&origin::Origin::NotKnown);
        let replacement = replacement(&secret, known, &args.function_name, &commands);
        SecretReport { secret, function, origin, unfinished, replacement, findings }
    };
    Report {
        region: connection.region.clone(),
        endpoint: connection.endpoint.clone(),
        checked: now,
        without_rotation: inventory.without_rotation,
        replicas: inventory.replicas,
        secrets: inventory.secrets.into_iter().map(examine).collect(),
        not_known,
    }
}

/// Returns the facts that are not known.
fn gaps(secrets: &[Secret], functions: &BTreeMap<FunctionArn, Function>) -> Vec<Gap> {
    let mut gaps = Vec::new();
    let mut add = |about: String, reason: &model::NotKnown| {
        gaps.push(Gap { about, reason: reason.clone() });
    };
    for secret in secrets {
        if let Err(reason) = &secret.versions {
            add(format!("the versions of {}", secret.name), reason);
        }
        if let Err(reason) = &secret.replicas {
            add(format!("the replicas of {}", secret.name), reason);
        }
    }
    for (arn, function) in functions {
        match function {
            Function::NotKnown(reason) => add(format!("the function {}", arn.name()), reason),
            Function::Found(found) => {
                if let Err(reason) = &found.tags {
                    add(format!("the tags of the function {}", arn.name()), reason);
                }
            }
            Function::Missing => {}
        }
    }
    gaps
}
