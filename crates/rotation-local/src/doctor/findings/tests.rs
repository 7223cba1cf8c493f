//! Tests of the findings that depend on dates.

use super::*;
use crate::doctor::arn::FunctionArn;
use crate::doctor::model::{NotKnown, Rotator, Version};
use secretsmanager_emulator::PENDING;

const LIMIT: TimeDelta = TimeDelta::hours(2);

fn at(text: &str) -> DateTime<Utc> {
    format!("2026-11-{text}Z").parse().unwrap()
}

/// A secret that is rotated every ten days, and that was rotated on time.
fn secret() -> Secret {
    Secret {
        name: "app".into(),
        arn: "arn:aws:secretsmanager:eu-west-1:123456789012:secret:app-AbCdEf".into(),
        rotator: Rotator::Function(FunctionArn::new(
            "arn:aws:lambda:eu-west-1:123456789012:function:f",
        )),
        is_enabled: true,
        schedule: Some("rate(10 days)".into()),
        interval: Some(TimeDelta::days(10)),
        created: Some(at("01T00:00:00")),
        changed: Some(at("11T00:00:00")),
        last_rotated: Some(at("11T00:00:00")),
        next_rotation: Some(at("21T23:59:59")),
        labels: [("one".into(), vec![CURRENT.into()])].into(),
        versions: Ok(vec![Version { id: "one".into(), created: Some(at("11T00:00:00")) }]),
        replicas: Ok(Vec::new()),
    }
}

fn kinds(secret: &Secret, now: &str) -> Vec<Kind> {
    let now = at(now);
    let unfinished = unfinished(secret, now, LIMIT);
    let commands = Commands::new(None, true);
    let examined = Examined {
        secret,
        function: None,
        unfinished: unfinished.as_ref(),
        now,
        commands: &commands,
    };
    examined.findings().into_iter().map(|finding| finding.kind).collect()
}

#[test]
fn rotation_is_overdue_after_its_window() {
    let mut secret = secret();
    assert_eq!(kinds(&secret, "21T23:59:59"), []);
    assert_eq!(kinds(&secret, "22T00:00:00"), [Kind::RotationOverdue]);
    // Without a date, the interval and one day of the window decide.
    secret.next_rotation = None;
    assert_eq!(kinds(&secret, "22T00:00:00"), []);
    assert_eq!(kinds(&secret, "22T00:00:01"), [Kind::RotationOverdue]);
    secret.interval = None;
    assert_eq!(kinds(&secret, "30T00:00:00"), []);
    secret.is_enabled = false;
    assert_eq!(kinds(&secret, "30T00:00:00"), [Kind::RotationOff]);
}

/// A rotation that may be running just now is neither stuck nor overdue.
#[test]
fn unfinished_rotation_is_stuck_after_the_limit() {
    let mut secret = secret();
    secret.labels.insert("two".into(), vec![PENDING.into()]);
    let pending = Version { id: "two".into(), created: Some(at("22T10:00:00")) };
    secret.versions.as_mut().unwrap().push(pending);
    assert_eq!(kinds(&secret, "22T11:59:59"), []);
    let stuck = [Kind::RotationUnfinished, Kind::RotationOverdue];
    assert_eq!(kinds(&secret, "22T12:00:00"), stuck);
    // A version without a value has no date, so the last change of the secret counts.
    secret.versions.as_mut().unwrap().pop();
    secret.changed = Some(at("22T11:00:00"));
    assert_eq!(kinds(&secret, "22T12:59:59"), []);
    assert_eq!(kinds(&secret, "22T13:00:00"), stuck);
    secret.changed = None;
    assert_eq!(kinds(&secret, "22T11:00:00"), stuck);
}

#[test]
fn message_names_the_step_that_failed() {
    let mut secret = secret();
    secret.labels.insert("two".into(), vec![PENDING.into()]);
    let commands = Commands::new(None, true);
    let mut message = |versions: Result<Vec<Version>, NotKnown>| {
        secret.versions = versions;
        let now = at("20T00:00:00");
        let unfinished = unfinished(&secret, now, LIMIT);
        let unfinished = unfinished.as_ref();
        let examined =
            Examined { secret: &secret, function: None, unfinished, now, commands: &commands };
        let finding = examined.findings().remove(0);
        let log = "aws logs tail /aws/lambda/f --since 3d --filter-pattern ERROR";
        assert_eq!(finding.commands[0], log);
        finding.message
    };
    let two = Version { id: "two".into(), created: Some(at("19T00:00:00")) };
    assert!(message(Ok(vec![two])).ends_with("setSecret, testSecret or finishSecret failed."));
    assert!(message(Ok(Vec::new())).ends_with("so createSecret failed or did not run."));
    let denied = NotKnown { action: "a:b", cause: "c".into(), is_denied: true };
    assert!(message(Err(denied)).ends_with("is not known."));
}

/// `AWSPENDING` stays on the current version after a rotation, until the next one.
#[test]
fn pending_label_of_finished_rotation_is_no_finding() {
    let mut secret = secret();
    secret.labels.insert("one".into(), vec![CURRENT.into(), PENDING.into()]);
    assert_eq!(kinds(&secret, "20T00:00:00"), []);
}

#[test]
fn newer_version_without_label_is_a_cancelled_attempt() {
    let mut secret = secret();
    let old = Version { id: "zero".into(), created: Some(at("05T00:00:00")) };
    secret.versions.as_mut().unwrap().push(old);
    assert_eq!(kinds(&secret, "20T00:00:00"), []);
    let cancelled = Version { id: "two".into(), created: Some(at("15T00:00:00")) };
    secret.versions.as_mut().unwrap().push(cancelled);
    assert_eq!(kinds(&secret, "20T00:00:00"), [Kind::AttemptCancelled]);
}

#[test]
fn secret_without_rotation_so_far_is_a_finding() {
    let mut secret = secret();
    secret.last_rotated = None;
    assert_eq!(kinds(&secret, "20T00:00:00"), [Kind::NeverRotated]);
    // While the first rotation runs, it is not.
    secret.labels.insert("two".into(), vec![PENDING.into()]);
    secret.changed = Some(at("20T00:00:00"));
    assert_eq!(kinds(&secret, "20T00:30:00"), []);
}
