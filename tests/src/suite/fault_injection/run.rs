//! Injects a fault into one rotation, and recovers from it.

use anyhow::{Context, Result, bail, ensure};
use rotation_driver::{Function, Rotation};
use secretsmanager_emulator::{Fault, ServiceError, When};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::sample::Counted;
use super::{Break, Then};
use crate::fixture::Fixture;
use crate::proxy::FaultProxy;
use crate::server::Server;
use crate::suite::recovery::STEPS;

/// A fixture, and the proxy that cuts its connections.
pub(super) struct FaultRun<T: Server> {
    pub(super) fixture: Fixture<T>,
    cutter: Option<FaultProxy>,
}

impl<T: Server> FaultRun<T> {
    pub(super) async fn new(target: &T, what: Break) -> Result<Self> {
        let fixture = Fixture::rich(target).await?;
        let cutter = match what {
            Break::Packet(_) => Some(fixture.start_fault_proxy().await?),
            _ => None,
        };
        Ok(Self { fixture, cutter })
    }

    /// Runs a rotation with a fault at a point. Returns `true` with the rotation if it reached the
    /// point.
    pub(super) async fn run_with_fault(
        &self,
        function: &Function,
        what: Break,
        point: usize,
        token: &str,
    ) -> Result<(bool, Rotation)> {
        let fixture = &self.fixture;
        match what {
            Break::Call(when) => {
                // The SDK does not retry this error by itself.
                let mut reached = self.inject_fault(point, when, || {
                    Fault::Refuse(ServiceError::new(
                        "InvalidRequestException",
                        "a fault of this test",
                    ))
                });
                let rotation = fixture.attempt(function, token, 1).await;
                fixture.service.clear_fault();
                Ok((reached.try_recv().is_ok(), rotation))
            }
            Break::Kill(when) => {
                let mut reached = self.inject_fault(point, when, || Fault::Hang);
                let Function::Program(program) = function else {
                    bail!("the function is not a program")
                };
                let rotation = fixture.attempt(function, token, 1);
                tokio::pin!(rotation);
                let ended = tokio::select! {
                    rotation = &mut rotation => Some(rotation),
                    _ = reached.recv() => None,
                };
                let broken = ended.is_none();
                let rotation = match ended {
                    Some(rotation) => rotation,
                    None => {
                        let id = program
                            .process_id()
                            .context("the function has no process")?
                            .to_string();
                        ensure!(
                            std::process::Command::new("kill")
                                .args(["-KILL", &id])
                                .status()?
                                .success()
                        );
                        rotation.await
                    }
                };
                ensure!(broken == rotation.failed.is_some(), "{:?}", rotation.failed);
                fixture.service.clear_fault();
                Ok((broken, rotation))
            }
            Break::Packet(when) => {
                let cutter = self.cutter.as_ref().context("the fixture has no proxy")?;
                cutter.cut(point, when == When::After);
                let rotation = fixture.attempt(function, token, 1).await;
                Ok((cutter.heal(), rotation))
            }
        }
    }

    /// Runs a rotation without a fault and counts its points.
    pub(super) async fn count(&self, function: &Function, what: Break) -> Result<Counted> {
        let fixture = &self.fixture;
        let points_so_far = || match (&self.cutter, what) {
            (Some(cutter), Break::Packet(_)) => cutter.packets(),
            _ => fixture.service.calls().len(),
        };
        let token = fixture.stage(None)?;
        fixture.service.clear_calls();
        if let Some(cutter) = &self.cutter {
            cutter.cut(usize::MAX, false);
        }
        let mut until_set_secret = 0;
        for step in STEPS {
            fixture.step(function, step, &token).await?;
            if step == "setSecret" {
                until_set_secret = points_so_far();
            }
        }
        Ok(Counted { until_set_secret, all: points_so_far() })
    }

    /// Injects a fault at a call. The receiver gets a message when the call is reached.
    fn inject_fault(
        &self,
        point: usize,
        when: When,
        fault: impl Fn() -> Fault + Send + 'static,
    ) -> UnboundedReceiver<()> {
        let (reached, receiver) = unbounded_channel();
        self.fixture.service.set_fault(move |number, _, asked| {
            (number == point && asked == when).then(|| {
                let _ = reached.send(());
                fault()
            })
        });
        receiver
    }

    /// Recovers from the fault. Returns the version that must be current in the end.
    pub(super) async fn recover(
        &self,
        function: &Function,
        strategy: &str,
        token: String,
        (then, point): (Then, usize),
    ) -> Result<String> {
        let fixture = &self.fixture;
        let is_current = fixture.version("AWSCURRENT")?.as_ref() == Some(&token);
        let token = match then {
            Then::NewVersion if !is_current => {
                fixture.give_up(&token)?;
                fixture.stage(None)?
            }
            Then::OutOfOrder => {
                self.storm(function, strategy, &token, point).await?;
                token
            }
            _ => token,
        };
        let rotation = fixture.attempt(function, &token, 1).await;
        ensure!(rotation.failed.is_none(), "{:?}", rotation.failed);
        Ok(token)
    }

    /// Runs the steps out of order, twice at the same time, and late.
    async fn storm(&self, one: &Function, strategy: &str, token: &str, point: usize) -> Result<()> {
        let fixture = &self.fixture;
        let other = fixture.function(strategy);
        let early = fixture.step(one, "finishSecret", token).await;
        if early.is_ok() {
            // The promotion is correct only if the database already had the pending password.
            fixture.log_in().await.context("promoted too early")?;
        }
        for (at, step) in STEPS.iter().enumerate() {
            let (first, second) =
                tokio::join!(fixture.step(one, step, token), fixture.step(&other, step, token));
            ensure!(first.is_ok() || second.is_ok(), "{step} twice at once: {first:?} {second:?}");
            let late = STEPS[point % (at + 1)];
            fixture.step(one, late, token).await.with_context(|| format!("{late} after {step}"))?;
        }
        Ok(())
    }
}
