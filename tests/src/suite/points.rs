//! The points between two effects of a rotation, what breaks there, and how the rotation goes on.
//!
//! No list of the points is kept: they are counted while the function works. `make reliability`
//! breaks a rotation at every point, until a rotation ends without a break. `make test` breaks
//! rotations at a sample of the points.

mod place;
mod sample;

use std::collections::VecDeque;

use anyhow::{Context, Result, ensure};
use rotation_local::When;

use crate::scene::Fixture;
use crate::server::Server;
use crate::suite::recovery::{MASTER, check};
use crate::table::Row;
use place::Place;
pub(crate) use sample::is_exhaustive;

/// What happens at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Break {
    /// A call of Secrets Manager is refused, before its effect or after.
    Call(When),
    /// The process dies (SIGKILL) while it waits for such a call.
    Kill(When),
    /// The wire to the database is cut at a packet, before that reaches the server, or with its
    /// answer lost.
    Packet(When),
}

/// How a rotation goes on that has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// As the service goes on: the same version again.
    SameVersion,
    /// As a person may: `CancelRotateSecret`, `AWSPENDING` removed, another rotation.
    NewVersion,
    /// The last step too early; then each step by two processes at once, and an earlier one late
    /// after each.
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
            Self::NewVersion => "given up, another rotation",
            Self::OutOfOrder => "out of order, twice at once, late",
        }
    }

    /// How many passwords may be refused on the way.
    fn most_refused(self, strategy: &str, turn: &str) -> usize {
        match self {
            // Where the server does not tell that both are a pair, the base user's passwords do:
            // the one of AWSPREVIOUS does no longer once the step was done, and where that was
            // given up, nor does AWSPENDING.
            Self::OutOfOrder if turn == BASE => 6,
            Self::SameVersion if turn == BASE => 1,
            Self::NewVersion if turn == BASE => 2,
            // With alternating users only the last step that came too early.
            Self::OutOfOrder if strategy == MASTER => 1,
            // And a setSecret that comes late begins with a password that has changed: three that
            // came late or beside another one, each of which may also have tried the one before.
            Self::OutOfOrder => 6,
            // AWSCURRENT, and where a rotation was given up AWSPENDING and AWSPREVIOUS.
            Self::SameVersion if strategy == MASTER => 0,
            Self::SameVersion => 1,
            Self::NewVersion if strategy == MASTER => 0,
            Self::NewVersion => 3,
        }
    }
}

/// The turns of alternating users: the first, which makes the second user; then that of the base
/// user; then the second one's again.
const FIRST: &str = ", first turn";
const BASE: &str = ", base user's turn";
const LATER: &str = ", later turn";

/// The points of one kind of rotation: those that are tried, and the results.
struct Points {
    strategy: &'static str,
    /// Stands next to the strategy in the table.
    turn: &'static str,
    what: Break,
    then: Then,
    choice: Choice,
    tried: usize,
    most_refused: usize,
    are_done: bool,
}

/// Which points are tried next.
enum Choice {
    /// Every point, from this one until a rotation ends without a break.
    Every(usize),
    /// A sample, once the points of a rotation without a break have been counted.
    Uncounted,
    /// These points.
    Sample(VecDeque<usize>),
}

/// How many points a rotation has at least. Fewer mean that they were not counted.
const LEAST: usize = 8;

impl Points {
    fn of(strategy: &'static str, turn: &'static str, what: Break, then: Then) -> Self {
        let choice = if sample::is_exhaustive() { Choice::Every(0) } else { Choice::Uncounted };
        Self { strategy, turn, what, then, choice, tried: 0, most_refused: 0, are_done: false }
    }

    /// Makes one rotation: counts its points, or breaks it at the next one, continues it, and
    /// checks its end.
    async fn try_next<T: Server>(&mut self, place: &Place<T>) -> Result<()> {
        let point = match &mut self.choice {
            Choice::Every(next) => *next,
            Choice::Sample(points) => points.pop_front().context("no point is left")?,
            Choice::Uncounted => return self.count(place).await,
        };
        let (strategy, turn, scene) = (self.strategy, self.turn, &place.scene);
        let case =
            format!("{strategy}{turn}, {} at {point}, {}", self.what.words(), self.then.words());
        let function = scene.function(strategy);
        let token = scene.stage(None)?;
        let (broken, rotation) =
            place.break_at(&function, self.what, point, &token).await.context(case.clone())?;
        if !broken {
            ensure!(rotation.failed.is_none(), "{case}: {:?}", rotation.failed);
            return self.missed(point, scene).context(case);
        }
        let token = place
            .go_on(&function, strategy, token, (self.then, point))
            .await
            .context(case.clone())?;
        check(scene, &token).await.context(case.clone())?;
        let refused = scene.failed_logins()?;
        ensure!(
            refused <= self.then.most_refused(strategy, turn),
            "{case}: {refused} refused passwords"
        );
        scene.begin_anew()?;
        self.tried += 1;
        self.most_refused = self.most_refused.max(refused);
        match &mut self.choice {
            Choice::Every(next) => *next += 1,
            Choice::Sample(points) if points.is_empty() => self.end(&scene.target)?,
            _ => {}
        }
        Ok(())
    }

    /// Counts the points of a rotation without a break, and chooses the sample.
    async fn count<T: Server>(&mut self, place: &Place<T>) -> Result<()> {
        let Self { strategy, turn, what, then, .. } = *self;
        let case = || format!("{strategy}{turn}, {}, counted", what.words());
        let counted =
            place.count(&place.scene.function(strategy), what).await.with_context(case)?;
        ensure!(counted.all >= LEAST, "{}: only {} points", case(), counted.all);
        let kind = format!(
            "{}{}, {strategy}{turn}, {}, {}",
            T::ENGINE,
            place.scene.target.variant(),
            what.words(),
            then.words()
        );
        let points = sample::points(counted, sample::size(then), sample::shift(&kind));
        println!("{kind}: {points:?} of {} points", counted.all);
        self.choice = Choice::Sample(points.into());
        // So that its password is searched for, too.
        place.scene.value("AWSCURRENT")?;
        place.scene.begin_anew()
    }

    /// A rotation ended before it reached the point.
    fn missed<T: Server>(&mut self, point: usize, scene: &Fixture<T>) -> Result<()> {
        match &mut self.choice {
            // The numbers of packets differ a little from rotation to rotation.
            Choice::Sample(points) => {
                ensure!(point > LEAST, "the rotation has only {point} points");
                points.push_front(point - 1);
                scene.begin_anew()
            }
            _ => self.end(&scene.target),
        }
    }

    fn end<T: Server>(&mut self, target: &T) -> Result<()> {
        let Self { strategy, turn, what, then, .. } = *self;
        self.are_done = true;
        let least = if sample::is_exhaustive() { LEAST } else { sample::size(then) };
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
            refused: self.most_refused,
        }
        .tell()
    }
}

/// Breaks a rotation at one point after another. With alternating users it is the first rotation,
/// which creates the alternate user.
pub(super) async fn at_every_point<T: Server>(
    target: &T,
    strategy: &'static str,
    what: Break,
    then: Then,
) -> Result<()> {
    let mut points = Points::of(strategy, if strategy == MASTER { FIRST } else { "" }, what, then);
    let mut kept = None;
    while !points.are_done {
        // A single user is as before once it is well; a second user is made in a first rotation
        // only.
        let place = match kept.take() {
            Some(place) if strategy != MASTER => place,
            _ => Place::new(target, what).await?,
        };
        points.try_next(&place).await?;
        kept = Some(place);
    }
    Ok(())
}

/// The same for the later rotations of alternating users, whose target is the base user and the
/// alternate user in turn.
pub(super) async fn at_every_point_of_later_turns<T: Server>(
    target: &T,
    what: Break,
    then: Then,
) -> Result<()> {
    let place = Place::new(target, what).await?;
    let function = place.scene.function(MASTER);
    place.scene.rotate(&function).await?;
    place.scene.begin_anew()?;
    let mut turns = [BASE, LATER].map(|turn| Points::of(MASTER, turn, what, then));
    while turns.iter().any(|points| !points.are_done) {
        for points in &mut turns {
            if points.are_done {
                place.scene.rotate(&function).await?;
            } else {
                points.try_next(&place).await?;
            }
        }
    }
    Ok(())
}
