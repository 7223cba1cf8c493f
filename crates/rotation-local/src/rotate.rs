//! `rotation-local rotate`: a person's own database.

use std::fs;
use std::io::{BufRead, IsTerminal, Write, stdin, stdout};
use std::path::{Path, absolute};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

use crate::cli::RotateArgs;
use crate::function::{Function, Program};
use crate::journal::{Journal, LeftOver, beside, write_whole};
use crate::progress::{Progress, say};
use crate::serve::equip;
use crate::service::{CURRENT, Change, PENDING, PREVIOUS, Service};
use crate::trigger::{Attempt, rotate_secret};

pub(crate) const SECRET: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:local/secret-AbCdEf";
const MASTER: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:local/master-AbCdEf";
/// Behind the name of the secret's file: the previous version, whose user goes on working.
const PREVIOUS_FILE: &str = ".previous";

pub(crate) async fn rotate(args: &RotateArgs) -> Result<()> {
    let secret_file = absolute(&args.secret)?;
    let out = absolute(args.out.as_ref().unwrap_or(&args.secret))?;
    let mut secret = read_json(&secret_file, "--secret")?;
    let master = args.master.read()?;
    let alternates = args.master.alternates();
    let function = match Function::parse(&args.function, "function") {
        Ok(function) => function,
        Err(message) => bail!("--function: {message}"),
    };
    // Held until the end: two runs on one file would each lose the other's password.
    let lock = fs::File::open(&secret_file)?;
    if lock.try_lock().is_err() {
        bail!("another rotation of {} is running", secret_file.display());
    }
    let journal = Journal::beside(&out);
    let left_over = journal.read()?;
    let file = Value::Object(secret.clone());
    if let Some(left_over) = &left_over {
        same_place(&file, &left_over.file, &journal)?;
    }

    let resumes = left_over.is_some();
    confirm(args, &secret, resumes)?;

    let service = Service::start(args.port).await?;
    let key = service.require_key();
    let masters_arn = secret.get("masterarn").and_then(Value::as_str).map(str::to_owned);
    if let Some(master) = &master {
        put_master(&service, &mut secret, master)?;
    }
    let value = Value::Object(secret).to_string();
    match left_over {
        Some(left_over) => {
            let corrected = left_over.file != file;
            service.with_store(|store| store.save(left_over.secret))?;
            if corrected {
                say("  the file has been changed since; it is the current version now");
                service.perform("PutSecretValue", &json!({"SecretId": SECRET, "SecretString": value}))?;
            }
        }
        None => {
            // The secret's history, as far as it is known: a function does not change a user on the word of a name.
            let previous_file = beside(&secret_file, PREVIOUS_FILE);
            if alternates && previous_file.exists() {
                let mut previous = read_json(&previous_file, "the previous secret")?;
                let arn = masters_arn.as_deref().unwrap_or(MASTER);
                previous.insert("masterarn".into(), arn.into());
                service.put_secret("local/secret", SECRET, &Value::Object(previous).to_string())?;
                service.perform("PutSecretValue", &json!({"SecretId": SECRET, "SecretString": value}))?;
            } else {
                service.put_secret("local/secret", SECRET, &value)?;
            }
        }
    }
    let own_journal = journal.clone();
    service.set_persist(move |change| match change {
        Change::Secret(secret) if secret.name == "local/secret" => {
            own_journal.write(&LeftOver { file: file.clone(), secret: (*secret).clone() })
        }
        // The master's password stays in its own file.
        _ => Ok(()),
    });

    let function = match function {
        Function::Program(program) => {
            own_program(*program, &service, &key, args.master.strategy(), args.verbose).into()
        }
        url => {
            say(&format!(
                "The function must have SECRETS_MANAGER_ENDPOINT={} (see --port), AWS_ACCESS_KEY_ID={key} and any \
                 AWS_SECRET_ACCESS_KEY.",
                service.endpoint()
            ));
            url
        }
    };

    for time in 1..=args.times {
        say(&format!("  rotation {time} of {}", args.times));
        let unfinished = service.unfinished(SECRET);
        let mut request = json!({"SecretId": SECRET, "RotationLambdaARN": "local"});
        if let Some(token) = unfinished {
            say("    going on with the version that an earlier run has left");
            request["ClientRequestToken"] = token.into();
        }
        let staged = service.perform("RotateSecret", &request)?;
        let token = staged["VersionId"].as_str().unwrap_or_default();
        let rotation =
            rotate_secret(&service, &function, SECRET, token, Attempt::default(), &mut Progress::default())
                .await;
        if let Some(error) = rotation.failed {
            if time == 1 && !resumes && !has_pending_value(&service) {
                // No password was ever made that the database could have: nothing is left to go on from.
                journal.remove()?;
                bail!("the rotation was given up: {}. Nothing was changed.", error.error_type);
            }
            bail!(
                "the rotation was given up: {}.\nNothing is lost: the versions, with their passwords, are in {} \
                 (readable by you alone).\nWhen the cause is mended, the same command goes on from there.",
                error.error_type,
                journal.path().display()
            );
        }
    }

    let text_of = |label: &str| -> Result<(Map<String, Value>, String)> {
        let answer =
            service.perform("GetSecretValue", &json!({"SecretId": SECRET, "VersionStage": label}))?;
        let mut value: Map<String, Value> =
            serde_json::from_str(answer["SecretString"].as_str().unwrap_or_default())?;
        if master.is_some() && masters_arn.is_none() {
            value.remove("masterarn");
        }
        let text = serde_json::to_string_pretty(&value)? + "\n";
        Ok((value, text))
    };
    let (value, text) = text_of(CURRENT)?;
    if alternates {
        let (previous, text) = text_of(PREVIOUS)?;
        let file = beside(&out, PREVIOUS_FILE);
        write_whole(&file, text.as_bytes())?;
        say(&format!(
            "\nUser {} keeps its password until the next rotation: it is in {}.",
            previous["username"].as_str().unwrap_or("?"),
            file.display()
        ));
    }
    write_whole(&out, text.as_bytes())?;
    journal.remove()?;
    say(&format!(
        "\nThe new secret is in {} (user {}).",
        out.display(),
        value["username"].as_str().unwrap_or("?")
    ));
    if args.show_passwords {
        say(&text);
    }
    Ok(())
}

/// Stores a master's secret, and names it in the secret unless that names one.
pub(crate) fn put_master(
    service: &Service,
    secret: &mut Map<String, Value>,
    master: &Map<String, Value>,
) -> Result<()> {
    let arn = secret.get("masterarn").and_then(Value::as_str).unwrap_or(MASTER).to_owned();
    secret.insert("masterarn".into(), arn.as_str().into());
    Ok(service.put_secret("local/master", &arn, &Value::Object(master.clone()).to_string())?)
}

/// A function that is to work on a person's own database.
pub(crate) fn own_program(
    program: Program,
    service: &Service,
    key: &str,
    strategy: &str,
    verbose: bool,
) -> Program {
    let program = equip(program, &service.endpoint(), key).env("ROTATION_STRATEGY", strategy);
    if verbose { program.log(|line| say(&format!("      {line}"))) } else { program }
}

/// The base user, when this is the second of two that alternate.
fn base_of(user: &str) -> Option<&str> {
    user.strip_suffix("_clone").or_else(|| user.strip_suffix("_CLONE")).filter(|base| !base.is_empty())
}

/// Whether a new password has been made.
fn has_pending_value(service: &Service) -> bool {
    let request = json!({"SecretId": SECRET, "VersionStage": PENDING});
    service.perform("GetSecretValue", &request).is_ok()
}

/// A left-over rotation goes on only for the user and the server that it began with.
fn same_place(now: &Value, then: &Value, journal: &Journal) -> Result<()> {
    for key in ["engine", "host", "port", "username"] {
        if now.get(key) != then.get(key) {
            bail!(
                "an unfinished rotation is in {0}, and \"{key}\" in the secret's file has changed since. Change it back and \
                 run this again to finish it. Or move {0} away, if you are sure that the database does not have its \
                 password: it holds the only copy.",
                journal.path().display()
            );
        }
    }
    Ok(())
}

fn confirm(args: &RotateArgs, secret: &Map<String, Value>, resumes: bool) -> Result<()> {
    let text = |key: &str| match secret.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => "(not given)".to_owned(),
    };
    let user = text("username");
    let other = match base_of(&user) {
        Some(base) => base.to_owned(),
        None => format!("{user}_clone"),
    };
    say(&format!(
        "This changes the password of user {}{} on {} at {}, {} time(s).",
        user,
        if args.master.alternates() { format!(" and of user {other}, in turn") } else { String::new() },
        text("engine"),
        text("host"),
        args.times
    ));
    if resumes {
        say("It goes on with a rotation that an earlier run has left.");
    }
    if args.yes {
        return Ok(());
    }
    if !stdin().is_terminal() {
        bail!("nothing was changed: add --yes to go ahead without being asked");
    }
    let _ = write!(stdout(), "Go ahead? [y/N] ");
    let _ = stdout().flush();
    let mut answer = String::new();
    stdin().lock().read_line(&mut answer)?;
    if !matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
        bail!("nothing was changed");
    }
    Ok(())
}

pub(crate) fn read_json(path: &Path, option: &str) -> Result<Map<String, Value>> {
    let text = fs::read_to_string(path).with_context(|| {
        format!(
            "{option} {}: cannot be read. It holds what the secret holds, for instance\n  {}",
            path.display(),
            r#"{"engine":"postgres","host":"localhost","port":5432,"username":"app","password":"…","dbname":"app"}"#
        )
    })?;
    match serde_json::from_str(&text) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => bail!("{option} {}: it is JSON, but not an object of keys and values", path.display()),
        Err(error) => bail!("{option} {}: it is not JSON ({error})", path.display()),
    }
}
