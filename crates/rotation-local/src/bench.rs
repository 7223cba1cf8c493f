//! The command `bench`, which measures the times and resources of a function and compares them with
//! a baseline.

mod args;
mod figures;
mod floor;
mod process;
mod runner;
mod share;
mod table;

use std::time::Duration;

use anyhow::Result;

use crate::progress::{print_json, say};
use crate::stage::{ALTERNATING, SINGLE, Sandbox, function_path};

pub(crate) use args::BenchArgs;
use floor::Baseline;
use runner::Runner;
use share::CpuQuota;

/// The environment of a measurement: the sandbox, the secret, the API latency and the CPU quota
/// that functions have after their start.
struct BenchEnv {
    stage: Sandbox,
    secret: &'static str,
    strategy: &'static str,
    latency: Duration,
    share: Option<CpuQuota>,
}

pub(crate) async fn bench(args: &BenchArgs) -> Result<()> {
    let function = function_path(args.function.as_deref(), args.engine)?;
    let share = args.memory.map(CpuQuota::of_memory).transpose()?;
    let ground = BenchEnv {
        stage: Sandbox::set_up(args.engine).await?,
        secret: if args.alternating { ALTERNATING } else { SINGLE },
        strategy: if args.alternating { "master-user" } else { "single-user" },
        latency: Duration::from_millis(args.api_latency),
        share,
    };
    say(&format!(
        "{} on this machine, {}, {}API latency {} ms, {} measurements each; times in ms",
        args.engine.display(),
        ground.strategy,
        args.memory
            .map_or(String::new(), |memory| format!("CPU quota of {memory} MB after init, ")),
        args.api_latency,
        args.times
    ));
    if function.components().any(|part| part.as_os_str() == "debug") {
        say("This function is a debug build. Measure the deployed build: cargo build --release.");
    }

    let mut runners = vec![Runner::of_program(&function, args.verbose)?];
    if let Some(line) = &args.against {
        runners.push(Runner::of_command(line, args.verbose));
    }
    for runner in &mut runners {
        runner.prepare(&ground).await?;
    }
    ground.stage.service.set_latency(ground.latency);
    // The functions take turns, so that other load on the machine affects all of them.
    for _ in 0..args.times {
        for runner in &mut runners {
            runner.round(&ground).await?;
        }
    }
    for runner in &mut runners {
        runner.count(&ground).await?;
    }
    let floor = Baseline::measure(&ground, &runners[0].figures, args.times).await?;
    if args.json {
        print_json(&table::json(&runners, &floor));
    } else {
        table::print(&runners, &floor);
    }
    Ok(())
}
