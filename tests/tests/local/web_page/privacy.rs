//! Tests that the page and its data contain no secret value, and that only this machine gets them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rotation_tests::local::{http, script};
use rotation_tests::postgres::on_each;

use super::Page;
use crate::serve::prepared;

/// A function that prints a secret, takes some time, and fails.
const PRINTING_FUNCTION: &str = "echo \"it is $SECRET_WORD, really\"\nsleep 2\nexit 1";

/// The name, the description and the log lines of a secret are text, whatever they contain.
#[tokio::test]
async fn texts_of_the_service_are_shown_as_text() {
    const WORD: &str = "hunter2-of-the-page";
    let folder = tempfile::tempdir().unwrap();
    let function = script(folder.path(), "talkative", PRINTING_FUNCTION).unwrap();
    let arguments = ["--function", &function, "--attempts", "1"];
    let page = Page::open(&arguments, &[("SECRET_WORD", WORD)]).await.unwrap();
    let value = format!(r#"{{"username":"the-user","password":"{WORD}"}}"#);
    let description = "<b>not bold</b><script>document.title = 'taken over'</script>";
    let sdk = page.serve.client();
    let creating = sdk.create_secret().name("page/secret").secret_string(value);
    creating.description(description).send().await.unwrap();
    page.sees("AWSCURRENT").await.unwrap();
    page.sees(description).await.unwrap();
    assert_eq!(page.get("document.title").await.unwrap(), "rotation-local");
    page.rotate("page/secret", "talkative").await.unwrap();
    page.sees("it is ***, really").await.unwrap();
    page.sees("✗ stopped retrying").await.unwrap();
    let source = page.get("document.documentElement.outerHTML").await.unwrap();
    assert!(!source.as_str().unwrap().contains(WORD), "the password is on the page");
    assert!(!page.serve.output().contains(WORD), "the password is on the terminal");
    page.ensure_quiet().await.unwrap();
    // The browser rejects a script that parses a text as HTML.
    let attempt = "(() => { try { document.body.innerHTML = 'x'; return 'parsed'; }
        catch (error) { return error.name; } })()";
    assert_eq!(page.get(attempt).await.unwrap(), "TypeError");
}

/// Collects the answers of an address until it is dropped.
struct Collector {
    answers: Arc<Mutex<BTreeSet<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Collector {
    fn start(url: String) -> Result<Self> {
        let answers = Arc::<Mutex<BTreeSet<String>>>::default();
        let (collected, http) = (Arc::clone(&answers), http()?);
        let task = tokio::spawn(async move {
            loop {
                if let Ok(answer) = http.get(&url).send().await
                    && let Ok(text) = answer.text().await
                {
                    collected.lock().unwrap_or_else(PoisonError::into_inner).insert(text);
                }
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
        });
        Ok(Self { answers, task })
    }

    fn stop(self) -> BTreeSet<String> {
        self.task.abort();
        std::mem::take(&mut *self.answers.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Reads the state every few milliseconds during a rotation of a real server, and compares it with
/// all values of the run.
#[tokio::test]
async fn no_answer_contains_a_secret_value() {
    on_each(|target| async move {
        let (_fixture, serve, _folder) = prepared(&target, &[]).await?;
        let page = Page::of(serve).await?;
        let sdk = page.serve.client();
        let collector = Collector::start(format!("{}/state", page.serve.endpoint()))?;
        page.rotate("app", "app-rotation").await?;
        page.serve.until_rotated().await?;
        page.sees("✓ done").await?;
        let mut answers = collector.stop();
        ensure!(answers.len() > 5, "only {} different states were seen", answers.len());
        ensure!(answers.iter().any(|answer| answer.contains("\"running\"")), "no running step");
        for path in page_files(&page).await? {
            let url = format!("{}{path}", page.serve.endpoint());
            answers.insert(http()?.get(url).send().await?.error_for_status()?.text().await?);
        }
        let source = page.get("document.documentElement.outerHTML").await?;
        answers.insert(source.as_str().context("there is no page")?.to_owned());

        let mut values = vec![page.serve.key.clone()];
        for label in ["AWSCURRENT", "AWSPREVIOUS"] {
            let got = sdk.get_secret_value().secret_id("app").version_stage(label).send().await?;
            let value: serde_json::Value =
                serde_json::from_str(&got.secret_string.context("the secret has no value")?)?;
            values.push(value["password"].as_str().context("there is no password")?.to_owned());
        }
        ensure!(values[1] != values[2], "nothing was rotated");
        for value in values {
            ensure!(!answers.iter().any(|answer| answer.contains(&value)), "a value is shown");
        }
        Ok(())
    })
    .await;
}

/// Returns the addresses of the page and of everything that the browser has loaded for it.
async fn page_files(page: &Page) -> Result<Vec<String>> {
    let loaded = "performance.getEntriesByType('resource')
        .map(({ name }) => new URL(name).pathname)";
    let loaded: Vec<String> = serde_json::from_value(page.get(loaded).await?)?;
    ensure!(loaded.iter().any(|path| path.ends_with("main.js")), "{loaded:?}");
    Ok(loaded.into_iter().chain(["/".to_owned()]).collect())
}

/// The request comes from a page of another site whose name an attacker points to this machine.
#[tokio::test]
async fn request_with_foreign_host_is_rejected() {
    let page = Page::open(&[], &[]).await.unwrap();
    page.sees("No secrets yet").await.unwrap();
    for path in page_files(&page).await.unwrap() {
        let url = format!("{}{path}", page.serve.endpoint());
        let foreign = http().unwrap().get(&url).header("host", "evil.example").send();
        assert_eq!(foreign.await.unwrap().status(), 403, "{path}");
        let own = http().unwrap().get(&url).send().await.unwrap();
        assert_eq!(own.status(), 200, "{path}");
        let policy = own.headers()["content-security-policy"].to_str().unwrap();
        for part in ["default-src 'none'", "frame-ancestors 'none'", "script-src 'self';"] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert_eq!(own.headers()["cache-control"], "no-store", "{path}");
        assert_eq!(own.headers()["cross-origin-resource-policy"], "same-origin", "{path}");
    }
}

/// A state that has not changed is not sent again.
#[tokio::test]
async fn unchanged_state_is_not_sent_again() {
    let page = Page::open(&[], &[]).await.unwrap();
    page.create("app").await.unwrap();
    let url = format!("{}/state", page.serve.endpoint());
    let first = http().unwrap().get(&url).send().await.unwrap();
    let tag = first.headers()["etag"].clone();
    let again = || http().unwrap().get(&url).header("if-none-match", &tag).send();
    assert_eq!(again().await.unwrap().status(), 304);
    page.create("another").await.unwrap();
    assert_eq!(again().await.unwrap().status(), 200);
}
