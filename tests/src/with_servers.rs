//! Starts the database servers of a test run once, runs a command, and ends the servers
//! (`with-servers COMMAND…`). It measures the machine first, so that the time limits of the tests
//! scale with it.

use std::ops::Deref;
use std::process::{Command, ExitCode, ExitStatus};

use rotation_tests::discovery::{ServerAddress, use_one_tls_provider};
use rotation_tests::docker::{self, Docker};
use rotation_tests::fake_server::{self, Engine as _};
use rotation_tests::machine_speed;
use rotation_tests::oracle::Oracle;
use rotation_tests::sqlserver::SqlServer;
use rotation_tests::{mysql, postgres, run_folder};
use test_servers::RUN_FOLDER;

fn main() -> anyhow::Result<ExitCode> {
    if std::env::var_os(RUN_FOLDER).is_none() {
        // The folder's mounts belong to a process, so this program runs a second time in it.
        let mut again = Command::new(std::env::current_exe()?);
        again.args(std::env::args_os().skip(1));
        return Ok(exit_code(run_folder::run(&again)?));
    }
    start_and_run()
}

#[tokio::main]
async fn start_and_run() -> anyhow::Result<ExitCode> {
    use_one_tls_provider();
    let mut words = std::env::args_os().skip(1);
    let Some(program) = words.next() else {
        eprintln!("usage: with-servers COMMAND…");
        return Ok(ExitCode::from(2));
    };
    let mut command = Command::new(program);
    command.args(words);

    let slowness = machine_speed::measure();
    println!("time limits are multiplied by {slowness:.1}, the slowness of this machine");
    command.env(machine_speed::VARIABLE, slowness.to_string());
    if let Some(file) = std::env::var_os("NEXTEST_LIMITS") {
        std::fs::write(file, limits(slowness))?;
    }
    let engines = std::env::var("TEST_ENGINES")
        .unwrap_or_else(|_| "postgres mysql mariadb sqlserver oracle docker".to_owned());
    let wanted = |engine: &str| engines.split_whitespace().any(|wanted| wanted == engine);
    let postgres = if wanted("postgres") { postgres::start_all()? } else { Vec::new() };
    let mysql = mysql::start_all(wanted("mysql"), wanted("mariadb")).await?;
    // A fake server uses one core, so several of them serve the tests that run at the same time.
    let many = std::thread::available_parallelism().map_or(1, usize::from);
    let sqlserver = if wanted("sqlserver") {
        fake_server::start_all::<SqlServer>(many).await?
    } else {
        Vec::new()
    };
    let oracle =
        if wanted("oracle") { fake_server::start_all::<Oracle>(many).await? } else { Vec::new() };
    let postgres_targets: Vec<_> = postgres.iter().map(|started| &started.target).collect();
    let mysql_targets: Vec<_> = mysql.iter().map(|started| &started.address).collect();
    let sqlserver_targets: Vec<_> = sqlserver.iter().map(|fake| &fake.target).collect();
    let oracle_targets: Vec<_> = oracle.iter().map(|fake| &fake.target).collect();
    command.env(postgres::VARIABLE, serde_json::to_string(&postgres_targets)?);
    command.env(mysql::VARIABLE, serde_json::to_string(&mysql_targets)?);
    command.env(SqlServer::VARIABLE, serde_json::to_string(&sqlserver_targets)?);
    command.env(Oracle::VARIABLE, serde_json::to_string(&oracle_targets)?);
    let docker = if wanted("docker") { Some(docker::start()?) } else { None };
    if let Some((docker, _)) = &docker {
        command.env(docker::VARIABLE, serde_json::to_string(docker)?);
        match docker {
            Docker::At { host: Some(host) } => println!("Docker at {host}"),
            Docker::At { host: None } => println!("Docker on this system"),
            Docker::Missing { reason } => println!("Docker is not available: {reason}"),
        }
    }
    let mut addresses: Vec<&ServerAddress> =
        postgres_targets.into_iter().map(Deref::deref).collect();
    addresses.extend(mysql_targets.into_iter().map(Deref::deref));
    addresses.extend(sqlserver_targets.into_iter().map(Deref::deref));
    addresses.extend(oracle_targets.into_iter().map(Deref::deref));
    for address in addresses {
        println!("{} on port {}", address.label, address.port);
    }
    let status = command.status()?;
    // The servers must not end before the command does.
    drop((postgres, mysql, sqlserver, oracle, docker));
    Ok(exit_code(status))
}

fn exit_code(status: ExitStatus) -> ExitCode {
    if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Returns a configuration file for nextest, which cannot compute a limit by itself.
///
/// Each test of `make test` takes less than a minute on the reference machine. With every fault
/// point, the longest tests take most of an hour.
fn limits(slowness: f64) -> String {
    let minutes = if std::env::var_os("FAULT_POINTS").is_some() { 120.0 } else { 8.0 };
    let limit = (minutes * 60.0 * slowness / 4.0).ceil();
    format!("[profile.default]\nslow-timeout = {{ period = \"{limit}s\", terminate-after = 4 }}\n")
}
