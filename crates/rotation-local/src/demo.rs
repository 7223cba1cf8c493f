//! The command `demo`, which rotates the secrets of a temporary database server and prints the
//! evidence.

mod args;

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, bail};
use rotation_driver::{Attempt, Program, StepReport, rotate_secret};
use serde_json::{Value, json};

use crate::progress::{Progress, say};
use crate::report::Report;
use crate::stage::database::Refusal;
use crate::stage::{ALTERNATING, SINGLE, Sandbox, function_path};
pub(crate) use args::DemoArgs;

pub(crate) async fn demo(args: &DemoArgs) -> Result<()> {
    let mut report = Report::new();
    let done = run(args, &mut report).await;
    if args.json {
        report.print(&done);
    }
    done
}

/// Runs the demo. If it fails, the report has the rotations up to the failure.
async fn run(args: &DemoArgs, report: &mut Report) -> Result<()> {
    report.set("engine", args.engine.name());
    let function = function_path(args.function.as_deref(), args.engine)?;
    let display = args.engine.display();
    say(&format!("Rotating secrets of a temporary {display} server with the real function\n"));

    let stage = Sandbox::set_up(args.engine).await?;
    let (seconds, port) = (stage.took.as_secs_f64(), stage.database.port());
    say(&format!("  {display} with TLS is running on localhost, port {port} ({seconds:.1} s)"));
    say("  the users app, shop and master (not a superuser) and their secrets are created");
    let demo = Demo {
        stage,
        function,
        args,
        log: Arc::default(),
        passwords: Mutex::default(),
        intended_failures: AtomicUsize::new(0),
    };
    demo.rotate("single user", "single-user", SINGLE, "app", report).await?;
    demo.rotate("alternating users", "master-user", ALTERNATING, "shop", report).await?;
    demo.check_logs()?;
    report.set("passwordsInLogs", 0);
    say("\nAll checks passed. The server and its files are deleted now.");
    Ok(())
}

struct Demo<'a> {
    stage: Sandbox,
    function: PathBuf,
    args: &'a DemoArgs,
    /// The log lines of the function.
    log: Arc<Mutex<String>>,
    /// The new password of every rotation.
    passwords: Mutex<Vec<String>>,
    /// The number of failed logins with an old password, which the demo causes intentionally.
    intended_failures: AtomicUsize,
}

impl Demo<'_> {
    async fn rotate(
        &self,
        title: &str,
        strategy: &str,
        secret: &str,
        user: &str,
        report: &mut Report,
    ) -> Result<()> {
        say(&format!("\n{title}: user {user}, {} rotations", self.args.times));
        let function = self.program(strategy).into();
        for time in 1..=self.args.times {
            let service = &self.stage.service;
            let (before, labels_before) = (self.stage.current(secret)?, self.labels(secret)?);
            service.clear_calls();
            let token = self.stage.begin(secret)?;
            say(&format!("  rotation {time}"));
            let rotation = rotate_secret(
                service,
                &function,
                secret,
                &token,
                Attempt::default(),
                &mut Progress::default(),
            )
            .await;
            let steps: Vec<_> = rotation.steps.iter().map(StepReport::to_json).collect();
            let calls = service.calls().len();
            let mut entry = json!({
                "strategy": strategy,
                "version": token,
                "status": if rotation.failed.is_none() { "passed" } else { "failed" },
                "steps": steps,
                "secretsManagerCalls": calls,
            });
            if rotation.failed.is_some() {
                report.add(entry);
                bail!("the rotation failed; see its error above");
            }
            let total: u128 = rotation.steps.iter().map(|step| step.took.as_millis()).sum();
            say(&format!("    {total} ms in total, {calls} Secrets Manager calls"));
            say(&format!(
                "    labels before  {labels_before}\n    labels after   {}",
                self.labels(secret)?
            ));
            let after = self.stage.current(secret)?;
            self.passwords
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend(after["password"].as_str().map(str::to_owned));
            self.prove(&before, &after).await?;
            entry["userBefore"] = before["username"].clone();
            entry["user"] = after["username"].clone();
            entry["failedLogins"] = 0.into();
            entry["newPasswordAccepted"] = true.into();
            // Of two alternating users, the previous one still works until the next rotation.
            entry["oldPasswordAccepted"] = (before["username"] != after["username"]).into();
            report.add(entry);
        }
        Ok(())
    }

    /// Proves by logging in that the new password works, and that the old one does not if its user
    /// is the same. Also proves that the rotation caused no failed login.
    async fn prove(&self, before: &Value, after: &Value) -> Result<()> {
        let text = |secret: &Value, key: &str| secret[key].as_str().unwrap_or_default().to_owned();
        let (old_user, user) = (text(before, "username"), text(after, "username"));
        let refused =
            self.stage.database.failed_logins()? - self.intended_failures.load(Ordering::Relaxed);
        say(&format!("    failed logins seen by the server: {refused}"));
        if refused != 0 {
            bail!("the rotation caused failed logins");
        }
        let session = self.stage.database.log_in(&user, &text(after, "password")).await;
        let session = session
            .map_err(|refusal| refusal.into_error("could not log in with the new password"))?;
        say(&format!(
            "    the new password of {user} is accepted (logs in as {}, acts as {})",
            session.login, session.acts_as
        ));
        match (
            self.stage.database.log_in(&old_user, &text(before, "password")).await,
            old_user == user,
        ) {
            (Err(Refusal::Password), true) => {
                // This failed login is intended, and does not count as one of the rotation.
                self.intended_failures.fetch_add(1, Ordering::Relaxed);
                say(&format!("    the old password of {old_user} is rejected"));
            }
            (Ok(_), true) => bail!("the old password of {old_user} is still accepted"),
            (Ok(_), false) => say(&format!(
                "    the previous user {old_user} still works until the next rotation"
            )),
            (Err(refusal), _) => return Err(refusal.into_error("the previous user's login failed")),
        }
        Ok(())
    }

    fn program(&self, strategy: &str) -> Program {
        let log = Arc::clone(&self.log);
        let verbose = self.args.verbose;
        self.stage.with_service_env(Program::new(&self.function), strategy).log(move |line| {
            if verbose {
                say(&format!("      {line}"));
            }
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            log.push_str(line);
            log.push('\n');
        })
    }

    /// Returns the staging labels with the first characters of their versions.
    fn labels(&self, secret: &str) -> Result<String> {
        let answer = self.stage.service.perform("DescribeSecret", &json!({"SecretId": secret}))?;
        let mut labels = Vec::new();
        for (version, names) in answer["VersionIdsToStages"].as_object().into_iter().flatten() {
            let version: String = version.chars().take(8).collect();
            labels.extend(
                names
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .map(|name| format!("{name} {version}")),
            );
        }
        labels.sort();
        Ok(labels.join(", "))
    }

    /// Checks that no log contains a password.
    fn check_logs(&self) -> Result<()> {
        let server = self.stage.database.log()?;
        let function = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let passwords = self.passwords.lock().unwrap_or_else(PoisonError::into_inner);
        if passwords.is_empty() || function.is_empty() || !server.contains("shop_clone") {
            bail!("the logs are empty, so they prove nothing");
        }
        say(&format!(
            "\n  the server's log ({} lines, with every statement) and the function's log \
             ({} lines) contain none of the {} passwords",
            server.lines().count(),
            function.lines().count(),
            passwords.len()
        ));
        if passwords.iter().any(|password| {
            server.contains(password.as_str()) || function.contains(password.as_str())
        }) {
            bail!("a log contains a password");
        }
        Ok(())
    }
}
