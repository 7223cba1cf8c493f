//! Tests of ordinary rotations and of their cost.

use std::time::Duration;

use anyhow::{Result, ensure};

use rotation_driver::longest_chain;
use serde_json::json;

use crate::fixture::Fixture;
use crate::machine_speed::scaled;
use crate::runtime_emulator::{Rie, events};
use crate::server::Server;

/// A single user gets one password after the other.
pub async fn single_user_gets_new_password<T: Server>(target: T) -> Result<()> {
    let fixture = Fixture::new(&target).await?;
    let function = fixture.function("single-user");
    let first = fixture.value("AWSCURRENT")?;
    for _ in 0..2 {
        let before = fixture.value("AWSCURRENT")?;
        fixture.rotate(&function).await?;
        let after = fixture.value("AWSCURRENT")?;
        assert_eq!(before["username"], after["username"]);
        assert_ne!(before["password"], after["password"]);
        fixture.log_in().await?;
        assert_eq!(fixture.value("AWSPREVIOUS")?, before);
    }
    assert_eq!(fixture.failed_logins()?, 0);
    assert!(fixture.log_in_with(&first).await.is_err(), "an old password is still accepted");
    fixture.search_for_passwords("")
}

/// Two users alternate. The previous user keeps its password until it is the target user again.
pub async fn users_alternate_and_previous_one_still_works<T: Server>(target: T) -> Result<()> {
    let fixture = Fixture::new(&target).await?;
    let function = fixture.function("master-user");
    let clone = fixture.alternate();
    for user in [&clone, &fixture.user, &clone] {
        let before = fixture.value("AWSCURRENT")?;
        fixture.rotate(&function).await?;
        let after = fixture.value("AWSCURRENT")?;
        assert_eq!(after["username"], **user);
        let mut session = fixture.log_in().await?;
        target.is_whole(&mut session, &fixture.user).await?;
        // The application may use the previous user until the next rotation.
        fixture.log_in_with(&before).await?;
    }
    assert_eq!(fixture.failed_logins()?, 0);
    fixture.search_for_passwords("")
}

/// Counts the calls of Secrets Manager, the longest chain of calls that waited for one another, and
/// the database sessions. Returns the maximum of two rotations, because alternating users have
/// different targets in them.
async fn cost<T: Server>(target: &T, strategy: &str) -> Result<(usize, usize, usize)> {
    let fixture = Fixture::new(target).await?;
    let function = fixture.function(strategy);
    // With alternating users, the first rotation creates the alternate user. The later ones find
    // it.
    fixture.rotate(&function).await?;
    // With this latency, concurrent calls overlap even on a slow machine.
    fixture.service.set_latency(scaled(Duration::from_millis(60)));
    let mut most = (0, 0, 0);
    for _ in 0..2 {
        let logins = fixture.logins()?;
        fixture.service.clear_calls();
        fixture.rotate(&function).await?;
        let calls = fixture.service.calls();
        let intervals: Vec<_> = calls.iter().map(|call| (call.from, call.until)).collect();
        let (in_a_row, sessions) = (longest_chain(&intervals), fixture.logins()? - logins);
        most = (most.0.max(calls.len()), most.1.max(in_a_row), most.2.max(sessions));
    }
    assert_eq!(fixture.failed_logins()?, 0);
    Ok(most)
}

/// Checks that a rotation stays within its budget of calls and sessions.
pub async fn rotation_stays_within_call_and_session_budget<T: Server>(target: T) -> Result<()> {
    for (strategy, most_calls, most_in_a_row, most_sessions) in
        [("single-user", 14, 7, 3), ("single-user-by-master", 15, 7, 4), ("master-user", 17, 8, 6)]
    {
        let (calls, in_a_row, sessions) = cost(&target, strategy).await?;
        println!("{strategy}: {calls} calls, {in_a_row} in a row, {sessions} sessions");
        ensure!(calls <= most_calls, "{calls} calls");
        ensure!((4..=most_in_a_row).contains(&in_a_row), "{in_a_row} calls in a row");
        ensure!(sessions <= most_sessions, "{sessions} sessions");
        ensure!(target.log().is_none() || sessions >= 2, "found no sessions in the server's log");
    }
    Ok(())
}

/// Runs the steps as `sam local invoke` does, with the Runtime Interface Emulator and the events of
/// `events/`.
pub async fn events_succeed_under_runtime_interface_emulator<T: Server>(target: T) -> Result<()> {
    for strategy in ["single-user", "master-user"] {
        let fixture = Fixture::new(&target).await?;
        let rie = Rie::start(&crate::binary(T::BINARY), &fixture.program(strategy)).await?;
        let function = rie.function();
        let events = events()?;
        let (id, token) =
            (events[0]["SecretId"].as_str(), events[0]["ClientRequestToken"].as_str());
        let (id, token) = (id.unwrap_or_default(), token.unwrap_or_default());
        let before = fixture.value("AWSCURRENT")?;
        fixture.service.put_secret("example/app", id, &before.to_string())?;
        let rotate = json!({
            "SecretId": id,
            "ClientRequestToken": token,
            "RotationLambdaARN": "arn:aws:lambda:test",
        });
        fixture.service.perform("RotateSecret", &rotate)?;
        for event in &events {
            let record = function
                .invoke(event)
                .await
                .map_err(|error| anyhow::anyhow!("{}", error.message))?;
            assert_eq!(
                (&record["step"], &record["outcome"]),
                (&event["Step"], &json!("done")),
                "{record}"
            );
        }
        let current = fixture.service.perform("GetSecretValue", &json!({"SecretId": id}))?;
        assert_eq!(current["VersionId"], token);
        let value = serde_json::from_str(current["SecretString"].as_str().unwrap_or_default())?;
        fixture.log_in_with(&value).await?;
        // An error of the function arrives as an error.
        let error = function.invoke(&json!({"Step": "createSecret"})).await.err();
        ensure!(error.is_some_and(|error| error.error_type == "MalformedEvent"));
    }
    Ok(())
}
