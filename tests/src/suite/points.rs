//! Every point between two effects of a rotation, what breaks there, and how it goes on.
//!
//! Nobody keeps a list of the points: they are counted while the function works, and a run without a break is the last.

mod place;

use anyhow::{Context, Result, ensure};
use rotation_local::When;

use crate::server::Server;
use crate::suite::recovery::{MASTER, check};
use crate::table::{self, Row};
use place::Place;

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
    fn most_refused(self, strategy: &str, turn: &str) -> usize {
        match self {
            // Where the server does not tell that both are a pair, the base user's passwords do: the one of AWSPREVIOUS does
            // no longer once the step was done, and where that was given up, nor does AWSPENDING.
            Self::Storm if turn == BASE => 6,
            Self::SameVersion if turn == BASE => 1,
            Self::NewVersion if turn == BASE => 2,
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

/// The turns of alternating users: the first, which makes the second user; then that of the base user; then the second one's
/// again.
const FIRST: &str = ", first turn";
const BASE: &str = ", base user's turn";
const LATER: &str = ", later turn";

/// Every so many points are tried, another part of them in each run. What a killed process leaves is what a failed call
/// leaves; and what a later turn leaves is tried at each point by giving it up.
fn each(what: Break, then: Then, turn: &str) -> usize {
    let is_later = turn == BASE || turn == LATER;
    match (what, then) {
        (Break::Kill(_), _) => 4,
        // The table has all of them.
        (_, Then::SameVersion) if is_later && !table::is_made() => 2,
        (_, Then::Storm) if is_later => 3,
        _ => 1,
    }
}

/// The points of one turn: those that were tried, and what came of them.
struct Points {
    strategy: &'static str,
    /// Beside the strategy in the table.
    turn: &'static str,
    what: Break,
    then: Then,
    each: usize,
    next: usize,
    tried: usize,
    most_refused: usize,
    /// Whether a rotation has come to its end without a break.
    are_done: bool,
}

impl Points {
    fn of(strategy: &'static str, turn: &'static str, what: Break, then: Then) -> Self {
        let each = each(what, then, turn);
        let next = rand::random_range(0..each);
        Self { strategy, turn, what, then, each, next, tried: 0, most_refused: 0, are_done: false }
    }

    /// Breaks a rotation at the next point, lets it go on, and sees that all is well. Or tells that there is no such point.
    async fn try_next<T: Server>(&mut self, place: &Place<T>) -> Result<()> {
        let (strategy, turn, point, scene) = (self.strategy, self.turn, self.next, &place.scene);
        let case = format!("{strategy}{turn}, {} at {point}, {}", self.what.words(), self.then.words());
        let function = scene.function(strategy);
        let token = scene.stage(None)?;
        let (broken, rotation) =
            place.break_at(&function, self.what, point, &token).await.context(case.clone())?;
        if !broken {
            self.are_done = true;
            ensure!(rotation.failed.is_none(), "{case}: {:?}", rotation.failed);
            let least = 8 / self.each;
            ensure!(self.tried >= least, "{case}: only {} points", self.tried);
            let (what, then) = (self.what.words(), self.then.words());
            let strategy = format!("{strategy}{turn}");
            return Row {
                engine: T::ENGINE,
                strategy: &strategy,
                what,
                then,
                points: self.tried,
                refused: self.most_refused,
            }
            .tell();
        }
        let token =
            place.go_on(&function, strategy, token, (self.then, point)).await.context(case.clone())?;
        check(scene, &token).await.context(case.clone())?;
        let refused = scene.failed_logins()?;
        ensure!(refused <= self.then.most_refused(strategy, turn), "{case}: {refused} refused passwords");
        scene.begin_anew()?;
        self.tried += 1;
        self.most_refused = self.most_refused.max(refused);
        self.next += self.each;
        Ok(())
    }
}

/// Breaks a rotation at each point in turn. Of alternating users the first one, which makes the second user.
pub(super) async fn at_every_point<T: Server>(
    target: &T,
    strategy: &'static str,
    what: Break,
    then: Then,
) -> Result<()> {
    let mut points = Points::of(strategy, if strategy == MASTER { FIRST } else { "" }, what, then);
    let mut kept = None;
    while !points.are_done {
        // A single user is as before once it is well; a second user is made in a first rotation only.
        let place = match kept.take() {
            Some(place) if strategy != MASTER => place,
            _ => Place::new(target, what).await?,
        };
        points.try_next(&place).await?;
        kept = Some(place);
    }
    Ok(())
}

/// The same for the later turns of alternating users: that of the base user, and that of the second one, which is there.
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
