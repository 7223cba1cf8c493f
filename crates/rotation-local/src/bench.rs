//! `rotation-local bench`: how fast a function is, how much it uses, and how near that is to what
//! is possible.

mod figures;
mod floor;
mod process;
mod runner;
mod share;
mod table;

use std::time::Duration;

use anyhow::Result;

use crate::cli::BenchArgs;
use crate::progress::{print_json, say};
use crate::stage::{ALTERNATING, SINGLE, Stage, function_path};

use floor::Baseline;
use runner::Runner;
use share::CpuQuota;

/// What is rotated, how slow Secrets Manager is, and how much of the CPU functions have once they
/// have started.
struct BenchEnv {
    stage: Stage,
    secret: &'static str,
    strategy: &'static str,
    latency: Duration,
    share: Option<CpuQuota>,
}

pub(crate) async fn bench(args: &BenchArgs) -> Result<()> {
    let function = function_path(args.function.as_deref(), args.engine)?;
    let share = args.memory.map(CpuQuota::of_memory).transpose()?;
    let ground = BenchEnv {
        stage: Stage::set_up(args.engine).await?,
        secret: if args.alternating { ALTERNATING } else { SINGLE },
        strategy: if args.alternating { "master-user" } else { "single-user" },
        latency: Duration::from_millis(args.api_latency),
        share,
    };
    say(&format!(
        "{} on this machine, {}, {}Secrets Manager answers after {} ms, {} times each; times in ms",
        args.engine.display(),
        ground.strategy,
        args.memory.map_or(String::new(), |memory| format!("the CPU of {memory} MB after init, ")),
        args.api_latency,
        args.times
    ));
    if function.components().any(|part| part.as_os_str() == "debug") {
        say(
            "This function is a debug build: cargo build --release makes the one that is deployed.",
        );
    }

    let mut runners = vec![Runner::of_program(&function, args.verbose)?];
    if let Some(line) = &args.against {
        runners.push(Runner::of_command(line, args.verbose));
    }
    for runner in &mut runners {
        runner.prepare(&ground).await?;
    }
    ground.stage.service.set_latency(ground.latency);
    // In turn: whatever else the machine does, it does to all.
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
