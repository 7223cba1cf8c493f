//! Fault injection: the fault points between two effects of a rotation, the fault at each of them,
//! and the recovery.
//!
//! There is no fixed list of the fault points: they are counted while the function works.
//! `make reliability` injects a fault at every point, until a rotation ends before it reaches the
//! point. `make test` uses a sample of the points.

mod run;
mod sample;

use std::collections::VecDeque;

use anyhow::{Context, Result, ensure};
use secretsmanager_emulator::When;

use crate::fixture::Fixture;
use crate::server::Server;
use crate::suite::recovery::{MASTER, check};
use crate::table::Row;
use run::FaultRun;
pub(crate) use sample::is_exhaustive;

/// The kind of fault that is injected at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Break {
    /// A call of Secrets Manager fails, before or after its effect.
    Call(When),
    /// The process is killed with SIGKILL while it waits for such a call.
    Kill(When),
    /// The connection to the database is cut at a packet: before the packet reaches the server, or
    /// after it, so that the server's answer is lost.
    Packet(When),
}

/// The way in which a failed rotation continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// The same version is retried, as the service does.
    SameVersion,
    /// The operator cancels the rotation with `CancelRotateSecret`, removes `AWSPENDING`, and
    /// starts another rotation.
    NewVersion,
    /// `finishSecret` comes too early. Then two processes run each step at the same time, and an
    /// earlier step comes late after each.
    OutOfOrder,
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
            Self::NewVersion => "cancelled, new rotation",
            Self::OutOfOrder => "steps out of order",
        }
    }

    /// Returns how many passwords the server may reject during the recovery.
    fn max_rejected(self, strategy: &str, turn: &str) -> usize {
        match self {
            // Some servers do not show that two users are a pair. Then the function proves it with
            // passwords of the base user. After `setSecret` has run, that of AWSPREVIOUS is
            // rejected; after a cancelled rotation, that of AWSPENDING is rejected, too.
            Self::OutOfOrder if turn == BASE_USER_ROTATION => 6,
            Self::SameVersion if turn == BASE_USER_ROTATION => 1,
            Self::NewVersion if turn == BASE_USER_ROTATION => 2,
            // With alternating users, only the `finishSecret` that came too early tries a password
            // that is rejected.
            Self::OutOfOrder if strategy == MASTER => 1,
            // A late `setSecret` first tries a password that has changed meanwhile. Three runs come
            // late or beside another one, and each of them may also try the previous password.
            Self::OutOfOrder => 6,
            // The password of AWSCURRENT is rejected, and after a cancelled rotation also those of
            // AWSPENDING and AWSPREVIOUS.
            Self::SameVersion if strategy == MASTER => 0,
            Self::SameVersion => 1,
            Self::NewVersion if strategy == MASTER => 0,
            Self::NewVersion => 3,
        }
    }
}

/// The rotations of alternating users: the first one, which creates the alternate user; then that
/// of the base user; then those of the alternate user.
const FIRST_ROTATION: &str = ", first rotation";
const BASE_USER_ROTATION: &str = ", base user";
const LATER_ROTATION: &str = ", alternate user";

/// The fault points of one kind of rotation: which points are tried, and the results.
struct Points {
    strategy: &'static str,
    /// The text after the strategy in the table.
    turn: &'static str,
    what: Break,
    then: Then,
    choice: Choice,
    tried: usize,
    max_rejected: usize,
    are_done: bool,
}

/// The choice of the points that are tried next.
enum Choice {
    /// Every point from this one on, until a rotation ends without a fault.
    Every(usize),
    /// A sample. The points of a rotation without a fault have not been counted yet.
    Uncounted,
    /// The points of the sample that are left.
    Sample(VecDeque<usize>),
}

/// The least number of points of a rotation. A smaller number means that the points were not
/// counted.
const MIN_POINTS: usize = 8;

impl Points {
    fn of(strategy: &'static str, turn: &'static str, what: Break, then: Then) -> Self {
        let choice = if sample::is_exhaustive() { Choice::Every(0) } else { Choice::Uncounted };
        Self { strategy, turn, what, then, choice, tried: 0, max_rejected: 0, are_done: false }
    }

    /// Runs one rotation. Counts its points; or injects a fault at the next point, recovers, and
    /// checks the result.
    async fn run_next<T: Server>(&mut self, run: &FaultRun<T>) -> Result<()> {
        let point = match &mut self.choice {
            Choice::Every(next) => *next,
            Choice::Sample(points) => points.pop_front().context("no fault point is left")?,
            Choice::Uncounted => return self.count(run).await,
        };
        let (strategy, turn, fixture) = (self.strategy, self.turn, &run.fixture);
        let case =
            format!("{strategy}{turn}, {} at {point}, {}", self.what.words(), self.then.words());
        let function = fixture.function(strategy);
        let token = fixture.stage(None)?;
        let (broken, rotation) =
            run.run_with_fault(&function, self.what, point, &token).await.context(case.clone())?;
        if !broken {
            ensure!(rotation.failed.is_none(), "{case}: {:?}", rotation.failed);
            return self.missed(point, fixture).context(case);
        }
        let token = run
            .recover(&function, strategy, token, (self.then, point))
            .await
            .context(case.clone())?;
        check(fixture, &token).await.context(case.clone())?;
        let refused = fixture.failed_logins()?;
        ensure!(
            refused <= self.then.max_rejected(strategy, turn),
            "{case}: {refused} rejected passwords"
        );
        fixture.check_and_clear_output()?;
        self.tried += 1;
        self.max_rejected = self.max_rejected.max(refused);
        match &mut self.choice {
            Choice::Every(next) => *next += 1,
            Choice::Sample(points) if points.is_empty() => self.end(&fixture.target)?,
            _ => {}
        }
        Ok(())
    }

    /// Counts the points of a rotation without a fault, and chooses the sample.
    async fn count<T: Server>(&mut self, run: &FaultRun<T>) -> Result<()> {
        let Self { strategy, turn, what, then, .. } = *self;
        let case = || format!("{strategy}{turn}, {}, counted", what.words());
        let counted = run.count(&run.fixture.function(strategy), what).await.with_context(case)?;
        ensure!(counted.all >= MIN_POINTS, "{}: only {} points", case(), counted.all);
        let kind = format!(
            "{}{}, {strategy}{turn}, {}, {}",
            T::ENGINE,
            run.fixture.target.variant(),
            what.words(),
            then.words()
        );
        let points = sample::points(counted, sample::size(then), sample::shift(&kind));
        println!("{kind}: {points:?} of {} points", counted.all);
        self.choice = Choice::Sample(points.into());
        // Reading the value adds its password to those that the logs are searched for.
        run.fixture.value("AWSCURRENT")?;
        run.fixture.check_and_clear_output()
    }

    /// Handles a rotation that ended before it reached the point.
    fn missed<T: Server>(&mut self, point: usize, fixture: &Fixture<T>) -> Result<()> {
        match &mut self.choice {
            // The number of packets differs slightly between rotations.
            Choice::Sample(points) => {
                ensure!(point > MIN_POINTS, "the rotation has only {point} points");
                points.push_front(point - 1);
                fixture.check_and_clear_output()
            }
            _ => self.end(&fixture.target),
        }
    }

    fn end<T: Server>(&mut self, target: &T) -> Result<()> {
        let Self { strategy, turn, what, then, .. } = *self;
        self.are_done = true;
        let least = if sample::is_exhaustive() { MIN_POINTS } else { sample::size(then) };
        ensure!(
            self.tried >= least,
            "{strategy}{turn}, {}: only {} points",
            what.words(),
            self.tried
        );
        let strategy = format!("{strategy}{turn}");
        let engine = format!("{}{}", T::ENGINE, target.variant());
        Row {
            engine: &engine,
            strategy: &strategy,
            what: what.words(),
            then: then.words(),
            points: self.tried,
            refused: self.max_rejected,
        }
        .tell()
    }
}

/// Injects a fault at one point after another. With alternating users, each rotation is the first
/// one, which creates the alternate user.
pub(super) async fn inject_at_every_point<T: Server>(
    target: &T,
    strategy: &'static str,
    what: Break,
    then: Then,
) -> Result<()> {
    let mut points =
        Points::of(strategy, if strategy == MASTER { FIRST_ROTATION } else { "" }, what, then);
    let mut kept = None;
    while !points.are_done {
        // A single user is in its initial state again after a successful recovery. An alternate
        // user is created only by the first rotation, so each point needs a new fixture.
        let run = match kept.take() {
            Some(run) if strategy != MASTER => run,
            _ => FaultRun::new(target, what).await?,
        };
        points.run_next(&run).await?;
        kept = Some(run);
    }
    Ok(())
}

/// Injects faults into the later rotations of alternating users, whose target is the base user and
/// the alternate user in turn.
pub(super) async fn inject_at_every_point_of_later_rotations<T: Server>(
    target: &T,
    what: Break,
    then: Then,
) -> Result<()> {
    let run = FaultRun::new(target, what).await?;
    let function = run.fixture.function(MASTER);
    run.fixture.rotate(&function).await?;
    run.fixture.check_and_clear_output()?;
    let mut turns =
        [BASE_USER_ROTATION, LATER_ROTATION].map(|turn| Points::of(MASTER, turn, what, then));
    while turns.iter().any(|points| !points.are_done) {
        for points in &mut turns {
            if points.are_done {
                run.fixture.rotate(&function).await?;
            } else {
                points.run_next(&run).await?;
            }
        }
    }
    Ok(())
}
