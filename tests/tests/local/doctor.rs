//! Tests of `rotation-local doctor`, against the local service and against moto.

mod authorized;
mod functions;
mod permissions;
mod secrets;

use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};
use rotation_tests::binary;
use rotation_tests::child_process::text;
use serde_json::Value;

/// The exit code of a report with findings.
const FINDINGS: i32 = 3;

/// An account that `doctor` examines.
struct Account<'a> {
    /// The variable that names the endpoint.
    variable: &'static str,
    endpoint: &'a str,
    region: &'a str,
    key: (&'a str, &'a str),
}

impl Account<'_> {
    /// Returns the command, which finds only this account.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut doctor = Command::new(binary("rotation-local"));
        doctor.arg("doctor").args(arguments).stdin(Stdio::null()).env_clear();
        doctor.env(self.variable, self.endpoint).env("AWS_REGION", self.region);
        doctor.env("AWS_ACCESS_KEY_ID", self.key.0).env("AWS_SECRET_ACCESS_KEY", self.key.1);
        doctor.env("AWS_EC2_METADATA_DISABLED", "true").env("HOME", "/nonexistent");
        doctor
    }

    /// Runs `doctor --json` in a thread, because the service can be in this process.
    async fn examine(&self, arguments: &[&str]) -> Result<Report> {
        let mut command = self.command(&[&["--json"], arguments].concat());
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        Report::of(output)
    }
}

/// The output of `doctor --json`.
struct Report {
    code: Option<i32>,
    json: Value,
    text: String,
}

impl Report {
    fn of(output: Output) -> Result<Self> {
        let json = serde_json::from_slice(&output.stdout).with_context(|| text(&output))?;
        let error = String::from_utf8(output.stderr)?;
        Ok(Self { code: output.status.code(), json, text: error })
    }

    /// Returns the report on a secret.
    fn secret(&self, name: &str) -> Result<&Value> {
        let mut secrets = self.json["secrets"].as_array().into_iter().flatten();
        secrets.find(|secret| secret["name"] == name).with_context(|| format!("no {name}"))
    }

    /// Returns the types of the findings of a secret.
    fn findings(&self, name: &str) -> Result<Vec<&str>> {
        let findings = self.secret(name)?["findings"].as_array().into_iter().flatten();
        Ok(findings.filter_map(|finding| finding["type"].as_str()).collect())
    }

    /// Returns the finding of a type.
    fn finding(&self, name: &str, kind: &str) -> Result<&Value> {
        let mut findings = self.secret(name)?["findings"].as_array().into_iter().flatten();
        findings.find(|finding| finding["type"] == kind).with_context(|| format!("no {kind}"))
    }

    /// Returns the commands and the text of a secret's replacement as one text.
    fn replacement(&self, name: &str) -> Result<String> {
        Ok(self.secret(name)?["replacement"].to_string())
    }

    /// Returns the actions that would show the facts that are not known.
    fn denied_actions(&self) -> Vec<&str> {
        let gaps = self.json["notKnown"].as_array().into_iter().flatten();
        let denied = gaps.filter(|gap| gap["denied"] == true);
        let mut actions: Vec<_> = denied.filter_map(|gap| gap["action"].as_str()).collect();
        actions.sort_unstable();
        actions.dedup();
        actions
    }
}

/// The commands of the page, with the variables that `serve` prints.
#[tokio::test]
async fn page_examines_the_local_service() -> Result<()> {
    use rotation_tests::documentation::documented;
    use rotation_tests::local::{Serve, script, until};

    let examine = documented("docs/doctor.md", "target/release/rotation-local doctor --stuck")?;
    let list = documented("docs/doctor.md", "target/release/rotation-local doctor --json")?;
    let folder = tempfile::tempdir()?;
    let failing = script(folder.path(), "app-rotation", "exit 1")?;
    let serve = Serve::start(&["--function", &failing, "--attempts", "1"]).await?;
    let sdk = serve.client();
    sdk.create_secret().name("app").secret_string("a-secret-value").send().await?;
    let function = crate::serve::function_arn();
    sdk.rotate_secret().secret_id("app").rotation_lambda_arn(function).send().await?;
    until("the rotation fails", async || {
        Ok(serve.output().contains("stopped retrying").then_some(()))
    })
    .await?;

    let account = Account {
        variable: "AWS_ENDPOINT_URL_SECRETS_MANAGER",
        endpoint: &serve.endpoint(),
        region: rotation_tests::local::REGION,
        key: (&serve.key, "local"),
    };
    let programs = binary("rotation-local").parent().context("no folder")?.to_owned();
    std::fs::create_dir(folder.path().join("target"))?;
    std::os::unix::fs::symlink(programs, folder.path().join("target/release"))?;
    let run = |commands: &str| -> Result<Output> {
        let mut shell = Command::new("sh");
        shell.args(["-c", commands]).current_dir(folder.path()).env_clear();
        for (name, value) in account.command(&[]).get_envs() {
            shell.env(name, value.unwrap_or_default());
        }
        Ok(shell.env("PATH", std::env::var("PATH")?).output()?)
    };
    let examined = run(&examine)?;
    assert_eq!(examined.status.code(), Some(FINDINGS), "{}", text(&examined));
    for part in ["✗ RotationUnfinished", "createSecret failed", "cancel-rotate-secret"] {
        ensure!(text(&examined).contains(part), "{part} is not in {}", text(&examined));
    }
    // The failed attempt is only seconds old.
    let listed = run(&list.replace("--json", "--json --stuck-after 0"))?;
    ensure!(listed.status.success(), "{}", text(&listed));
    let lines = String::from_utf8(listed.stdout)?;
    ensure!(lines.contains("app: RotationUnfinished\n"), "{lines}");
    Ok(())
}

/// Without a Region or a service, the last line has the reason and the next step.
#[test]
fn unreachable_account_is_an_error_with_a_remedy() -> Result<()> {
    let account = Account {
        variable: "AWS_ENDPOINT_URL_SECRETS_MANAGER",
        endpoint: "http://127.0.0.1:1",
        region: "eu-west-1",
        key: ("key", "secret"),
    };
    let unreachable = account.command(&[]).output()?;
    let no_region = account.command(&[]).env_remove("AWS_REGION").output()?;
    let no_credentials = account.command(&[]).env_remove("AWS_ACCESS_KEY_ID").output()?;
    for (output, parts) in [
        (unreachable, ["http://127.0.0.1:1", "What to do: Check the network"]),
        (no_region, ["the Region is not known", "--region REGION"]),
        (no_credentials, ["could not list the secrets", "aws configure export-credentials"]),
    ] {
        assert_eq!(output.status.code(), Some(1), "{}", text(&output));
        for part in parts {
            ensure!(text(&output).contains(part), "{part} is not in {}", text(&output));
        }
    }
    Ok(())
}
