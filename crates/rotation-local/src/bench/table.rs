//! The report: the measurements of the functions side by side.

use rotation_driver::STEPS;
use serde_json::{Value, json};

use super::figures::{Measurements, Samples};
use super::floor::Baseline;
use super::runner::Runner;
use crate::progress::say;

type Rows<'a> = Vec<(String, &'a Samples)>;

/// Returns the quantities with several samples, in the order of the report. The labels are also the
/// keys in the JSON report.
fn rows(figures: &Measurements) -> Rows<'_> {
    let mut rows = vec![("init".to_owned(), &figures.init)];
    let steps = |kind: &str, series: &'_ [Samples; 4]| -> Vec<String> {
        STEPS.iter().zip(series).map(|(step, _)| format!("{step}, {kind}")).collect()
    };
    rows.extend(steps("cold", &figures.cold_steps).into_iter().zip(&figures.cold_steps));
    rows.push(("rotation, cold, with init".to_owned(), &figures.cold));
    rows.extend(steps("warm", &figures.warm_steps).into_iter().zip(&figures.warm_steps));
    rows.push(("rotation, warm".to_owned(), &figures.warm));
    rows.push(("CPU time, cold".to_owned(), &figures.cold_cpu));
    rows.push(("CPU time, warm".to_owned(), &figures.warm_cpu));
    rows.push(("peak memory, MB".to_owned(), &figures.peak));
    rows
}

/// Returns the labels and values of the quantities that were determined once.
fn counts(figures: &Measurements) -> [(&'static str, String); 5] {
    [
        ("Secrets Manager calls", figures.calls().to_string()),
        ("of which sequential", figures.waves.len().to_string()),
        ("database sessions", figures.sessions.to_string()),
        ("failed logins", figures.refused.to_string()),
        (
            "program, MB",
            figures.binary.map_or("-".into(), |bytes| format!("{:.1}", bytes as f64 / 1e6)),
        ),
    ]
}

const LABEL: usize = 28;
const CELL: usize = 26;

/// Prints the report. If there is a second function, it also prints the ratio of its medians to
/// those of the first function.
pub(super) fn print(runners: &[Runner], floor: &Baseline) {
    let mut head = format!("\n{:LABEL$}", "");
    let mut under = format!("{:LABEL$}", "");
    for runner in runners {
        head.push_str(&format!("{:>CELL$}", runner.name));
        under.push_str(&format!("{:>CELL$}", "min  median     p90"));
    }
    say(&head);
    say(&under);
    let tables: Vec<Rows<'_>> = runners.iter().map(|runner| rows(&runner.figures)).collect();
    for (at, (label, own)) in tables[0].iter().enumerate() {
        let mut line = format!("{label:LABEL$}");
        for table in &tables {
            line.push_str(&format!("{:>CELL$}", triple(table[at].1)));
        }
        if let Some(other) = tables.get(1) {
            line.push_str(&format!("{:>9.1} ×", other[at].1.median() / own.median()));
        }
        say(&line);
    }
    for at in 0..counts(&runners[0].figures).len() {
        let mut line = format!("{:LABEL$}", counts(&runners[0].figures)[at].0);
        for runner in runners {
            line.push_str(&format!("{:>CELL$}", counts(&runner.figures)[at].1));
        }
        say(&line);
    }
    let own = &runners[0].figures;
    say(&format!(
        "\nThe baseline: {} sequential calls and {} logins take a minimal client {:.1} ms \
         (median; a login takes {:.1} ms).\n\
         A warm rotation by {} takes {:.2} times as long.",
        own.waves.len(),
        own.sessions,
        floor.rotation.median(),
        floor.login.median(),
        runners[0].name,
        own.warm.median() / floor.rotation.median()
    ));
}

fn triple(series: &Samples) -> String {
    let [min, median, p90] = series.summary();
    format!("{min:.1} {median:>7.1} {p90:>7.1}")
}

/// Returns the report as JSON.
pub(super) fn json(runners: &[Runner], floor: &Baseline) -> Value {
    let functions: Vec<Value> = runners
        .iter()
        .map(|runner| {
            let figures = &runner.figures;
            let mut value = json!({
                "name": runner.name,
                "calls": figures.calls(),
                "callsInTurn": figures.waves.len(),
                "sessions": figures.sessions,
                "failedLogins": figures.refused,
                "binaryBytes": figures.binary,
            });
            for (label, series) in rows(figures) {
                value[label] = series.json();
            }
            value
        })
        .collect();
    let ratio =
        runners.first().map(|runner| runner.figures.warm.median() / floor.rotation.median());
    json!({
        "functions": functions,
        "floor": {
            "rotation": floor.rotation.json(),
            "login": floor.login.json(),
            "call": floor.call.json(),
            "warmRotationToFloor": ratio
        }
    })
}
