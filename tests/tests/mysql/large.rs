//! Measurements of users with many grants. They are not part of the tests: run
//! `make test TESTS='test(large::)' NEXTEST='--run-ignored only --no-capture'`.

use anyhow::Result;
use rotation_tests::mysql::{Fixture, Target, Which, account, sql};

crate::on_both! {
    #[ignore = "a measurement"]
    ten_thousand_grants_are_synced
}

/// Prints the time of `setSecret` for a base user with 10,000 grants: for the first sync, which
/// creates the alternate user, and for the following ones.
async fn ten_thousand_grants_are_synced<W: Which>(target: Target<W>) -> Result<()> {
    const GRANTS: usize = 10_000;
    let fixture = Fixture::new(&target).await?;
    let mut admin = target.admin().await?;
    let (user, database) = (account(&fixture.user), &fixture.database);
    for number in 0..GRANTS {
        // With CREATE, the table does not have to exist.
        let grant = format!("GRANT CREATE, SELECT ON `{database}`.t{number} TO {user}");
        sql(&mut admin, &grant).await?;
    }
    fixture.measure_syncs(&format!("{GRANTS} grants")).await
}
