//! The command `preflight`, with which a function checks the user's database without changing it.

mod args;

use std::path::absolute;

use anyhow::{Result, bail};
use rotation_driver::{Function, FunctionError};
use secretsmanager_emulator::Service;
use serde_json::{Value, json};

use crate::database_args::{SECRET, put_master, with_database_env};
use crate::files::{read_json, warn_if_open};
use crate::journal::RecoveryFile;
use crate::progress::{print_json, say};
pub(crate) use args::PreflightArgs;

/// Runs all checks and prints their results.
pub(crate) async fn preflight(args: &PreflightArgs) -> Result<()> {
    let mut secret = read_json(&args.database.secret, "--secret")?;
    let master = args.database.master.read()?;
    for file in
        [Some(&args.database.secret), args.database.master.master.as_ref()].into_iter().flatten()
    {
        warn_if_open(file);
    }
    let program = match Function::parse(&args.function, "function") {
        Ok(Function::Program(program)) => *program,
        Ok(Function::Url { .. }) => bail!("--function: preflight needs a program, not a URL"),
        Err(message) => bail!("--function: {message}"),
    };
    let journal = RecoveryFile::beside(&absolute(&args.database.secret)?);
    if journal.read()?.is_some_and(|left_over| left_over.reached) {
        bail!(
            "an unfinished rotation is in {}, and the database may have its password instead of \
             the one in {}. Finish it first: run rotation-local rotate with the options of that \
             rotation",
            journal.path().display(),
            args.database.secret.display()
        );
    }
    let service = Service::start(0).await?;
    let key = service.require_key();
    if let Some(master) = &master {
        put_master(&service, &mut secret, master)?;
    }
    service.put_secret("local/secret", SECRET, &Value::Object(secret).to_string())?;
    let function: Function = with_database_env(program, &service, &key, &args.database).into();
    let record = match ask(&function, SECRET).await {
        Ok(record) => record,
        Err(error) => bail!("{}: {}", error.error_type, error.message),
    };
    let checks = record["checks"].as_array().map(Vec::as_slice).unwrap_or_default();
    checks.iter().for_each(show);
    say(&format!("\n{}", record["did"].as_str().unwrap_or_default()));
    if args.json {
        print_json(&record);
    }
    if checks.iter().any(is_failed) {
        bail!("a rotation would fail");
    }
    Ok(())
}

async fn ask(function: &Function, secret: &str) -> Result<Value, FunctionError> {
    function.invoke(&json!({"Step": "preflight", "SecretId": secret})).await
}

/// Returns an error if a rotation would fail. A function without preflight passes.
pub(crate) async fn ensure_passes(function: &Function, secret: &str) -> Result<()> {
    let record = match ask(function, secret).await {
        Ok(record) => record,
        // The function rejects a setting, or the program does not start.
        Err(error)
            if ["InvalidSetting", "Runtime.ExitError"].contains(&error.error_type.as_str()) =>
        {
            bail!("{}: {}\nNothing was changed.", error.error_type, error.message)
        }
        Err(_) => return Ok(()),
    };
    let bad: Vec<_> = record["checks"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|check| is_failed(check))
        .collect();
    if bad.is_empty() {
        return Ok(());
    }
    say("  preflight");
    bad.into_iter().for_each(show);
    bail!("a rotation would fail. Nothing was changed.")
}

fn is_failed(check: &Value) -> bool {
    check["status"] == "failed"
}

fn show(check: &Value) {
    let text = |name: &str| check[name].as_str().unwrap_or_default().to_owned();
    match check["status"].as_str() {
        Some("passed") => say(&format!("✓ {}", text("check"))),
        Some("failed") => {
            say(&format!("✗ {}\n    {}: {}", text("check"), text("errorType"), text("message")));
            say(&format!("    What to do: {}", text("remedy")));
        }
        _ => say(&format!("? {}\n    {}", text("check"), text("message"))),
    }
}
