//! Tests of `rotation-local bench`: its figures match what the functions have done.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use rotation_tests::binary;
use serde_json::Value;

fn bench(more: &[&str]) -> Result<String> {
    let output = Command::new(binary("rotation-local"))
        .args(["bench", "--times", "2"])
        .args(more)
        .output()?;
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{message}");
    Ok(String::from_utf8(output.stdout)?)
}

#[test]
fn bench_measures_two_functions() -> Result<()> {
    let function = binary("rotation-postgres");
    let other = function.to_string_lossy();
    let text = bench(&["--json", "--api-latency", "20", "--against", &other])?;
    let figures: Value = serde_json::from_str(&text)?;
    let functions = figures["functions"].as_array().context("the report has no functions")?;
    ensure!(functions.len() == 2, "{text}");
    for function in functions {
        // These are the counts that the tests of the cost find, too.
        for (name, expected) in
            [("calls", 14), ("callsInTurn", 6), ("sessions", 3), ("failedLogins", 0)]
        {
            ensure!(function[name] == expected, "{name} is {} in {text}", function[name]);
        }
        let median = |name: &str| {
            function[name]["median"].as_f64().with_context(|| format!("no {name}: {text}"))
        };
        let (init, warm) = (median("init")?, median("rotation, warm")?);
        // There are six calls in a row, each of which takes 20 ms.
        ensure!(warm > 120.0 && warm < 10_000.0, "{text}");
        ensure!(init > 0.1 && median("rotation, cold, with init")? > init, "{text}");
        ensure!(median("CPU time, cold")? > 1.0 && median("peak memory, MB")? > 1.0, "{text}");
    }
    let floor = figures["floor"]["rotation"]["median"].as_f64().context("no floor")?;
    ensure!(floor > 120.0, "{text}");
    Ok(())
}

#[test]
fn bench_prints_table_and_reports_failing_function() -> Result<()> {
    let table = bench(&["--alternating", "--api-latency", "0"])?;
    for part in ["init", "rotation, warm", "peak memory", "The baseline", "debug build"] {
        ensure!(table.contains(part), "{part} is not in {table}");
    }
    let failed =
        bench(&["--against", "false"]).err().context("bench measured a failing command")?;
    ensure!(failed.to_string().contains("false failed during startup"), "{failed}");
    Ok(())
}

/// The test needs control groups. If they cannot be created, the command must report that.
#[test]
fn memory_limit_throttles_cpu() -> Result<()> {
    match bench(&["--json", "--api-latency", "0", "--memory", "128"]) {
        Ok(text) => {
            let figures: Value = serde_json::from_str(&text)?;
            let median = |name: &str| {
                figures["functions"][0][name]["median"]
                    .as_f64()
                    .with_context(|| format!("no {name}: {text}"))
            };
            // With 128 MB, the function has a fourteenth of a CPU, so a rotation takes many times
            // its CPU time. The factor is below 14, because the function can also compute while it
            // waits.
            let times = median("rotation, warm")? / median("CPU time, warm")?;
            ensure!(times > 5.0, "{times} times its CPU time: {text}");
        }
        Err(refused) => {
            println!("skipped: {refused}");
            ensure!(refused.to_string().contains("control groups"), "{refused}");
        }
    }
    Ok(())
}
