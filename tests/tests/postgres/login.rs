//! Tests of logins that only PostgreSQL has.

use std::time::Duration;

use anyhow::ensure;
use rotation_tests::fixture::{new_password, unique};
use rotation_tests::local::until;
use rotation_tests::machine_speed::scaled;
use rotation_tests::postgres::{Fixture, on_each};
use rotation_tests::server::Server as _;
use serde_json::json;

/// A comma or an equals sign ends a field of a SCRAM message, and SASLprep rejects control
/// characters. The server accepts them, and so must the rotation: the second rotation logs in with
/// the password that the first one has set.
#[tokio::test]
async fn names_and_passwords_special_in_scram_work() {
    on_each(|target| async move {
        for (user, password) in
            [("comma,equals=", new_password()), ("plain", format!("{}\tbell\u{7}", new_password()))]
        {
            let user = format!("{user}{}", unique());
            let fixture = Fixture::with_user(&target, &user, &unique()).await?;
            target.give_password(&user, &password).await?;
            fixture.change(&json!({"password": password}))?;
            for strategy in ["single-user", "single-user", "master-user", "master-user"] {
                fixture.rotate(&fixture.function(strategy)).await?;
            }
            assert_eq!(fixture.failed_logins()?, 0);
            fixture.search_for_passwords("")?;
        }
        Ok(())
    })
    .await;
}

/// The previous step has shown which server is used. The function preconnects while it reads the
/// versions, and then uses that connection. It does not log in before the versions are read,
/// because the server would look up the password too early.
#[tokio::test]
async fn preconnect_overlaps_reading_the_versions() {
    on_each(|target| async move {
        // The master user logs in to change users, and to compare them if the target is the
        // alternate user.
        let turns: [(&str, &[[usize; 3]]); 2] =
            [("single-user", &[[1, 1, 1]]), ("master-user", &[[2, 2, 1], [2, 1, 1]])];
        for (strategy, turns) in turns {
            let fixture = Fixture::new(&target).await?;
            let cutter = fixture.start_fault_proxy().await?;
            let function = fixture.function(strategy);
            for logins in turns {
                let token = fixture.stage(None)?;
                fixture.step(&function, "createSecret", &token).await?;
                for (step, logins) in ["setSecret", "testSecret", "finishSecret"].iter().zip(logins)
                {
                    // The previous step may still be closing its connections.
                    tokio::time::sleep(scaled(Duration::from_millis(200))).await;
                    cutter.cut(usize::MAX, false);
                    fixture.service.hold_calls();
                    let early = async {
                        // The SSLRequest and the TLS handshake have at least two packets. The login
                        // has not started.
                        let packets = async || Ok((cutter.packets() >= 2).then_some(()));
                        let connected = until("the step connects", packets).await;
                        tokio::time::sleep(scaled(Duration::from_millis(300))).await;
                        let (packets, held) = (cutter.packets(), fixture.service.held_calls());
                        fixture.service.release_calls();
                        connected?;
                        ensure!(held > 0, "{step} did not wait for Secrets Manager");
                        ensure!(packets <= 4, "{step}: {packets} packets");
                        Ok(())
                    };
                    let (done, early) = tokio::join!(fixture.step(&function, step, &token), early);
                    early?;
                    done?;
                    ensure!(cutter.packets() > 4, "{step}: {} packets", cutter.packets());
                    let made = cutter.connections();
                    ensure!(
                        made == *logins,
                        "{strategy}, {step}: {made} connections instead of {logins}"
                    );
                }
            }
            assert_eq!(fixture.failed_logins()?, 0);
        }
        Ok(())
    })
    .await;
}
