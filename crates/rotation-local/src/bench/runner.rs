//! A function that is measured.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rotation_driver::{Function, FunctionError, Program, STEPS, waves};
use serde_json::json;

use super::figures::Measurements;
use super::{BenchEnv, process};
use crate::progress::say;

/// The API latency while calls are counted. It is long enough to distinguish sequential calls from
/// concurrent ones.
const COUNTING: Duration = Duration::from_millis(60);

/// A function and its measurements.
pub(super) struct Runner {
    pub(super) name: String,
    pub(super) figures: Measurements,
    make: Box<dyn Fn() -> Program>,
    verbose: bool,
    warm: Option<Function>,
}

impl Runner {
    /// Creates a runner for a program.
    pub(super) fn of_program(path: &Path, verbose: bool) -> Result<Self> {
        let figures =
            Measurements { binary: Some(path.metadata()?.len()), ..Measurements::default() };
        let name =
            path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let path = path.to_owned();
        Ok(Self { name, figures, make: Box::new(move || Program::new(&path)), verbose, warm: None })
    }

    /// Creates a runner for a function that a command line starts.
    pub(super) fn of_command(line: &str, verbose: bool) -> Self {
        let name = line.split_whitespace().next().unwrap_or(line).to_owned();
        let line = line.to_owned();
        let make = Box::new(move || Program::command(&line));
        Self { name, figures: Measurements::default(), make, verbose, warm: None }
    }

    fn function(&self, ground: &BenchEnv) -> Function {
        let program = ground.stage.with_service_env((self.make)(), ground.strategy);
        // Lambda does not set these variables. Reading their CA certificates would count as part of
        // the start.
        let program = program.without("SSL_CERT_FILE").without("SSL_CERT_DIR");
        if self.verbose {
            program.log(|line| say(&format!("    {line}"))).into()
        } else {
            program.into()
        }
    }

    /// Starts a process of the function. Returns it and the time until its first request for an
    /// event.
    async fn started(&self, ground: &BenchEnv) -> Result<(Function, Duration)> {
        let function = self.function(ground);
        let program = program(&function)?;
        let start = Instant::now();
        program.start_instance().await.map_err(|error| self.failed("startup", &error))?;
        let took = start.elapsed();
        // The quota applies after the start, because Lambda starts functions with a whole CPU.
        if let Some(share) = &ground.share {
            share.give(program.process_id().context("the function ended unexpectedly")?)?;
        }
        Ok((function, took))
    }

    /// Rotates once before anything is measured, because the alternate user is created only once.
    pub(super) async fn prepare(&mut self, ground: &BenchEnv) -> Result<()> {
        let (function, _) = self.started(ground).await?;
        self.rotate(ground, &function).await?;
        self.warm = Some(function);
        Ok(())
    }

    /// Takes one sample of every quantity.
    pub(super) async fn round(&mut self, ground: &BenchEnv) -> Result<()> {
        let (function, init) = self.started(ground).await?;
        let took = self.rotate(ground, &function).await?;
        let id = program(&function)?.process_id().context("the function ended unexpectedly")?;
        let figures = &mut self.figures;
        figures.init.time(init);
        figures.cold.time(init + took.iter().sum::<Duration>());
        figures.cold_cpu.time(process::cpu(id)?);
        figures.peak.bytes(process::peak(id)?);
        drop(function);

        let token = ground.stage.begin(ground.secret)?;
        for (at, step) in STEPS.into_iter().enumerate() {
            let (function, _) = self.started(ground).await?;
            let took = self.step(ground, &function, step, &token).await?;
            self.figures.cold_steps[at].time(took);
        }

        let warm = self.warm.take().context("prepare was not called")?;
        let id = program(&warm)?.process_id().context("the function ended unexpectedly")?;
        let before = process::cpu(id)?;
        let took = self.rotate(ground, &warm).await?;
        self.figures.warm_cpu.time(process::cpu(id)?.saturating_sub(before));
        self.figures.warm.time(took.iter().sum());
        for (series, took) in self.figures.warm_steps.iter_mut().zip(took) {
            series.time(took);
        }
        self.warm = Some(warm);
        Ok(())
    }

    /// Counts the calls, sessions and rejected logins of a rotation.
    pub(super) async fn count(&mut self, ground: &BenchEnv) -> Result<()> {
        let (service, database) = (&ground.stage.service, &ground.stage.database);
        let warm = self.warm.take().context("prepare was not called")?;
        let (sessions, refused) = (database.sessions()?, database.failed_logins()?);
        service.set_latency(COUNTING);
        service.clear_calls();
        self.rotate(ground, &warm).await?;
        let calls: Vec<_> = service.calls().iter().map(|call| (call.from, call.until)).collect();
        service.set_latency(ground.latency);
        self.figures.waves = waves(&calls);
        self.figures.sessions = database.sessions()? - sessions;
        self.figures.refused = database.failed_logins()? - refused;
        self.warm = Some(warm);
        Ok(())
    }

    async fn rotate(&self, ground: &BenchEnv, function: &Function) -> Result<[Duration; 4]> {
        let token = ground.stage.begin(ground.secret)?;
        let mut took = [Duration::ZERO; 4];
        for (took, step) in took.iter_mut().zip(STEPS) {
            *took = self.step(ground, function, step, &token).await?;
        }
        Ok(took)
    }

    async fn step(
        &self,
        ground: &BenchEnv,
        function: &Function,
        step: &str,
        token: &str,
    ) -> Result<Duration> {
        let arn = ground.stage.arn(ground.secret);
        let event = json!({"Step": step, "SecretId": arn, "ClientRequestToken": token});
        let start = Instant::now();
        let answer = function.invoke(&event).await;
        let took = start.elapsed();
        answer.map(|_| took).map_err(|error| self.failed(step, &error))
    }

    fn failed(&self, at: &str, error: &FunctionError) -> anyhow::Error {
        anyhow::anyhow!(
            "{} failed during {at}: {}: {}\nTo see its log lines, add --verbose.",
            self.name,
            error.error_type,
            error.message
        )
    }
}

fn program(function: &Function) -> Result<&Program> {
    match function {
        Function::Program(program) => Ok(program),
        Function::Url { .. } => bail!("bench cannot measure a function at a URL"),
    }
}
