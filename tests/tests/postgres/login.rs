//! Tests of logins that only PostgreSQL has.

use std::time::Duration;

use anyhow::ensure;
use rotation_tests::local::until;
use rotation_tests::machine::scaled;
use rotation_tests::postgres::{Fixture, on_each};
use rotation_tests::scene::{new_password, unique};
use rotation_tests::server::Server as _;
use serde_json::json;

/// A comma or an equals sign ends a field of a SCRAM message, and SASLprep rejects control
/// characters. The server accepts them, and so must the rotation: the second rotation logs in with
/// the password that the first one has set.
#[tokio::test]
async fn names_and_passwords_that_scram_has_no_words_for() {
    on_each(|target| async move {
        for (user, password) in
            [("comma,equals=", new_password()), ("plain", format!("{}\tbell\u{7}", new_password()))]
        {
            let user = format!("{user}{}", unique());
            let scene = Fixture::with_user(&target, &user, &unique()).await?;
            target.give_password(&user, &password).await?;
            scene.change(&json!({"password": password}))?;
            for strategy in ["single-user", "single-user", "master-user", "master-user"] {
                scene.rotate(&scene.function(strategy)).await?;
            }
            assert_eq!(scene.failed_logins()?, 0);
            scene.search_for_passwords("")?;
        }
        Ok(())
    })
    .await;
}

/// The previous step has shown which server is used. The function preconnects while it reads the
/// versions, and then uses that connection. It does not log in before the versions are read,
/// because the server would look up the password too early.
#[tokio::test]
async fn the_next_connection_is_made_while_the_versions_are_read() {
    on_each(|target| async move {
        // The master user logs in to change users, and to compare them if the target is the
        // alternate user.
        let turns: [(&str, &[[usize; 3]]); 2] =
            [("single-user", &[[1, 1, 1]]), ("master-user", &[[2, 2, 1], [2, 1, 1]])];
        for (strategy, turns) in turns {
            let scene = Fixture::new(&target).await?;
            let cutter = scene.behind_a_relay().await?;
            let function = scene.function(strategy);
            for logins in turns {
                let token = scene.stage(None)?;
                scene.step(&function, "createSecret", &token).await?;
                for (step, logins) in ["setSecret", "testSecret", "finishSecret"].iter().zip(logins)
                {
                    // The previous step may still be closing its connections.
                    tokio::time::sleep(scaled(Duration::from_millis(200))).await;
                    cutter.cut(usize::MAX, false);
                    scene.service.hold_calls();
                    let early = async {
                        // The SSLRequest and the TLS handshake have at least two packets. The login
                        // has not started.
                        let packets = async || Ok((cutter.packets() >= 2).then_some(()));
                        let connected = until("the step connects", packets).await;
                        tokio::time::sleep(scaled(Duration::from_millis(300))).await;
                        let (packets, held) = (cutter.packets(), scene.service.held_calls());
                        scene.service.release_calls();
                        connected?;
                        ensure!(held > 0, "{step} did not wait for Secrets Manager");
                        ensure!(packets <= 4, "{step}: {packets} packets");
                        Ok(())
                    };
                    let (done, early) = tokio::join!(scene.step(&function, step, &token), early);
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
            assert_eq!(scene.failed_logins()?, 0);
        }
        Ok(())
    })
    .await;
}
