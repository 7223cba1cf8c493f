//! `rotation-local preflight`: the function looks at a person's own database, and changes nothing.

use anyhow::{Result, bail};
use serde_json::{Value, json};

use crate::cli::PreflightArgs;
use crate::function::Function;
use crate::progress::say;
use crate::rotate::{SECRET, own_program, put_master, read_json};
use crate::service::Service;

pub(crate) async fn preflight(args: &PreflightArgs) -> Result<()> {
    let mut secret = read_json(&args.secret, "--secret")?;
    let master = args.master.read()?;
    let program = match Function::parse(&args.function, "function") {
        Ok(Function::Program(program)) => *program,
        Ok(Function::Url { .. }) => bail!("--function: preflight needs a program, and not a URL"),
        Err(message) => bail!("--function: {message}"),
    };
    let service = Service::start(0).await?;
    let key = service.require_key();
    if let Some(master) = &master {
        put_master(&service, &mut secret, master)?;
    }
    service.put_secret("local/secret", SECRET, &Value::Object(secret).to_string())?;
    let program = own_program(program, &service, &key, args.master.strategy(), args.verbose);
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
