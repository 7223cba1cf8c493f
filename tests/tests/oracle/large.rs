//! A measurement with many privileges. It is not part of the tests: run
//! `make test TESTS='test(large::)' NEXTEST='--run-ignored only --no-capture'`.

use anyhow::Result;
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
    fixture.measure_syncs(&format!("{OBJECTS} objects")).await
}
