//! A measurement with many privileges. It is not part of the tests: run
//! `make test TESTS='test(large::)' NEXTEST='--run-ignored only --no-capture'`.

use std::time::Instant;

use anyhow::{Result, ensure};
use rotation_tests::oracle::{FakeServer, Fixture, quoted, sql};
use rotation_tests::server::NAMES;
use test_servers::Certificates;

/// Prints the time of `setSecret` for a base user with privileges on 5,000 objects: for the first
/// sync, which creates the alternate user, and for the following ones.
#[tokio::test]
#[ignore = "a measurement"]
async fn privileges_on_5000_objects_are_synced() -> Result<()> {
    const OBJECTS: usize = 5_000;
    let fake = FakeServer::start(Some(Certificates::for_names(&NAMES)?), &[]).await?;
    let fixture = Fixture::new(&fake.target).await?;
    let mut admin = fake.target.admin().await?;
    let user = quoted(&fixture.user);
    let owner = format!("\"{} DATA\"", fixture.user.to_uppercase());
    for number in 0..OBJECTS {
        sql(&mut admin, &format!("CREATE TABLE {owner}.orders{number} (id NUMBER)")).await?;
        sql(&mut admin, &format!("GRANT SELECT ON {owner}.orders{number} TO {user}")).await?;
    }
    let function = fixture.function("master-user");
    for sync in ["first", "second", "third"] {
        let token = fixture.stage(None)?;
        fixture.step(&function, "createSecret", &token).await?;
        let started = Instant::now();
        // If the function's timeout is too short for all grants, the next attempt continues.
        let mut attempts = 1;
        let record = loop {
            match fixture.step(&function, "setSecret", &token).await {
                Err(error) if attempts < 5 && error.to_string().contains("DeadlineExceeded") => {
                    attempts += 1;
                }
                record => break record?,
            }
        };
        let seconds = started.elapsed().as_secs_f64();
        eprintln!("{sync} sync of {OBJECTS} objects: {seconds:.2} s, {attempts} attempt(s)");
        ensure!(record.to_string().len() < 10_000, "the record lists every object");
        let rotation = fixture.attempt(&function, &token, 1).await;
        ensure!(rotation.failed.is_none(), "{:?}", rotation.failed);
    }
    Ok(())
}
