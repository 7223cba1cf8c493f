//! `rotation-local serve`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::activity::Activity;
use crate::cli::ServeArgs;
use crate::docker;
use crate::function::{Function, Program};
use crate::page;
use crate::progress::{print_json_line, say};
use crate::service::{PASSPHRASE, REGION, Service, StartRotation, State, Store, function_name};
use crate::trigger::{Attempt, rotate_secret, test_secret};

pub(crate) async fn serve(args: &ServeArgs) -> Result<()> {
    if !args.listen.is_loopback() && !args.expose {
        bail!(
            "--listen {}: other machines could reach it, and read every secret without TLS. If that is meant, say so twice: add \
             --expose",
            args.listen
        );
    }
    if args.expose && args.any_credentials {
        bail!(
            "--expose and --any-credentials: anybody who reaches this machine would read every secret"
        );
    }
    let mut given = BTreeMap::new();
    for function in &args.functions {
        let (name, function) = function.split_once('=').with_context(|| {
            format!("--function {function}: give it as NAME=COMMAND or NAME=URL")
        })?;
        if let Err(message) = Function::parse(function, name) {
            bail!("--function {name}={function}: {message}");
        }
        given.insert(name.to_owned(), function.to_owned());
    }
    let environment = environment(&args.environment, &given)?;
    let (service, listener) = Service::bind(args.listen, args.port).await?;
    let bridge = match args.docker {
        // Then the bridge is one of its addresses.
        true if args.listen.is_unspecified() => None,
        true => docker::listen(service.port()).await?,
        false => None,
    };
    let state = args.state.as_ref().map(|_| open_state(args)).transpose()?;
    let kept_key = state.as_ref().map(State::access_key).transpose()?;
    let store = state.as_ref().map(State::load).transpose()?.unwrap_or_default();
    let found = begin(&service, store, state, args);
    service.set_functions(given.keys().cloned().collect());
    let key = match kept_key {
        _ if args.any_credentials => "local".to_owned(),
        Some(key) => service.require(key),
        None => service.require_key(),
    };

    let activity = Activity::default();
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
    // All is set up: only now is anybody answered.
    let pages = page::pages(service.clone(), activity);
    if let Some(bridge) = bridge {
        // Containers have no use for the page, which asks for no key.
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
    for start in service.take_up()? {
        say(&format!("rotation of {}: goes on with what an earlier run has left", start.secret));
        tokio::spawn(rotations.clone().run(start));
    }
    tokio::spawn(async move { scheduled.keep_the_schedule().await });
    tokio::signal::ctrl_c().await.context("waiting for Ctrl-C")
}

fn open_state(args: &ServeArgs) -> Result<State> {
    let passphrase = match &args.passphrase_file {
        Some(file) => std::fs::read_to_string(file)
            .with_context(|| format!("--passphrase-file {}: cannot be read", file.display()))?,
        None => std::env::var(PASSPHRASE).unwrap_or_default(),
    };
    let passphrase = passphrase.trim_end_matches(['\r', '\n']);
    if passphrase.is_empty() {
        bail!(
            "--state: the file holds passwords, so it is encrypted, and needs a passphrase: set {PASSPHRASE}, or give \
             --passphrase-file FILE"
        );
    }
    State::open(args.state.as_deref().unwrap_or(std::path::Path::new("")), passphrase)
}

/// Puts the service on what was kept, and says how many secrets that are.
fn begin(service: &Service, mut store: Store, state: Option<State>, args: &ServeArgs) -> usize {
    store.set_account(&args.account);
    let found = store.all().count();
    service.begin_with(store, args.time_scale);
    if let Some(state) = state {
        service.set_persist(move |change| state.write(change));
    }
    found
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
        // The CLI's first version knows the second of these alone.
        ("AWS_REGION", REGION),
        ("AWS_DEFAULT_REGION", REGION),
        ("AWS_ACCESS_KEY_ID", key),
        ("AWS_SECRET_ACCESS_KEY", "local"),
    ];
    if args.docker {
        docker::write_environment(&args.env_file, &variables, service.port())?;
    }
    say(&format!("Secrets Manager is at {endpoint}; open that in a browser to look on"));
    say("\nFor the AWS CLI and SDKs:");
    for (name, value) in variables {
        say(&format!("  export {name}={value}"));
    }
    if args.docker {
        say(&format!(
            "\nFor functions that SAM runs in containers, which reach this service at {}:\n{}",
            docker::endpoint(service.port()),
            docker::commands(&args.env_file)
        ));
    }
    for name in functions {
        say(&format!(
            "\nRotate a secret with {name}:\n  aws secretsmanager rotate-secret --secret-id NAME \\\n    --rotation-lambda-arn arn:aws:lambda:{REGION}:{}:function:{name}",
            args.account
        ));
    }
    match &args.state {
        Some(file) => say(&format!(
            "\nSecrets are kept in {}; there are {found}. Ctrl-C ends it.",
            file.display()
        )),
        None => say(
            "\nSecrets are kept in memory, and gone when this ends (Ctrl-C); --state FILE keeps them.",
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
                "--env: give it as NAME:VARIABLE=VALUE, such as app-rotation:ROTATION_STRATEGY=master-user"
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
                    "--env {name}:{variable}=…: {name} is a URL; set the variable where that function runs"
                )
            }
            None => bail!("--env {name}:{variable}=…: there is no --function {name}=…"),
        }
    }
    Ok(environment)
}

/// Functions by name and region: each is told its region once.
type Started = BTreeMap<(String, String), Arc<Function>>;

/// Runs rotations. Clones share everything.
#[derive(Clone)]
struct Rotations {
    service: Service,
    activity: Activity,
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
        let StartRotation { region, secret, function, token, only_test } = start;
        let name = function_name(&function).to_owned();
        let Some(function) = self.function(&name, &region) else {
            say(&format!("rotation of {secret}: there is no --function {name}=…"));
            self.print("finished", &secret, &token, |event| {
                event["status"] = "failed".into();
                event["message"] = format!("there is no --function {name}=…").into();
            });
            return;
        };
        // The same request twice, as when an answer was lost.
        let Some(mut recorder) = self.activity.begin(&secret, &name, &token, self.service.clone())
        else {
            return;
        };
        let what = if only_test { "test" } else { "rotation" };
        say(&format!("{what} of {secret}, version {token}"));
        self.print("started", &secret, &token, |event| event["function"] = name.as_str().into());
        let failed = if only_test {
            let failed = test_secret(&function, &secret, &token, &mut recorder).await;
            if let Err(error) = self.service.forget_version(&secret, &token) {
                say(&format!("  the version of the test stays: {error}"));
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
        let end = match (&failed, only_test) {
            (None, _) => "done",
            (Some(_), true) => "failed",
            (Some(_), false) => "given up",
        };
        recorder.end(end);
        say(&format!("{what} of {secret}: {end}"));
    }

    /// Prints an event for the option `--json`.
    fn print(&self, event: &str, secret: &str, token: &str, complete: impl FnOnce(&mut Value)) {
        if self.json {
            let mut event = json!({"event": event, "secret": secret, "version": token});
            complete(&mut event);
            print_json_line(&event);
        }
    }

    /// The function, which is started when it is first invoked.
    fn function(&self, name: &str, region: &str) -> Option<Arc<Function>> {
        let given = self.given.get(name)?;
        let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        let function = started.entry((name.to_owned(), region.to_owned())).or_insert_with(|| {
            Arc::new(match Function::parse(given, name) {
                Ok(Function::Program(program)) => self.equip(name, *program, region).into(),
                Ok(url) => url,
                // It existed when this began; invoking it says that it is gone.
                Err(_) => Program::new(given).into(),
            })
        });
        Some(Arc::clone(function))
    }

    fn equip(&self, name: &str, program: Program, region: &str) -> Program {
        let (service, activity, verbose) =
            (self.service.clone(), self.activity.clone(), self.verbose);
        let name = name.to_owned();
        let mut program = equip(program, &self.service.endpoint(), &self.key);
        for (variable, value) in self.environment.get(&name).into_iter().flatten() {
            program = program.env(variable, value.as_str());
        }
        program.env("AWS_REGION", region).env("AWS_DEFAULT_REGION", region).log(move |line| {
            // It may be anybody's function.
            let line = activity.line(&service, &name, line);
            if verbose {
                say(&format!("      {line}"));
            }
        })
    }

    /// Begins the rotations whose window has opened, and deletes what is to go.
    async fn keep_the_schedule(self) {
        loop {
            // A minute of the service's clock; windows open at full hours.
            let pause = self
                .service
                .real_time(60.0)
                .clamp(Duration::from_millis(20), Duration::from_secs(60));
            tokio::time::sleep(pause).await;
            let due = match self.service.due() {
                Ok(due) => due,
                Err(error) => {
                    say(&format!("the schedule: {error}"));
                    continue;
                }
            };
            for (region, arn) in due.into_iter().filter(|(_, arn)| !self.activity.is_running(arn)) {
                let mut request = json!({"SecretId": arn});
                if let Some(token) = self.service.unfinished(&arn) {
                    request["ClientRequestToken"] = token.into();
                }
                if let Err(error) = self.service.perform_in(&region, "RotateSecret", &request) {
                    say(&format!("rotation of {arn} by its schedule: {error}"));
                }
            }
        }
    }
}

/// Lets a function find a Secrets Manager.
pub(crate) fn equip(program: Program, endpoint: &str, key: &str) -> Program {
    program
        .env("SECRETS_MANAGER_ENDPOINT", endpoint)
        // For functions that are not ours: the SDKs' own variables.
        .env("AWS_ENDPOINT_URL_SECRETS_MANAGER", endpoint)
        .env("AWS_REGION", REGION)
        .env("AWS_DEFAULT_REGION", REGION)
        .env("AWS_ACCESS_KEY_ID", key)
        .env("AWS_SECRET_ACCESS_KEY", "local")
}
