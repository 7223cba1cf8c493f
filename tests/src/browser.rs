//! A real browser for tests: Debian's headless Chromium, driven through ChromeDriver by the
//! WebDriver protocol. <https://www.w3.org/TR/webdriver2/>

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use test_servers::free_port;

use crate::child_process::ChildProcess;
use crate::local::http;

/// The key Enter, for [`Browser::press`].
pub const ENTER: &str = "\u{E007}";
/// The key Escape, for [`Browser::press`].
pub const ESCAPE: &str = "\u{E00C}";
/// The key Tab, for [`Browser::press`].
pub const TAB: &str = "\u{E004}";
/// The key Arrow Down, for [`Browser::press`].
pub const DOWN: &str = "\u{E015}";

/// A browser with one window. Dropping it ends the browser.
#[derive(Debug)]
pub struct Browser {
    session: String,
    /// The port of chromedriver, and the path of the session there.
    at: (u16, String),
    http: reqwest::Client,
    _profile: TempDir,
    _driver: ChildProcess,
}

impl Drop for Browser {
    /// Ends the session. If chromedriver is killed before that, Chromium stays.
    fn drop(&mut self) {
        let (port, path) = &self.at;
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", *port)) else { return };
        let request = format!(
            "DELETE {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
        );
        let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
        let _ = stream.write_all(request.as_bytes());
        // The answer comes when Chromium has ended.
        let _ = stream.read(&mut [0; 512]);
    }
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
        let logging = json!({"browser": "ALL"});
        let capabilities = json!({"capabilities": {"alwaysMatch": {"goog:loggingPrefs": logging,
            "goog:chromeOptions": {"args": [
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
        let (session, at) = (format!("{base}/{id}"), (port, format!("/session/{id}")));
        Ok(Self { session, at, http, _profile: profile, _driver: driver })
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

    /// Presses and releases keys, one after the other. The constants of this module are the keys
    /// that are not characters.
    ///
    /// # Errors
    /// Returns an error if the browser does not accept the keys.
    pub async fn press(&self, keys: &str) -> Result<()> {
        let key = |key: char| {
            ["keyDown", "keyUp"].map(|kind| json!({"type": kind, "value": key.to_string()}))
        };
        let actions: Vec<Value> = keys.chars().flat_map(key).collect();
        let keyboard = json!({"type": "key", "id": "keyboard", "actions": actions});
        self.ask("actions", &json!({"actions": [keyboard]})).await.map(drop)
    }

    /// Sets the size of the page in pixels, which can be smaller than that of a window.
    ///
    /// # Errors
    /// Returns an error if the browser does not accept the size.
    pub async fn resize(&self, width: u32, height: u32) -> Result<()> {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1,
            "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", &size).await
    }

    /// Sets media features, such as `prefers-color-scheme` to `dark`.
    ///
    /// # Errors
    /// Returns an error if the browser does not accept them.
    pub async fn set_media(&self, features: &[(&str, &str)]) -> Result<()> {
        let feature = |(name, value): &(&str, &str)| json!({"name": name, "value": value});
        let features: Vec<Value> = features.iter().map(feature).collect();
        self.devtools("Emulation.setEmulatedMedia", &json!({"features": features})).await
    }

    /// Turns off the content security policy of the pages that are opened from now on, so that an
    /// accessibility checker can run in them.
    ///
    /// # Errors
    /// Returns an error if the browser does not support this.
    pub async fn bypass_content_security_policy(&self) -> Result<()> {
        self.devtools("Page.setBypassCSP", &json!({"enabled": true})).await
    }

    /// Returns the errors and warnings of the page's console since the last call. They include the
    /// violations of the content security policy.
    ///
    /// # Errors
    /// Returns an error if the browser returns no log.
    pub async fn console(&self) -> Result<Vec<String>> {
        let entries = self.ask("se/log", &json!({"type": "browser"})).await?;
        let entries = entries.as_array().context("the browser returned no log")?;
        Ok(entries
            .iter()
            .filter(|entry| matches!(entry["level"].as_str(), Some("SEVERE" | "WARNING")))
            .map(|entry| entry["message"].as_str().unwrap_or_default().to_owned())
            .collect())
    }

    /// Sends a command of the [Chrome DevTools Protocol][doc].
    ///
    /// [doc]: https://chromedevtools.github.io/devtools-protocol/
    async fn devtools(&self, command: &str, parameters: &Value) -> Result<()> {
        let body = json!({"cmd": command, "params": parameters});
        self.ask("goog/cdp/execute", &body).await.map(drop)
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
