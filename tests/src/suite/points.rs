//! Every point between two effects of a rotation, what breaks there, and how it goes on.
//!
//! Nobody keeps a list of the points: they are counted while the function works, and a run without a break is the last.

use anyhow::{Context, Result, bail, ensure};
use rotation_local::{Fault, Function, Rotation, ServiceError, When};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::relay::Cutter;
use crate::scene::Scene;
use crate::server::Server;
use crate::suite::recovery::{MASTER, STEPS, check};
use crate::table::Row;

/// What happens at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Break {
    /// A call of Secrets Manager is refused, before its effect or after.
    Call(When),
    /// The process dies (SIGKILL) while it waits for such a call.
    Kill(When),
    /// The wire to the database is cut at a packet, before that reaches the server, or with its answer lost.
    Packet(When),
}

/// How a rotation goes on that has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// As the service goes on: the same version again.
    SameVersion,
    /// As a person may: `CancelRotateSecret`, `AWSPENDING` removed, another rotation.
    NewVersion,
    /// The last step too early; then each step by two processes at once, and an earlier one late after each.
    Storm,
}

impl Break {
    fn words(self) -> &'static str {
        match self {
            Self::Call(When::Before) => "a call of Secrets Manager fails",
            Self::Call(When::After) => "the answer to a call of Secrets Manager is lost",
            Self::Kill(When::Before) => "SIGKILL before a call of Secrets Manager",
            Self::Kill(When::After) => "SIGKILL after a call of Secrets Manager",
            Self::Packet(When::Before) => "a packet to the database is lost",
            Self::Packet(When::After) => "the database's answer is lost",
        }
    }
}

impl Then {
    fn words(self) -> &'static str {
        match self {
            Self::SameVersion => "the same version again",
            Self::NewVersion => "given up, another rotation",
            Self::Storm => "out of order, twice at once, late",
        }
    }

    /// How many passwords may be refused on the way.
    fn most_refused(self, strategy: &str) -> usize {
        match self {
            // With alternating users only the last step that came too early.
            Self::Storm if strategy == MASTER => 1,
            // And a setSecret that comes late begins with a password that has changed: three that came late or beside
            // another one, each of which may also have tried the one before.
            Self::Storm => 6,
            // AWSCURRENT, and where a rotation was given up AWSPENDING and AWSPREVIOUS.
            Self::SameVersion if strategy == MASTER => 0,
            Self::SameVersion => 1,
            Self::NewVersion if strategy == MASTER => 0,
            Self::NewVersion => 3,
        }
    }
}

/// Of the calls, every so many kill the process: what it leaves is what a failed call leaves.
const KILLS: usize = 4;

/// Breaks a rotation at each point in turn, lets it go on, and sees that all is well.
pub(super) async fn at_every_point<T: Server>(
    target: &T,
    strategy: &str,
    what: Break,
    then: Then,
) -> Result<()> {
    // Another part of the calls in each run.
    let (first, each, least) = match what {
        Break::Kill(_) => (rand::random_range(0..KILLS), KILLS, 2),
        _ => (0, 1, 8),
    };
    let (mut tried, mut most_refused) = (0, 0);
    let mut kept = None;
    for point in (first..).step_by(each) {
        // A single user is as before once it is well; a second user is made in a first rotation only.
        let place = match kept.take() {
            Some(place) if strategy != MASTER => place,
            _ => Place::new(target, what).await?,
        };
        let scene = &place.scene;
        let case = || format!("{strategy}, {} at {point}, {}", what.words(), then.words());
        let function = scene.function(strategy);
        let token = scene.stage(None)?;
        let (broken, rotation) = place.break_at(&function, what, point, &token).await.with_context(case)?;
        if !broken {
            ensure!(rotation.failed.is_none(), "{}: {:?}", case(), rotation.failed);
            ensure!(tried >= least, "{}: only {tried} points", case());
            let (what, then) = (what.words(), then.words());
            let row = Row { engine: T::ENGINE, strategy, what, then, points: tried, refused: most_refused };
            return row.tell();
        }
        let token = place.go_on(&function, strategy, token, (then, point)).await.with_context(case)?;
        check(scene, &token).await.with_context(case)?;
        let refused = scene.failed_logins()?;
        ensure!(refused <= then.most_refused(strategy), "{}: {refused} refused passwords", case());
        scene.begin_anew()?;
        (tried, most_refused) = (tried + 1, most_refused.max(refused));
        kept = Some(place);
    }
    bail!("no end")
}

/// A scene, and what breaks its connections.
struct Place<T: Server> {
    scene: Scene<T>,
    cutter: Option<Cutter>,
}

impl<T: Server> Place<T> {
    async fn new(target: &T, what: Break) -> Result<Self> {
        let scene = Scene::rich(target).await?;
        let cutter = match what {
            Break::Packet(_) => Some(scene.behind_a_relay().await?),
            _ => None,
        };
        Ok(Self { scene, cutter })
    }

    /// A rotation that breaks at a point, and whether it came that far.
    async fn break_at(
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
                    Fault::Refuse(ServiceError::new("InvalidRequestException", "a fault of this test"))
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
                        ensure!(std::process::Command::new("kill").args(["-KILL", &id]).status()?.success());
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
    async fn go_on(
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
            Then::Storm => {
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
            let (first, second) = tokio::join!(scene.step(one, step, token), scene.step(&other, step, token));
            ensure!(first.is_ok() || second.is_ok(), "{step} twice at once: {first:?} {second:?}");
            let late = STEPS[point % (at + 1)];
            scene.step(one, late, token).await.with_context(|| format!("{late} after {step}"))?;
        }
        Ok(())
    }
}
