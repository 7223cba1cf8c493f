//! `with-servers COMMAND…`: starts the database servers of a test run once, runs the command, and ends them.

use std::process::{Command, ExitCode};

use rotation_tests::postgres;

fn main() -> anyhow::Result<ExitCode> {
    let mut words = std::env::args_os().skip(1);
    let Some(program) = words.next() else {
        eprintln!("with-servers COMMAND…");
        return Ok(ExitCode::from(2));
    };
    let mut command = Command::new(program);
    command.args(words);
    let servers = postgres::start_all()?;
    for server in &servers {
        println!("{} on port {}", server.target.label, server.target.port);
    }
    let targets: Vec<_> = servers.iter().map(|server| &server.target).collect();
    command.env(postgres::VARIABLE, serde_json::to_string(&targets)?);
    let status = command.status()?;
    drop(servers);
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
