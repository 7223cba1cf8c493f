//! Tests of the timeline of a rotation.

use anyhow::{Context, Result, ensure};
use rotation_tests::binary;
use rotation_tests::local::script;
use rotation_tests::postgres::on_each;
use serde_json::{Value, json};
use test_servers::free_port;

use super::{Page, texts};
use crate::serve::started;

const SECRET: &str = "production/MyAwesomeAppSecret";

/// The steps with their bars: the left edge and the width, as parts of the axis.
const BARS: &str = "[...document.querySelectorAll('.step')].map((row) => {
    const axis = row.querySelector('.track').getBoundingClientRect();
    return [row.dataset.step, [...row.querySelectorAll('.bar')].map((bar) => {
        const { x, width } = bar.getBoundingClientRect();
        return [(x - axis.x) / axis.width, width / axis.width];
    })];
})";

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

/// Rotates a secret of a real server. The screenshots in the documentation come from this test: it
/// writes them into the folder in `ROTATION_PICTURES`.
#[tokio::test]
async fn timeline_has_steps_calls_and_logins_to_scale() {
    on_each(|target| async move {
        let program = binary("rotation-postgres").display().to_string();
        let (fixture, serve, _folder) = started(&target, &program, &[]).await?;
        let page = Page::of(serve).await?;
        let value = fixture.value("AWSCURRENT")?.to_string();
        let sdk = page.serve.client();
        let creating = sdk.create_secret().name(SECRET).secret_string(&value);
        creating.description("The application's own user").send().await?;
        // The first start of the program and the first login are slower.
        for expected in [json!(["✓ done"]), json!(["✓ done", "✓ done"])] {
            page.rotate(SECRET, "app-rotation").await?;
            // A call of another client is not one of the rotation.
            sdk.get_resource_policy().secret_id(SECRET).send().await?;
            page.becomes(&texts(".rotation .badge"), expected).await?;
        }
        let state = page.state().await?;
        let rotation = &state["rotations"][1];
        check_bars(&page, rotation).await?;
        check_events(&page, rotation).await?;
        let labels = json!(["AWSPREVIOUS", "AWSCURRENT", "AWSPENDING"]);
        page.becomes(&texts(".version .label"), labels).await?;
        take_pictures(&page).await?;
        page.ensure_quiet().await
    })
    .await;
}

/// Checks that the bars are at the places and have the widths that their times have.
async fn check_bars(page: &Page, rotation: &Value) -> Result<()> {
    let bars = page.get(BARS).await?;
    let steps = rotation["steps"].as_array().context("there are no steps")?;
    ensure!(steps.len() == 4, "{rotation}");
    for (place, step) in steps.iter().enumerate() {
        let row = &bars[place];
        assert_eq!(row[0], step["name"]);
        let shown = row[1].as_array().context("there are no bars")?;
        ensure!(shown.len() == 1, "{row}");
        let total = number(&rotation["took"]);
        let (start, width) = (number(&step["from"]) / total, number(&step["took"]) / total);
        let (shown_start, shown_width) = (number(&shown[0][0]), number(&shown[0][1]));
        ensure!((shown_start - start).abs() < 0.01, "{step}: {row}");
        ensure!((shown_width - width).abs() < 0.015, "{step}: {row}");
    }
    Ok(())
}

/// Checks that all calls of the function and all its logins are shown, and only those.
async fn check_events(page: &Page, rotation: &Value) -> Result<()> {
    let operations: Vec<_> = rotation["calls"]
        .as_array()
        .context("there are no calls")?
        .iter()
        .map(|call| call["operation"].as_str().unwrap_or_default())
        .collect();
    for operation in
        ["DescribeSecret", "GetSecretValue", "PutSecretValue", "UpdateSecretVersionStage"]
    {
        ensure!(operations.contains(&operation), "{operations:?}");
    }
    ensure!(!operations.contains(&"GetResourcePolicy"), "a call of another client is shown");
    let logins = rotation["logins"].as_array().context("there are no logins")?;
    // setSecret, testSecret and finishSecret log in.
    ensure!(logins.len() >= 3, "{logins:?}");
    ensure!(logins.iter().all(|login| login["error"].is_null() && number(&login["took"]) > 0.0));
    let newest = "document.querySelector('.rotation')";
    let shown = |kind: &str| format!("{newest}.querySelectorAll('.{kind} .event').length");
    page.becomes(&shown("calls"), operations.len()).await?;
    page.becomes(&shown("logins"), logins.len()).await?;
    let rows = format!("{newest}.querySelectorAll('.events-table tbody tr').length");
    page.becomes(&rows, operations.len() + logins.len()).await?;
    // What the table lists, the timeline also says to a screen reader.
    let label = format!("{newest}.querySelector('.logins .track').ariaLabel");
    page.becomes(&label, format!("{} logins", logins.len())).await
}

async fn take_pictures(page: &Page) -> Result<()> {
    page.browser.resize(1280, 940).await?;
    page.becomes("document.getAnimations().length", 0).await?;
    let folder = std::env::var_os("ROTATION_PICTURES").map(std::path::PathBuf::from);
    for (theme, file) in [("light", "page.png"), ("dark", "page-dark.png")] {
        page.browser.set_media(&[("prefers-color-scheme", theme)]).await?;
        let picture = page.browser.picture().await?;
        ensure!(picture.starts_with(b"\x89PNG") && picture.len() > 10_000, "no screenshot");
        if let Some(folder) = &folder {
            std::fs::write(folder.join(file), picture)?;
        }
    }
    Ok(())
}

/// No server listens on the port, which the function reports as an error that can pass.
#[tokio::test]
async fn retries_and_failure_are_shown_with_remedy() {
    let function = format!("app-rotation={}", binary("rotation-postgres").display());
    let arguments = ["--function", &function, "--attempts", "3", "--pause", "0.4"];
    let page = Page::open(&arguments, &[]).await.unwrap();
    let port = free_port().unwrap();
    let value = json!({"engine": "postgres", "host": "127.0.0.1", "port": port,
        "username": "app", "password": "the-first-password", "dbname": "app"});
    let sdk = page.serve.client();
    sdk.create_secret().name("app").secret_string(value.to_string()).send().await.unwrap();
    page.rotate("app", "app-rotation").await.unwrap();
    page.sees("stopped retrying").await.unwrap();

    let bars = "[...document.querySelectorAll('.step')].map((row) =>
        [row.dataset.step, row.querySelectorAll('.bar').length,
         row.querySelectorAll('.bar.failed').length])";
    let expected = json!([
        ["createSecret", 3, 0],
        ["setSecret", 3, 3],
        ["testSecret", 0, 0],
        ["finishSecret", 0, 0]
    ]);
    page.becomes(bars, expected).await.unwrap();
    // The error is shown once, beneath its step.
    let failure = texts("[data-step=setSecret] .failure");
    let shown = page.get(&failure).await.unwrap();
    assert_eq!(shown.as_array().map(Vec::len), Some(1), "{shown}");
    let shown = shown[0].as_str().unwrap();
    for part in ["ConnectionRefused", "in 3 attempts", "What to do: "] {
        assert!(shown.contains(part), "{shown}");
    }
    assert!(!shown.contains("arn:"), "the message repeats the secret: {shown}");
    page.becomes("document.querySelectorAll('.logins .event.failed').length", 3).await.unwrap();
    // The pauses of 0.4 and 0.8 seconds are marked, and shorter than the steps' scale.
    page.becomes("document.querySelectorAll('.grid .pause').length", 2).await.unwrap();
    page.becomes(&texts(".secret .what"), json!(["ConnectionRefused"])).await.unwrap();
    page.ensure_quiet().await.unwrap();
}

/// A function without log lines, trace ids and an answer.
#[tokio::test]
async fn running_step_grows_and_failed_function_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let wait = "until [ -e \"$0.end\" ]; do sleep 0.1; done; exit 1";
    let function = script(folder.path(), "silent", wait).unwrap();
    let page = Page::open(&["--function", &function, "--attempts", "1"], &[]).await.unwrap();
    page.create("app").await.unwrap();
    page.rotate("app", "silent").await.unwrap();
    page.sees("running").await.unwrap();
    page.becomes("document.querySelectorAll('.version.new').length", 1).await.unwrap();
    page.sees("no value yet").await.unwrap();
    let took = "Number.parseFloat(document.querySelector('.bar.running').textContent)";
    let first = number(&page.get(took).await.unwrap());
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let second = number(&page.get(took).await.unwrap());
    assert!(second != first, "the bar does not grow: {first}, {second}");
    std::fs::write(folder.path().join("silent.end"), "").unwrap();
    page.sees("Runtime.ExitError").await.unwrap();
    page.sees("✗ stopped retrying").await.unwrap();
    page.ensure_quiet().await.unwrap();
}
