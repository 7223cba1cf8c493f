//! The four steps, as far as they are the same for every credential.

use std::pin::Pin;
use std::time::SystemTime;

use crate::context::Context;
use crate::deadline::Deadline;
use crate::error::{Error, Result};
use crate::event::{Event, Step};
use crate::manager::Manager;
use crate::record::{Done, Record};
use crate::rotator::{Rotator, Versions};
use crate::staging::{CURRENT, Staging};

/// Performs one step before the deadline.
///
/// # Errors
/// The cause, when the step is to be repeated by Secrets Manager.
pub async fn perform<R: Rotator>(
    rotator: &R,
    manager: &Manager,
    event: &Event,
    deadline: SystemTime,
) -> Result<Record> {
    let deadline = Deadline::at(deadline);
    deadline.doing("reading the secret from Secrets Manager");
    let cx = Context { event, manager, deadline: &deadline };
    // Boxed: the futures of a driver inside a strategy inside a step are too deep for the compiler otherwise.
    let step: Pin<Box<dyn Future<Output = Result<Done>> + Send>> = Box::pin(async {
        match event.step {
            Step::Create => create(rotator, &cx).await,
            Step::Set => set(rotator, &cx).await,
            Step::Test => test(rotator, &cx).await,
            Step::Finish => finish(rotator, &cx).await,
        }
    });
    let done = deadline.keep(step).await?;
    Ok(Record::of(event, done))
}

// In each step, whatever does not depend on an earlier answer goes out together with it. The staging check comes
// first in what it can fail: reads that were not allowed to happen are dropped.

async fn create<R: Rotator>(rotator: &R, cx: &Context<'_>) -> Result<Done> {
    let (manager, event) = (cx.manager, cx.event);
    let random = async {
        match rotator.password() {
            Some(settings) => manager.random_password(settings).await.map(Some),
            None => Ok(None),
        }
    };
    let (description, current, pending, random) = tokio::join!(
        manager.describe(&event.secret_id),
        manager.value(&event.secret_id, CURRENT),
        manager.pending_value(event),
        random,
    );
    if let Staging::AlreadyCurrent = description?.staging_of(&event.version)? {
        return Ok(already_current());
    }
    let current = current?.ok_or(Error::NoCurrentVersion)?;
    rotator.validate(&current)?;
    if pending?.is_some() {
        return Ok(Done::before("The pending version has a value already; it is kept."));
    }
    let value = rotator.create(cx, &current, random?).await?;
    cx.doing("storing the new value as AWSPENDING");
    if manager.put_pending(event, &value).await? {
        return Ok(Done::now("Made a new value and stored it as AWSPENDING."));
    }
    match manager.pending_value(event).await? {
        Some(_) => Ok(Done::before("Another attempt stored the pending value first; that one is kept.")),
        None => Err(Error::NoPendingValue { version: event.version.to_string() }),
    }
}

async fn set<R: Rotator>(rotator: &R, cx: &Context<'_>) -> Result<Done> {
    let (manager, event) = (cx.manager, cx.event);
    let (description, current, pending) = tokio::join!(
        manager.describe(&event.secret_id),
        manager.value(&event.secret_id, CURRENT),
        manager.pending_value(event),
    );
    if let Staging::AlreadyCurrent = description?.staging_of(&event.version)? {
        return Ok(already_current());
    }
    let current = current?.ok_or(Error::NoCurrentVersion)?;
    let pending = pending?.ok_or_else(|| Error::NoPendingValue { version: event.version.to_string() })?;
    rotator.set(cx, &Versions { current, pending }).await
}

async fn test<R: Rotator>(rotator: &R, cx: &Context<'_>) -> Result<Done> {
    let (manager, event) = (cx.manager, cx.event);
    let (description, pending) =
        tokio::join!(manager.describe(&event.secret_id), manager.pending_value(event));
    if let Staging::AlreadyCurrent = description?.staging_of(&event.version)? {
        return Ok(already_current());
    }
    let pending = pending?.ok_or_else(|| Error::NoPendingValue { version: event.version.to_string() })?;
    rotator.test(cx, &pending).await
}

async fn finish<R: Rotator>(rotator: &R, cx: &Context<'_>) -> Result<Done> {
    let (manager, event) = (cx.manager, cx.event);
    let done = match manager.describe(&event.secret_id).await?.staging_of(&event.version)? {
        Staging::AlreadyCurrent => already_current(),
        Staging::Pending { current } => {
            cx.doing("moving AWSCURRENT to the new version");
            manager.promote(event, current.as_ref().map(|id| id.as_str())).await?;
            Done::now(match current {
                Some(old) => format!("Moved AWSCURRENT from version {old} to this one."),
                None => "Labelled this version AWSCURRENT.".to_owned(),
            })
        }
    };
    rotator.finished(cx).await?;
    Ok(done)
}

fn already_current() -> Done {
    Done::before("This version is AWSCURRENT already; nothing is left to do.")
}
