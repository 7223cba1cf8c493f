//! `with-servers COMMAND…`: starts the database servers of a test run once, runs the command, and ends them.

use std::process::{Command, ExitCode};

use rotation_tests::{mysql, oracle, postgres, sqlserver};

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut words = std::env::args_os().skip(1);
    let Some(program) = words.next() else {
        eprintln!("with-servers COMMAND…");
        return Ok(ExitCode::from(2));
    };
    let mut command = Command::new(program);
    command.args(words);

    let engines = std::env::var("TEST_ENGINES")
        .unwrap_or_else(|_| "postgres mysql mariadb sqlserver oracle".to_owned());
    let wanted = |engine: &str| engines.split_whitespace().any(|wanted| wanted == engine);
    let postgres = if wanted("postgres") { postgres::start_all()? } else { Vec::new() };
    let mysql = mysql::start_all(wanted("mysql"), wanted("mariadb")).await?;
    let sqlserver = if wanted("sqlserver") { sqlserver::start_all().await? } else { Vec::new() };
    let oracle = if wanted("oracle") { oracle::start_all().await? } else { Vec::new() };
    let targets: Vec<_> = postgres.iter().map(|server| &server.target).collect();
    let addresses: Vec<_> = mysql.iter().map(|server| &server.address).collect();
    let peers: Vec<_> = sqlserver.iter().map(|peer| &peer.target).collect();
    let oracles: Vec<_> = oracle.iter().map(|peer| &peer.target).collect();
    let ports =
        targets.iter().map(|at| (&at.label, at.port)).chain(addresses.iter().map(|at| (&at.label, at.port)));
    for (label, port) in ports.chain(
        peers.iter().map(|at| (&at.label, at.port)).chain(oracles.iter().map(|at| (&at.label, at.port))),
    ) {
        println!("{label} on port {port}");
    }
    command.env(postgres::VARIABLE, serde_json::to_string(&targets)?);
    command.env(mysql::VARIABLE, serde_json::to_string(&addresses)?);
    command.env(sqlserver::VARIABLE, serde_json::to_string(&peers)?);
    command.env(oracle::VARIABLE, serde_json::to_string(&oracles)?);
    let status = command.status()?;
    // The servers end here, not before.
    drop((postgres, mysql, sqlserver, oracle));
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
