//! The command `rotate`, which rotates a secret in a file.

mod abandon;
mod args;
mod attempt;
mod left_over;
mod output;

use std::fs;
use std::io::{BufRead, IsTerminal, Write, stdin, stdout};
use std::path::{PathBuf, absolute};

use anyhow::{Result, bail};
use rotation_driver::{Attempt, Function, rotate_secret};
use secretsmanager_emulator::{Change, Service};
use serde_json::{Map, Value, json};

use crate::database_args::{MASTER, SECRET, put_master, with_database_env};
use crate::files::{read_json, warn_if_open};
use crate::journal::{RecoveryFile, UnfinishedRotation, beside};
use crate::preflight;
use crate::progress::say;
use crate::report::Report;
pub(crate) use args::RotateArgs;
use attempt::Watch;
use left_over::resumable;
use output::Output;

/// The suffix of the file with the previous version of the secret, whose user still works.
const PREVIOUS_SUFFIX: &str = ".previous";

/// Rotates a secret in a file.
pub(crate) async fn rotate(args: &RotateArgs) -> Result<()> {
    let mut report = Report::new();
    let journal =
        RecoveryFile::beside(&absolute(args.out.as_ref().unwrap_or(&args.database.secret))?);
    let done = tokio::select! {
        done = run(args, &journal, &mut report) => done,
        signal = tokio::signal::ctrl_c() => {
            signal?;
            Err(anyhow::Error::new(Interrupted { journal: journal.path().to_owned() }))
        }
    };
    if args.json {
        report.print(&done);
    }
    done
}

/// The error when the user presses Ctrl-C.
#[derive(Debug)]
pub(crate) struct Interrupted {
    journal: PathBuf,
}

impl std::error::Error for Interrupted {}

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.journal.exists() {
            let journal = self.journal.display();
            return write!(
                f,
                "interrupted during a rotation. Its state and passwords are in {journal}, which \
                 only you can read. Run the same command again to finish the rotation"
            );
        }
        f.write_str("interrupted outside of a rotation; no rotation is unfinished")
    }
}

async fn run(args: &RotateArgs, journal: &RecoveryFile, report: &mut Report) -> Result<()> {
    let secret_file = absolute(&args.database.secret)?;
    let out = absolute(args.out.as_ref().unwrap_or(&args.database.secret))?;
    let mut secret = read_json(&secret_file, "--secret")?;
    let master = args.database.master.read()?;
    for file in [Some(&secret_file), args.database.master.master.as_ref()].into_iter().flatten() {
        warn_if_open(file);
    }
    let function = match Function::parse(&args.function, "function") {
        Ok(function) => function,
        Err(message) => bail!("--function: {message}"),
    };
    // The lock is held until the end. Two concurrent runs on one file would lose a password.
    let lock = fs::File::open(&secret_file)?;
    if lock.try_lock().is_err() {
        bail!("another rotation of {} is running", secret_file.display());
    }
    let file = Value::Object(secret.clone());
    let strategy = args.database.master.strategy();
    let left_over = match journal.read()? {
        Some(left_over) if !args.abandon => resumable(left_over, &file, strategy, journal)?,
        left_over => left_over,
    };
    if args.abandon && left_over.is_none() {
        say(&format!("There is no unfinished rotation of {}.", out.display()));
        return Ok(());
    }
    let resumes = left_over.is_some();
    if !args.abandon {
        confirm(args, &secret, resumes)?;
    }

    let service = Service::start(args.port).await?;
    let key = service.require_key();
    let masters_arn = secret.get("masterarn").and_then(Value::as_str).map(str::to_owned);
    if let Some(master) = &master {
        put_master(&service, &mut secret, master)?;
    }
    let function = match function {
        Function::Program(program) => {
            with_database_env(*program, &service, &key, &args.database).into()
        }
        url => {
            say(&format!(
                "Set these variables for the function: SECRETS_MANAGER_ENDPOINT={} (see --port), \
                 AWS_ACCESS_KEY_ID={key}, and AWS_SECRET_ACCESS_KEY to any value.",
                service.endpoint()
            ));
            url
        }
    };
    let value = Value::Object(secret).to_string();
    match left_over {
        Some(left_over) => {
            journal.set_reached(left_over.reached)?;
            let corrected = left_over.file != file;
            service.with_store(|store| store.save(left_over.secret))?;
            let begun = left_over.strategy;
            if args.abandon {
                return abandon::abandon(&service, &function, &begun, journal).await;
            }
            if corrected {
                say("  the secret's file has changed; its value is the current version now");
                service.perform(
                    "PutSecretValue",
                    &json!({"SecretId": SECRET, "SecretString": value}),
                )?;
            }
        }
        None => {
            // The previous version is stored first, because a function does not rely on a user's
            // name alone: the secret's history shows which users belong to the secret.
            let previous_file = beside(&secret_file, PREVIOUS_SUFFIX);
            if args.database.master.alternates() && previous_file.exists() {
                let mut previous = read_json(&previous_file, "the previous secret")?;
                let arn = masters_arn.as_deref().unwrap_or(MASTER);
                previous.insert("masterarn".into(), arn.into());
                service.put_secret("local/secret", SECRET, &Value::Object(previous).to_string())?;
                service.perform(
                    "PutSecretValue",
                    &json!({"SecretId": SECRET, "SecretString": value}),
                )?;
            } else {
                service.put_secret("local/secret", SECRET, &value)?;
            }
            preflight::ensure_passes(&function, SECRET).await?;
        }
    }

    let output =
        Output { out: &out, args, keeps_master: masters_arn.is_some() || master.is_none() };
    let mut file = file;
    let mut reached_before = resumes && journal.reached();
    for time in 1..=args.times {
        say(&format!("  rotation {time} of {}", args.times));
        journal.set_reached(true)?;
        // From now on, every change of the versions is on disk before the service acknowledges it.
        let (own_journal, own_strategy, own_file) =
            (journal.clone(), strategy.to_owned(), file.clone());
        service.set_persist(move |change| match change {
            Change::Secret(secret) if secret.name == "local/secret" => {
                own_journal.write(&UnfinishedRotation {
                    file: own_file.clone(),
                    secret: (*secret).clone(),
                    strategy: own_strategy.clone(),
                    reached: own_journal.reached(),
                })
            }
            // The master's password is only in its own file.
            _ => Ok(()),
        });
        let mut request = json!({"SecretId": SECRET, "RotationLambdaARN": "local"});
        if let Some(token) = service.unfinished(SECRET) {
            say("    resuming with the version of an earlier run");
            request["ClientRequestToken"] = token.into();
        }
        let staged = service.perform("RotateSecret", &request)?;
        let token = staged["VersionId"].as_str().unwrap_or_default();
        let mut watch = Watch::new(journal, reached_before);
        let rotation =
            rotate_secret(&service, &function, SECRET, token, Attempt::default(), &mut watch).await;
        let status = if rotation.failed.is_none() { "passed" } else { "failed" };
        report.add(json!({"version": token, "status": status, "steps": watch.steps}));
        if let Some(error) = rotation.failed {
            if !journal.reached() {
                // The pending password has reached no database, so there is nothing to resume.
                journal.remove()?;
                let before = match time {
                    1 => "Nothing was changed.".to_owned(),
                    time => format!(
                        "It changed nothing. The result of the previous {} is in {}.",
                        time - 1,
                        out.display()
                    ),
                };
                bail!("the rotation failed: {}. {before}", error.error_type);
            }
            bail!(
                "the rotation failed: {}.\nThe versions and their passwords are in {}, which only \
                 you can read.\nCorrect the cause, then run the same command again to finish the \
                 rotation. To cancel it, add --abandon.",
                error.error_type,
                journal.path().display()
            );
        }
        let written = output.write(&service)?;
        // When a run resumes a rotation, it compares this with the file of --secret.
        if args.out.is_none() {
            file = written;
        }
        journal.remove()?;
        reached_before = false;
    }
    output.announce(&service)
}

/// Returns the base user if this is the name of an alternate user.
fn base_of(user: &str) -> Option<&str> {
    user.strip_suffix("_clone")
        .or_else(|| user.strip_suffix("_CLONE"))
        .filter(|base| !base.is_empty())
}

fn confirm(args: &RotateArgs, secret: &Map<String, Value>, resumes: bool) -> Result<()> {
    let text = |key: &str| match secret.get(key) {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Null) | None => None,
        Some(other) => Some(other.to_string()),
    };
    let what = match text("username") {
        Some(user) if args.database.master.alternates() => {
            let other = base_of(&user).map_or_else(|| format!("{user}_clone"), str::to_owned);
            format!("the passwords of the alternating users {user} and {other}")
        }
        Some(user) => format!("the password of user {user}"),
        // A custom credential has no user name.
        None => format!("the credential in {}", args.database.secret.display()),
    };
    let at = match (text("engine"), text("host"), text("port")) {
        (Some(engine), Some(host), Some(port)) => format!(" on {engine} at {host}, port {port}"),
        (Some(engine), Some(host), None) => format!(" on {engine} at {host}"),
        _ => String::new(),
    };
    let times = if args.times == 1 { String::new() } else { format!(", {} times", args.times) };
    say(&format!("This changes {what}{at}{times}."));
    if resumes {
        say("It resumes a rotation of an earlier run.");
    }
    if args.yes {
        return Ok(());
    }
    if !stdin().is_terminal() {
        bail!("nothing was changed; add --yes to rotate without confirmation");
    }
    let _ = write!(stdout(), "Continue? [y/N] ");
    let _ = stdout().flush();
    let mut answer = String::new();
    stdin().lock().read_line(&mut answer)?;
    if !matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
        bail!("nothing was changed");
    }
    Ok(())
}
