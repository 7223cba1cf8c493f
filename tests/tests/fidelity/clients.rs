//! Clients of other vendors run a script on the fake servers, and each answer is compared with the
//! documentation.

use rotation_tests::judges::run_client;
use rotation_tests::oracle::Oracle;
use rotation_tests::sqlserver::SqlServer;

/// The passwords of logins with `CHECK_EXPIRATION` have expired.
const EXPIRED: &[&str] = &["--expired"];

#[tokio::test]
#[ignore = "needs the judges: make fidelity"]
async fn odbc_driver_18_gets_documented_answers() -> anyhow::Result<()> {
    run_client::<SqlServer>("mssql-python", EXPIRED).await
}

#[tokio::test]
#[ignore = "needs the judges: make fidelity"]
async fn pymssql_gets_documented_answers() -> anyhow::Result<()> {
    run_client::<SqlServer>("pymssql", EXPIRED).await
}

#[tokio::test]
#[ignore = "needs the judges: make fidelity"]
async fn tsql_gets_documented_answers() -> anyhow::Result<()> {
    run_client::<SqlServer>("tsql", EXPIRED).await
}

#[tokio::test]
#[ignore = "needs the judges: make fidelity"]
async fn tedious_gets_documented_answers() -> anyhow::Result<()> {
    run_client::<SqlServer>("tedious", EXPIRED).await
}

#[tokio::test]
#[ignore = "needs the judges: make fidelity"]
async fn python_oracledb_gets_documented_answers() -> anyhow::Result<()> {
    run_client::<Oracle>("python-oracledb", &[]).await
}

#[tokio::test]
#[ignore = "needs the judges: make fidelity"]
async fn node_oracledb_gets_documented_answers() -> anyhow::Result<()> {
    run_client::<Oracle>("node-oracledb", &[]).await
}
