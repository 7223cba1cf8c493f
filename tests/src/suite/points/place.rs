//! Breaks one rotation, and lets it go on.

use anyhow::{Context, Result, bail, ensure};
use rotation_local::{Fault, Function, Rotation, ServiceError, When};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::sample::Counted;
use super::{Break, Then};
use crate::relay::Cutter;
use crate::scene::Fixture;
use crate::server::Server;
use crate::suite::recovery::STEPS;

/// A scene, and what breaks its connections.
pub(super) struct Place<T: Server> {
    pub(super) scene: Fixture<T>,
    cutter: Option<Cutter>,
}

impl<T: Server> Place<T> {
    pub(super) async fn new(target: &T, what: Break) -> Result<Self> {
        let scene = Fixture::rich(target).await?;
        let cutter = match what {
            Break::Packet(_) => Some(scene.behind_a_relay().await?),
            _ => None,
        };
        Ok(Self { scene, cutter })
    }

    /// A rotation that breaks at a point, and whether it came that far.
    pub(super) async fn break_at(
        &self,
        function: &Function,
        what: Break,
        point: usize,
        token: &str,
    ) -> Result<(bool, Rotation)> {
        let scene = &self.scene;
        match what {
            Break::Call(when) => {
                // An error that the SDK does not repeat by itself.
                let mut reached = self.fault_at(point, when, || {
                    Fault::Refuse(ServiceError::new(
                        "InvalidRequestException",
                        "a fault of this test",
                    ))
                });
                let rotation = scene.attempt(function, token, 1).await;
                scene.service.clear_fault();
                Ok((reached.try_recv().is_ok(), rotation))
            }
            Break::Kill(when) => {
                let mut reached = self.fault_at(point, when, || Fault::Hang);
                let Function::Program(program) = function else { bail!("no program") };
                let rotation = scene.attempt(function, token, 1);
                tokio::pin!(rotation);
                let ended = tokio::select! {
                    rotation = &mut rotation => Some(rotation),
                    _ = reached.recv() => None,
                };
                let broken = ended.is_none();
                let rotation = match ended {
                    Some(rotation) => rotation,
                    None => {
                        let id = program.process_id().context("no process")?.to_string();
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
                scene.service.clear_fault();
                Ok((broken, rotation))
            }
            Break::Packet(when) => {
                let cutter = self.cutter.as_ref().context("no relay")?;
                cutter.cut(point, when == When::After);
                let rotation = scene.attempt(function, token, 1).await;
                Ok((cutter.heal(), rotation))
            }
        }
    }

    /// Rotates without a break, and counts the points.
    pub(super) async fn count(&self, function: &Function, what: Break) -> Result<Counted> {
        let scene = &self.scene;
        let so_far = || match (&self.cutter, what) {
            (Some(cutter), Break::Packet(_)) => cutter.packets(),
            _ => scene.service.calls().len(),
        };
        let token = scene.stage(None)?;
        scene.service.forget_calls();
        if let Some(cutter) = &self.cutter {
            cutter.cut(usize::MAX, false);
        }
        let mut until_set = 0;
        for step in STEPS {
            scene.step(function, step, &token).await?;
            if step == "setSecret" {
                until_set = so_far();
            }
        }
        Ok(Counted { until_set, all: so_far() })
    }

    /// A fault at a call, and word of it.
    fn fault_at(
        &self,
        point: usize,
        when: When,
        fault: impl Fn() -> Fault + Send + 'static,
    ) -> UnboundedReceiver<()> {
        let (reached, receiver) = unbounded_channel();
        self.scene.service.set_fault(move |number, _, asked| {
            (number == point && asked == when).then(|| {
                let _ = reached.send(());
                fault()
            })
        });
        receiver
    }

    /// Goes on, and gives the version that is to be current in the end.
    pub(super) async fn go_on(
        &self,
        function: &Function,
        strategy: &str,
        token: String,
        (then, point): (Then, usize),
    ) -> Result<String> {
        let scene = &self.scene;
        let is_current = scene.version("AWSCURRENT")?.as_ref() == Some(&token);
        let token = match then {
            Then::NewVersion if !is_current => {
                scene.give_up(&token)?;
                scene.stage(None)?
            }
            Then::OutOfOrder => {
                self.storm(function, strategy, &token, point).await?;
                token
            }
            _ => token,
        };
        let rotation = scene.attempt(function, &token, 1).await;
        ensure!(rotation.failed.is_none(), "{:?}", rotation.failed);
        Ok(token)
    }

    async fn storm(&self, one: &Function, strategy: &str, token: &str, point: usize) -> Result<()> {
        let scene = &self.scene;
        let other = scene.function(strategy);
        let early = scene.step(one, "finishSecret", token).await;
        if early.is_ok() {
            // Then the database had its password already.
            scene.log_in().await.context("promoted too early")?;
        }
        for (at, step) in STEPS.iter().enumerate() {
            let (first, second) =
                tokio::join!(scene.step(one, step, token), scene.step(&other, step, token));
            ensure!(first.is_ok() || second.is_ok(), "{step} twice at once: {first:?} {second:?}");
            let late = STEPS[point % (at + 1)];
            scene.step(one, late, token).await.with_context(|| format!("{late} after {step}"))?;
        }
        Ok(())
    }
}
