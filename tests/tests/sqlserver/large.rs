//! A measurement with many databases. It is not part of the tests: run
//! `make test TESTS='test(large::)' NEXTEST='--run-ignored only --no-capture'`.

use anyhow::Result;
use rotation_sqlserver::identifier;
use rotation_tests::server::NAMES;
use rotation_tests::sqlserver::{FakeServer, Fixture, sql};
use test_servers::Certificates;

/// Prints the time of `setSecret` for a base user in 500 databases: for the first sync, which
/// creates the alternate user in each of them, and for the following ones.
#[tokio::test]
#[ignore = "a measurement"]
async fn users_of_500_databases_are_synced() -> Result<()> {
    const DATABASES: usize = 500;
    let fake = FakeServer::start(Some(Certificates::for_names(&NAMES)?), &[]).await?;
    let fixture = Fixture::new(&fake.target).await?;
    let mut admin = fake.target.admin("master").await?;
    let (user, master) = (identifier(&fixture.user), identifier(&fixture.master));
    for number in 0..DATABASES {
        sql(&mut admin, &format!("CREATE DATABASE shop{number}")).await?;
        for statement in [
            format!("CREATE USER {master} FOR LOGIN {master}"),
            format!("ALTER ROLE db_owner ADD MEMBER {master}"),
            format!("CREATE USER {user} FOR LOGIN {user}"),
            "CREATE TABLE orders (id int)".to_owned(),
            format!("GRANT SELECT ON orders TO {user}"),
        ] {
            sql(&mut admin, &format!("USE shop{number}; {statement}")).await?;
        }
    }
    fixture.measure_syncs(&format!("users in {DATABASES} databases")).await
}
