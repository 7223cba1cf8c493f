//! The command `serve`, which serves Secrets Manager and runs rotations.

mod args;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rotation_driver::{Attempt, Function, Program, rotate_secret, test_secret};
use secretsmanager_emulator::{REGION, Service, StartRotation, State, Store, function_name};
use serde_json::{Value, json};

use crate::activity::EventLog;
use crate::docker;
use crate::page;
use crate::progress::{print_json_line, say};
use crate::service_env::{PASSPHRASE, with_service_env};
pub(crate) use args::ServeArgs;

/// The number of recent calls from which the page picks those of a running step.
const MAX_CALLS: usize = 5000;

pub(crate) async fn serve(args: &ServeArgs) -> Result<()> {
    if !args.listen.is_loopback() && !args.expose {
        bail!(
            "--listen {}: other machines could connect and read every secret without TLS. To \
             allow this, add --expose",
            args.listen
        );
    }
    if args.expose && args.any_credentials {
        bail!(
            "--expose and --any-credentials cannot be combined: every machine that can connect \
             could read every secret"
        );
    }
    let mut given = BTreeMap::new();
    for function in &args.functions {
        let (name, function) = function.split_once('=').with_context(|| {
            format!("--function {function}: the value must be NAME=COMMAND or NAME=URL")
        })?;
        if let Err(message) = Function::parse(function, name) {
            bail!("--function {name}={function}: {message}");
        }
        given.insert(name.to_owned(), function.to_owned());
    }
    let environment = environment(&args.environment, &given)?;
    let (service, listener) = Service::bind(args.listen, args.port).await?;
    let bridge = match args.docker {
        // An unspecified address includes the address of Docker's bridge.
        true if args.listen.is_unspecified() => None,
        true => docker::listen(service.port()).await?,
        false => None,
    };
    let state = args.state.as_ref().map(|_| open_state(args)).transpose()?;
    let kept_key = state.as_ref().map(State::access_key).transpose()?;
    let store = state.as_ref().map(State::load).transpose()?.unwrap_or_default();
    let found = begin(&service, store, state, args)?;
    service.record_calls(MAX_CALLS);
    service.set_functions(given.keys().cloned().collect());
    let key = match kept_key {
        _ if args.any_credentials => "local".to_owned(),
        Some(key) => service.require(key),
        None => service.require_key(),
    };

    let activity = EventLog::default();
    if !args.any_credentials {
        activity.hide(&key);
    }
    let rotations = Rotations {
        service: service.clone(),
        activity: activity.clone(),
        key: key.clone(),
        given: given.clone(),
        environment: Arc::new(environment),
        started: Arc::default(),
        attempts: Attempt { most: args.attempts, pause: Duration::from_secs_f64(args.pause) },
        verbose: args.verbose,
        json: args.json,
    };
    let (asked, scheduled) = (rotations.clone(), rotations.clone());
    service.set_on_rotate(move |start| drop(tokio::spawn(asked.clone().run(start))));
    // The setup is complete, so the service can answer requests now.
    let pages = page::pages(service.clone(), activity);
    if let Some(bridge) = bridge {
        // Containers do not get the page, because it does not require the access key id.
        service.open(bridge, axum::Router::new());
    }
    service.open(listener, pages);
    greet(&service, &key, given.keys(), found, args)?;
    if args.json {
        let functions: Vec<_> = given.keys().collect();
        let ready = json!({
            "event": "ready",
            "endpoint": service.endpoint(),
            "accessKeyId": key,
            "functions": functions,
            "secrets": found,
        });
        print_json_line(&ready);
    }
    for start in service.resume_unfinished()? {
        say(&format!("rotation of {}: resumed from an earlier run", start.secret));
        tokio::spawn(rotations.clone().run(start));
    }
    tokio::spawn(async move { scheduled.run_schedule().await });
    tokio::signal::ctrl_c().await.context("could not wait for Ctrl-C")
}

fn open_state(args: &ServeArgs) -> Result<State> {
    let passphrase = match &args.passphrase_file {
        Some(file) => std::fs::read_to_string(file)
            .with_context(|| format!("could not read --passphrase-file {}", file.display()))?,
        None => std::env::var(PASSPHRASE).unwrap_or_default(),
    };
    let passphrase = passphrase.trim_end_matches(['\r', '\n']);
    if passphrase.is_empty() {
        bail!(
            "--state: the file is encrypted and needs a passphrase; set {PASSPHRASE}, or use \
             --passphrase-file PATH"
        );
    }
    State::open(args.state.as_deref().unwrap_or(std::path::Path::new("")), passphrase)
}

/// Initializes the service with the stored secrets, and returns their number.
fn begin(
    service: &Service,
    mut store: Store,
    state: Option<State>,
    args: &ServeArgs,
) -> Result<usize> {
    ensure_account(&store, &args.account)?;
    store.set_account(&args.account);
    let found = store.all().count();
    service.initialize_store(store, args.time_scale);
    if let Some(state) = state {
        service.set_persist(move |change| state.write(change));
    }
    Ok(found)
}

/// Checks that stored secrets of the service's own account belong to the account of `--account`.
/// Otherwise, their owner could not find them by their names any more.
fn ensure_account(store: &Store, account: &str) -> Result<()> {
    let Some(stored) = store.conflicting_account(account) else { return Ok(()) };
    bail!(
        "--account {account}: the secrets in the file of --state belong to the account {stored}; \
         use --account {stored}, or another file"
    )
}

fn greet<'a>(
    service: &Service,
    key: &str,
    functions: impl Iterator<Item = &'a String>,
    found: usize,
    args: &ServeArgs,
) -> Result<()> {
    let endpoint = service.endpoint();
    let variables = [
        ("AWS_ENDPOINT_URL_SECRETS_MANAGER", endpoint.as_str()),
        // Version 1 of the AWS CLI reads only AWS_DEFAULT_REGION.
        ("AWS_REGION", REGION),
        ("AWS_DEFAULT_REGION", REGION),
        ("AWS_ACCESS_KEY_ID", key),
        ("AWS_SECRET_ACCESS_KEY", "local"),
    ];
    if args.docker {
        docker::write_environment(&args.env_file, &variables, service.port())?;
    }
    say(&format!("Secrets Manager is at {endpoint}. Open this URL in a browser to see its state."));
    say("\nFor the AWS CLI and SDKs:");
    for (name, value) in variables {
        say(&format!("  export {name}={value}"));
    }
    if args.docker {
        say(&format!(
            "\nTo run the functions in containers with SAM (they reach this service at {}):\n{}",
            docker::endpoint(service.port()),
            docker::commands(&args.env_file)
        ));
    }
    for name in functions {
        say(&format!(
            "\nTo rotate a secret with {name}:\n  \
             aws secretsmanager rotate-secret --secret-id NAME \\\n    \
             --rotation-lambda-arn arn:aws:lambda:{REGION}:{}:function:{name}",
            args.account
        ));
    }
    match &args.state {
        Some(file) => say(&format!(
            "\nSecrets are stored in {} (currently {found}). Press Ctrl-C to stop.",
            file.display()
        )),
        None => say(
            "\nSecrets are in memory only; to store them, use --state PATH. Press Ctrl-C to stop.",
        ),
    }
    Ok(())
}

/// The variables of `--env`, by the name of the function.
type Environment = BTreeMap<String, BTreeMap<String, String>>;

fn environment(given: &[String], functions: &BTreeMap<String, String>) -> Result<Environment> {
    let mut environment = Environment::new();
    for text in given {
        let parts =
            text.split_once(':').and_then(|(name, rest)| Some((name, rest.split_once('=')?)));
        let Some((name, (variable, value))) = parts else {
            bail!(
                "--env: the value must be NAME:VARIABLE=VALUE, such as \
                 app-rotation:ROTATION_STRATEGY=master-user"
            );
        };
        match functions.get(name) {
            Some(function) if !function.starts_with("http") => {
                environment
                    .entry(name.to_owned())
                    .or_default()
                    .insert(variable.to_owned(), value.to_owned());
            }
            Some(_) => {
                bail!(
                    "--env {name}:{variable}=…: {name} is a URL; set the variable where that \
                     function runs"
                )
            }
            None => bail!("--env {name}:{variable}=…: there is no --function {name}=…"),
        }
    }
    Ok(environment)
}

/// The functions by name and region. Each has its own process, which gets its region at the start.
type Started = BTreeMap<(String, String), Arc<Function>>;

/// The runner of rotations. Clones share their state.
#[derive(Clone)]
struct Rotations {
    service: Service,
    activity: EventLog,
    key: String,
    given: BTreeMap<String, String>,
    environment: Arc<Environment>,
    started: Arc<Mutex<Started>>,
    attempts: Attempt,
    verbose: bool,
    json: bool,
}

impl Rotations {
    async fn run(self, start: StartRotation) {
        let StartRotation { region, secret, function, token, test_only } = start;
        let name = function_name(&function).to_owned();
        let Some(function) = self.function(&name, &region) else {
            say(&format!("rotation of {secret}: there is no --function {name}=…"));
            self.print("finished", &secret, &token, |event| {
                event["status"] = "failed".into();
                event["message"] = format!("there is no --function {name}=…").into();
            });
            return;
        };
        // The rotation is already running if a client repeats a request whose response was lost.
        let Some(mut recorder) = self.activity.begin(&secret, &name, &token, self.service.clone())
        else {
            return;
        };
        let what = if test_only { "test" } else { "rotation" };
        say(&format!("{what} of {secret}, version {token}"));
        self.print("started", &secret, &token, |event| event["function"] = name.as_str().into());
        let failed = if test_only {
            let failed = test_secret(&function, &secret, &token, &mut recorder).await;
            if let Err(error) = self.service.delete_test_copy(&secret, &token) {
                say(&format!("  could not delete the version of the test: {error}"));
            }
            failed
        } else {
            let rotation = rotate_secret(
                &self.service,
                &function,
                &secret,
                &token,
                self.attempts,
                &mut recorder,
            );
            rotation.await.failed
        };
        self.print("finished", &secret, &token, |event| {
            event["status"] = if failed.is_none() { "passed" } else { "failed" }.into();
            if let (Some(_), Some(error)) = (&failed, recorder.failure()) {
                event["errorType"] = error.error_type.as_str().into();
                event["message"] = error.message.as_str().into();
            }
        });
        let end = match (&failed, test_only) {
            (None, _) => "done",
            (Some(_), true) => "failed",
            (Some(_), false) => "stopped retrying",
        };
        recorder.end(end, failed.as_ref());
        say(&format!("{what} of {secret}: {end}"));
    }

    /// Prints an event if the option `--json` is set.
    fn print(&self, event: &str, secret: &str, token: &str, complete: impl FnOnce(&mut Value)) {
        if self.json {
            let mut event = json!({"event": event, "secret": secret, "version": token});
            complete(&mut event);
            print_json_line(&event);
        }
    }

    /// Returns a function by name and region. It starts when it is first invoked.
    fn function(&self, name: &str, region: &str) -> Option<Arc<Function>> {
        let given = self.given.get(name)?;
        let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        let function = started.entry((name.to_owned(), region.to_owned())).or_insert_with(|| {
            Arc::new(match Function::parse(given, name) {
                Ok(Function::Program(program)) => {
                    self.with_service_env(name, *program, region).into()
                }
                Ok(url) => url,
                // It existed when serve started. If it does not exist now, invoking it fails.
                Err(_) => Program::new(given).without(PASSPHRASE).into(),
            })
        });
        Some(Arc::clone(function))
    }

    fn with_service_env(&self, name: &str, program: Program, region: &str) -> Program {
        let (service, activity, verbose) =
            (self.service.clone(), self.activity.clone(), self.verbose);
        let name = name.to_owned();
        let mut program = with_service_env(program, &self.service.endpoint(), &self.key);
        for (variable, value) in self.environment.get(&name).into_iter().flatten() {
            program = program.env(variable, value.as_str());
        }
        program.env("AWS_REGION", region).env("AWS_DEFAULT_REGION", region).log(move |line| {
            // The line is redacted, because a third-party function can log secret values.
            let line = activity.line(&service, &name, line);
            if verbose {
                say(&format!("      {line}"));
            }
        })
    }

    /// Starts the rotations whose window has opened, and deletes the secrets whose recovery window
    /// has ended.
    async fn run_schedule(self) {
        loop {
            // One check per minute of the service's clock is enough, because windows open at full
            // hours.
            let pause = self
                .service
                .real_time(60.0)
                .clamp(Duration::from_millis(20), Duration::from_secs(60));
            tokio::time::sleep(pause).await;
            let due = match self.service.due() {
                Ok(due) => due,
                Err(error) => {
                    say(&format!("could not check the rotation schedules: {error}"));
                    continue;
                }
            };
            for (region, arn) in due.into_iter().filter(|(_, arn)| !self.activity.is_running(arn)) {
                let mut request = json!({"SecretId": arn});
                if let Some(token) = self.service.unfinished(&arn) {
                    request["ClientRequestToken"] = token.into();
                }
                if let Err(error) = self.service.perform_in(&region, "RotateSecret", &request) {
                    say(&format!("scheduled rotation of {arn}: {error}"));
                }
            }
        }
    }
}
