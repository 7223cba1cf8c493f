//! The parts of the four steps that are the same for every credential.

mod replicas;

use std::pin::Pin;
use std::time::SystemTime;

use self::replicas::{wait_for_accounts, wait_for_regions};
use crate::context::Context;
use crate::deadline::Deadline;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::manager::Manager;
use crate::preflight;
use crate::record::{Done, Record};
use crate::rotator::{Rotator, Versions};
use crate::secret::SecretValue;
use crate::staging::{CURRENT, Staging};
use crate::step::Step;

/// Performs one step before the deadline.
///
/// # Errors
/// Returns the reason why the step failed. Secrets Manager then retries the rotation.
pub async fn perform<R: Rotator>(
    rotator: &R,
    manager: &Manager,
    event: &Event,
    deadline: SystemTime,
) -> Result<Record> {
    let deadline = Deadline::at(deadline);
    deadline.set_activity("reading the secret from Secrets Manager");
    let cx = Context { event, manager, deadline: &deadline };
    // The future is boxed, because the nested futures of a step, a strategy and a driver are too
    // deep for the compiler.
    let step: Pin<Box<dyn Future<Output = Result<Done>> + Send>> = Box::pin(async {
        match event.step {
            Step::Create => create(rotator, &cx).await,
            Step::Set => set(rotator, &cx).await,
            Step::Test => test(rotator, &cx).await,
            Step::Finish => finish(rotator, &cx).await,
            Step::Preflight => preflight::run(rotator, &cx).await,
        }
    });
    let _end = End(rotator);
    rotator.begin(event.step, &event.secret_id);
    let done = deadline.keep(step).await?;
    Ok(Record::of(event, done))
}

/// A guard that calls [`Rotator::end`] when a step ends, also after a panic.
struct End<'a, R: Rotator>(&'a R);

impl<R: Rotator> Drop for End<'_, R> {
    fn drop(&mut self) {
        self.0.end();
    }
}

// Each step sends requests that do not depend on each other at the same time. It evaluates the
// staging labels first: if they do not allow the step, it ignores the results of the other
// requests.

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
    let description = description?;
    if let Staging::AlreadyCurrent = description.staging_of(event.version()?)? {
        return Ok(already_current());
    }
    let current = current?.ok_or(Error::NoCurrentVersion)?;
    rotator.validate(&current)?;
    if pending?.is_some() {
        return Ok(Done::before("The pending version already has a value, which stays."));
    }
    // A rotation that has begun must be finished, so only the beginning is refused.
    description.replicas.ensure_replicated()?;
    let value = rotator.create(cx, &current, random?).await?;
    cx.set_activity("storing the new value as AWSPENDING");
    if manager.put_pending(event, &value).await? {
        return Ok(Done::now("Created a new value and stored it as AWSPENDING."));
    }
    require_pending(event, manager.pending_value(event).await?)?;
    Ok(Done::before("Another attempt stored the pending value first; that value stays."))
}

async fn set<R: Rotator>(rotator: &R, cx: &Context<'_>) -> Result<Done> {
    let (manager, event) = (cx.manager, cx.event);
    let (description, current, pending) = tokio::join!(
        manager.describe(&event.secret_id),
        manager.value(&event.secret_id, CURRENT),
        manager.pending_value(event),
    );
    if let Staging::AlreadyCurrent = description?.staging_of(event.version()?)? {
        return Ok(already_current());
    }
    let current = current?.ok_or(Error::NoCurrentVersion)?;
    let pending = require_pending(event, pending?)?;
    Box::pin(rotator.set(cx, &Versions { current, pending })).await
}

async fn test<R: Rotator>(rotator: &R, cx: &Context<'_>) -> Result<Done> {
    let (manager, event) = (cx.manager, cx.event);
    let (description, pending) =
        tokio::join!(manager.describe(&event.secret_id), manager.pending_value(event));
    if let Staging::AlreadyCurrent = description?.staging_of(event.version()?)? {
        return Ok(already_current());
    }
    let pending = require_pending(event, pending?)?;
    Box::pin(rotator.test(cx, &pending)).await
}

async fn finish<R: Rotator>(rotator: &R, cx: &Context<'_>) -> Result<Done> {
    let (manager, event) = (cx.manager, cx.event);
    let (description, current, pending) = tokio::join!(
        manager.describe(&event.secret_id),
        manager.value(&event.secret_id, CURRENT),
        manager.pending_value(event),
    );
    let description = description?;
    let mut done = match description.staging_of(event.version()?)? {
        Staging::AlreadyCurrent => already_current(),
        Staging::Pending { current: old } => {
            let pending = require_pending(event, pending?)?;
            // The current value is needed only for the comparison.
            let current = current.unwrap_or_else(|error| {
                cx.warn(format!("could not compare AWSCURRENT with the new version: {error}"));
                None
            });
            let mut notes = Box::pin(rotator.confirm(cx, &pending, current.as_ref())).await?;
            notes.extend(wait_for_regions(cx, description.replicas.regions).await);
            cx.set_activity("moving AWSCURRENT to the new version");
            manager.promote(event, old.as_ref().map(|id| id.as_str())).await?;
            let mut done = Done::now(match old {
                Some(old) => format!("Moved AWSCURRENT from version {old} to this one."),
                None => "Labelled this version AWSCURRENT.".to_owned(),
            });
            done.notes = notes;
            done
        }
    };
    done.notes.extend(wait_for_accounts(cx, description.replicas.accounts).await);
    rotator.finished(cx).await?;
    Ok(done)
}

fn require_pending(event: &Event, value: Option<SecretValue>) -> Result<SecretValue> {
    match value {
        Some(value) => Ok(value),
        None => Err(Error::NoPendingValue { version: event.version()?.to_string() }),
    }
}

fn already_current() -> Done {
    Done::before("This version is already AWSCURRENT; the rotation is complete.")
}

#[cfg(test)]
mod tests;
