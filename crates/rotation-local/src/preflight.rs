//! `rotation-local preflight`: the function looks at a person's own database, and changes nothing.

use std::path::absolute;

use anyhow::{Result, bail};
use serde_json::{Value, json};

use crate::cli::PreflightArgs;
use crate::function::Function;
use crate::progress::say;
use crate::rotate::{MASTER, SECRET, read_json};
use crate::serve::program;
use crate::service::Service;

pub(crate) async fn preflight(args: &PreflightArgs) -> Result<()> {
    let mut secret = read_json(&args.secret, "--secret")?;
    let master = args.master.as_deref().map(|path| read_json(path, "--master")).transpose()?;
    if !args.function.exists() {
        bail!(
            "--function: there is no file {}; build it first (cargo build --release)",
            args.function.display()
        );
    }
    let service = Service::start(0).await?;
    let key = service.require_key();
    let mut program = program(&absolute(&args.function)?.to_string_lossy(), &service.endpoint(), &key);
    if let Some(master) = master {
        let arn = secret.get("masterarn").and_then(Value::as_str).unwrap_or(MASTER).to_owned();
        secret.insert("masterarn".into(), arn.as_str().into());
        service.put_secret("local/master", &arn, &Value::Object(master).to_string())?;
        program = program.env("ROTATION_STRATEGY", "master-user");
    }
    service.put_secret("local/secret", SECRET, &Value::Object(secret).to_string())?;
    if args.verbose {
        program = program.log(|line| say(&format!("      {line}")));
    }
    let function: Function = program.into();
    let record = match function.invoke(&json!({"Step": "preflight", "SecretId": SECRET})).await {
        Ok(record) => record,
        Err(error) => bail!("{}: {}", error.error_type, error.message),
    };
    let text = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let mut bad = 0;
    for check in record["checks"].as_array().into_iter().flatten() {
        let what = text(check, "check");
        match check["found"].as_str() {
            Some("good") => say(&format!("✓ {what}")),
            Some("bad") => {
                bad += 1;
                say(&format!("✗ {what}\n    {}: {}", text(check, "errorType"), text(check, "said")));
                say(&format!("    What to do: {}", text(check, "remedy")));
            }
            _ => say(&format!("? {what}\n    {}", text(check, "said"))),
        }
    }
    say(&format!("\n{}", text(&record, "did")));
    if bad > 0 {
        bail!("a rotation would fail");
    }
    Ok(())
}
