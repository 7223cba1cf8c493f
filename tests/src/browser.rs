//! A real browser for tests: Debian's headless Chromium, driven through ChromeDriver by the
//! WebDriver protocol. <https://www.w3.org/TR/webdriver2/>

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use test_servers::free_port;

use crate::child_process::ChildProcess;
use crate::local::http;

/// A browser with one window. Dropping it ends the browser.
#[derive(Debug)]
pub struct Browser {
    session: String,
    http: reqwest::Client,
    _profile: TempDir,
    _driver: ChildProcess,
}

impl Browser {
    /// Starts Chromium without a visible window, through chromedriver.
    ///
    /// # Errors
    /// Returns an error if Chromium is not installed or does not start.
    pub async fn start() -> Result<Self> {
        let port = free_port()?;
        let mut command = Command::new("chromedriver");
        command.arg(format!("--port={port}")).stdout(Stdio::null()).stderr(Stdio::null());
        let driver = ChildProcess::start(command, port).await?;
        let profile = tempfile::tempdir()?;
        let folder = format!("--user-data-dir={}", profile.path().display());
        let capabilities = json!({"capabilities": {"alwaysMatch": {"goog:chromeOptions": {"args": [
            // Chromium cannot use its own sandbox when it runs as root.
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--no-first-run", "--disable-background-networking", "--disable-component-update",
            "--disable-sync", "--disable-quic", "--window-size=1100,900", folder,
        ]}}}});
        let (http, base) = (http()?, format!("http://127.0.0.1:{port}/session"));
        let answer: Value = http.post(&base).json(&capabilities).send().await?.json().await?;
        let id = answer["value"]["sessionId"]
            .as_str()
            .with_context(|| format!("no session: {answer}"))?;
        Ok(Self { session: format!("{base}/{id}"), http, _profile: profile, _driver: driver })
    }

    /// Opens a page and waits until it is loaded.
    ///
    /// # Errors
    /// Returns an error if the page cannot be opened.
    pub async fn open(&self, url: &str) -> Result<()> {
        self.ask("url", &json!({"url": url})).await.map(drop)
    }

    /// Runs a script in the page and returns its result.
    ///
    /// # Errors
    /// Returns an error if the script fails.
    pub async fn run(&self, script: &str) -> Result<Value> {
        self.ask("execute/sync", &json!({"script": script, "args": []})).await
    }

    /// Returns the visible text of the page.
    ///
    /// # Errors
    /// Returns an error if no page is open.
    pub async fn text(&self) -> Result<String> {
        Ok(self
            .run("return document.body.innerText")
            .await?
            .as_str()
            .unwrap_or_default()
            .to_owned())
    }

    /// Takes a screenshot of the window, in PNG.
    ///
    /// # Errors
    /// Returns an error if the browser returns no screenshot.
    pub async fn picture(&self) -> Result<Vec<u8>> {
        let answer: Value =
            self.http.get(format!("{}/screenshot", self.session)).send().await?.json().await?;
        let picture = answer["value"].as_str().context("the browser returned no screenshot")?;
        Ok(base64::engine::general_purpose::STANDARD.decode(picture)?)
    }

    async fn ask(&self, what: &str, body: &Value) -> Result<Value> {
        let answer = self.http.post(format!("{}/{what}", self.session)).json(body).send().await?;
        let answer: Value = answer.json().await?;
        ensure!(answer["value"].get("error").is_none(), "{what}: {answer}");
        Ok(answer["value"].clone())
    }
}
