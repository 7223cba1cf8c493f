//! Logins that are particular to PostgreSQL.

use std::time::Duration;

use anyhow::ensure;
use rotation_tests::local::until;
use rotation_tests::machine::scaled;
use rotation_tests::postgres::{Fixture, on_each};
use rotation_tests::scene::{new_password, unique};
use rotation_tests::server::Server as _;
use serde_json::json;

/// A comma or an equals sign ends a field in SCRAM; a control character is nothing that SASLprep
/// takes. The server takes all of it, and so does the rotation: the second one logs in with what
/// the first has made.
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

/// The step before has named the server: the connection is encrypted when the versions have been
/// read, and is not made in vain. The server does not know yet who wants in: it would look the
/// password up too early.
#[tokio::test]
async fn the_next_connection_is_made_while_the_versions_are_read() {
    on_each(|target| async move {
        // The master logs in to change, and to compare on the alternate user's turn.
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
                    // The last words of the step before.
                    tokio::time::sleep(scaled(Duration::from_millis(200))).await;
                    cutter.cut(usize::MAX, false);
                    scene.service.hold_calls();
                    let early = async {
                        // The request for TLS and what the handshake takes, and no login.
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
