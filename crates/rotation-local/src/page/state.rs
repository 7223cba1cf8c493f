//! The state that the page shows, as JSON. It has no values of secrets.
//!
//! Durations and offsets are in milliseconds. Offsets count from the start of their rotation. Dates
//! are in seconds since 1970: those of secrets by the service's clock, which can run faster, and
//! those of rotations by the clock of the machine.

use std::time::{Duration, UNIX_EPOCH};

use rotation_driver::{FunctionError, STEPS};
use secretsmanager_emulator::{Secret, Service, Version};
use serde_json::{Value, json};

use crate::activity::{EventLog, Run, Span};

/// The maximum number of secrets on the page.
const MAX_SECRETS: usize = 200;

/// The number of the newest versions that are shown even without labels. A rotation moves labels
/// between three versions, and none of these must disappear while they move.
const MIN_VERSIONS: usize = 3;

/// Returns the state of the service and of its rotations.
pub(super) fn state(service: &Service, activity: &EventLog) -> Value {
    let runs = activity.runs(service);
    let log = activity.lines();
    let log: Vec<_> =
        log.iter().map(|(function, line)| json!({"function": function, "line": line})).collect();
    let (count, secrets) = secrets(service, &runs);
    json!({
        "secretCount": count,
        "secrets": secrets,
        "steps": STEPS,
        "rotations": runs.iter().map(|run| rotation(run, activity)).collect::<Vec<_>>(),
        "log": log,
    })
}

/// Returns the number of secrets, and the first of them, with those that have rotations.
fn secrets(service: &Service, runs: &[Run]) -> (usize, Vec<Value>) {
    service.with_store(|store| {
        let is_rotated = |secret: &Secret| runs.iter().any(|run| run.secret == secret.arn);
        let shown = store.all().enumerate();
        let shown = shown.filter(|(place, secret)| *place < MAX_SECRETS || is_rotated(secret));
        (store.all().count(), shown.map(|(_, secret)| one_secret(secret)).collect())
    })
}

fn one_secret(secret: &Secret) -> Value {
    let rotation = secret.rotation.as_ref().map(|rotation| {
        let next = rotation.next.as_ref();
        json!({
            "enabled": rotation.enabled,
            "function": rotation.function,
            "next": next.map(|next| json!({"opens": next.opens, "closes": next.closes})),
        })
    });
    let replicas: Vec<_> = secret
        .replicas()
        .into_iter()
        .map(|(destination, status)| json!({"destination": destination, "status": status}))
        .collect();
    let newest = secret.versions.len().saturating_sub(MIN_VERSIONS);
    let shown = secret.versions.iter().enumerate();
    let shown = shown.filter(|(place, version)| *place >= newest || !version.is_deprecated());
    let versions: Vec<_> = shown.map(|(_, one)| version(one)).collect();
    json!({
        "arn": secret.arn,
        "name": secret.name,
        "region": secret.region,
        "description": secret.description,
        "isMarkedForDeletion": secret.deletion.is_some(),
        "rotation": rotation,
        "primary": secret.primary(),
        "replicas": replicas,
        "olderVersions": secret.versions.len() - versions.len(),
        "versions": versions,
    })
}

fn version(version: &Version) -> Value {
    json!({
        "id": version.id,
        "labels": version.labels,
        "created": version.created,
        "hasValue": version.value.is_some(),
    })
}

fn rotation(run: &Run, activity: &EventLog) -> Value {
    let steps = run.steps.iter().map(|step| {
        let at = Span {
            from: step.from,
            took: match &step.ended {
                Some(ended) => ended.took,
                None => run.elapsed().saturating_sub(step.from),
            },
        };
        let (result, did, error) = match step.ended.as_ref().map(|ended| &ended.result) {
            None => ("running", None, None),
            Some(Ok(did)) => ("passed", Some(activity.redacted(did)), None),
            Some(Err(failure)) => ("failed", None, Some(error(failure, activity))),
        };
        let step = json!({"name": step.name, "attempt": step.attempt, "result": result,
            "did": did, "error": error});
        with_span(step, at)
    });
    let calls = run.calls.iter().map(|call| {
        let shown = json!({"operation": call.operation, "about": call.about, "error": call.error});
        with_span(shown, call.at)
    });
    let logins = run.logins.iter().map(|login| {
        let shown = json!({"endpoint": login.endpoint, "user": login.user, "error": login.error});
        with_span(shown, login.at)
    });
    let end = run.end.as_ref();
    json!({
        "number": run.number,
        "secret": run.secret,
        "function": run.function,
        "version": run.token,
        "started": run.date.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64(),
        "took": milliseconds(end.map_or_else(|| run.elapsed(), |end| end.at)),
        "end": end.map(|end| end.how),
        "error": end.and_then(|end| end.error.as_ref()).map(|failure| error(failure, activity)),
        "steps": steps.collect::<Vec<_>>(),
        "pauses": run.pauses.iter().map(|pause| with_span(json!({}), *pause)).collect::<Vec<_>>(),
        "calls": calls.collect::<Vec<_>>(),
        "logins": logins.collect::<Vec<_>>(),
    })
}

fn with_span(mut shown: Value, span: Span) -> Value {
    shown["from"] = milliseconds(span.from);
    shown["took"] = milliseconds(span.took);
    shown
}

fn error(error: &FunctionError, activity: &EventLog) -> Value {
    json!({
        "type": activity.redacted(&error.error_type),
        "message": activity.redacted(&error.message),
    })
}

/// Returns a duration in milliseconds, to a tenth.
fn milliseconds(duration: Duration) -> Value {
    ((duration.as_secs_f64() * 10_000.0).round() / 10.0).into()
}
