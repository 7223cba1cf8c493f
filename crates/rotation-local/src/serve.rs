//! `rotation-local serve`.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result, bail};

use crate::cli::ServeArgs;
use crate::function::{Function, Program};
use crate::progress::{Progress, say};
use crate::service::{REGION, Service};
use crate::trigger::{Attempt, rotate_secret};

/// The account of every ARN here.
const ACCOUNT: &str = "123456789012";

pub(crate) async fn serve(args: &ServeArgs) -> Result<()> {
    let service = Service::start(args.port).await?;
    let endpoint = service.endpoint();
    let key = if args.any_credentials { "local".to_owned() } else { service.require_key() };
    let mut functions = BTreeMap::new();
    for given in &args.functions {
        let (name, function) = given
            .split_once('=')
            .with_context(|| format!("--function {given}: give it as NAME=PATH or NAME=URL"))?;
        if !function.starts_with("http") && !std::path::Path::new(function).exists() {
            bail!("--function {given}: there is no file {function}; build it first (cargo build --release)");
        }
        let function = match Function::parse(function, name) {
            Function::Program(_) => program(function, &endpoint, &key, args.verbose).into(),
            url => url,
        };
        functions.insert(name.to_owned(), Arc::new(function));
    }

    say(&format!("Secrets Manager is at {endpoint}"));
    say("\nFor the AWS CLI and SDKs:");
    for (name, value) in [
        ("AWS_ENDPOINT_URL_SECRETS_MANAGER", endpoint.as_str()),
        ("AWS_REGION", REGION),
        ("AWS_ACCESS_KEY_ID", &key),
        ("AWS_SECRET_ACCESS_KEY", "local"),
    ] {
        say(&format!("  export {name}={value}"));
    }
    for name in functions.keys() {
        say(&format!(
            "\nRotate a secret with {name}:\n  aws secretsmanager rotate-secret --secret-id NAME \\\n    --rotation-lambda-arn arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"
        ));
    }
    say("\nSecrets are kept in memory, and gone when this ends (Ctrl-C).");

    let rotating = service.clone();
    service.set_on_rotate(move |start| {
        let name = start.function.rsplit(':').next().unwrap_or_default().to_owned();
        let Some(function) = functions.get(&name).map(Arc::clone) else {
            let known = functions.keys().cloned().collect::<Vec<_>>().join(", ");
            say(&format!(
                "rotation of {}: no --function {name}=… was given (there is: {known})",
                start.secret
            ));
            return;
        };
        let service = rotating.clone();
        tokio::spawn(async move {
            say(&format!("rotation of {}, version {}", start.secret, start.token));
            let mut progress = Progress::default();
            let rotation = rotate_secret(
                &service,
                &function,
                &start.secret,
                &start.token,
                Attempt::default(),
                &mut progress,
            );
            let end = if rotation.await.failed.is_some() { "given up" } else { "done" };
            say(&format!("rotation of {}: {end}", start.secret));
        });
    });
    tokio::signal::ctrl_c().await.context("waiting for Ctrl-C")
}

/// A program that finds the local service.
pub(crate) fn program(path: &str, endpoint: &str, key: &str, verbose: bool) -> Program {
    let program = Program::new(path)
        .env("SECRETS_MANAGER_ENDPOINT", endpoint)
        .env("AWS_REGION", REGION)
        .env("AWS_ACCESS_KEY_ID", key)
        .env("AWS_SECRET_ACCESS_KEY", "local");
    if verbose { program.log(|line| say(&format!("      {line}"))) } else { program }
}
