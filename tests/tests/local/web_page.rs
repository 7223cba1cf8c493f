//! Tests of the web page of `rotation-local serve`, in a real browser.

mod accessibility;
mod keyboard;
mod privacy;
mod secrets;
mod theme;
mod timeline;

use anyhow::{Context, Result, ensure};
use rotation_tests::browser::Browser;
use rotation_tests::local::{REGION, Serve, http, until};
use serde_json::Value;

/// A service with the page in a browser.
struct Page {
    serve: Serve,
    browser: Browser,
}

impl Page {
    /// Starts a service with arguments, and opens its page.
    async fn open(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Self> {
        Self::of(Serve::start_with(arguments, environment).await?).await
    }

    /// Opens the page of a service.
    async fn of(serve: Serve) -> Result<Self> {
        let browser = Browser::start().await?;
        browser.open(&serve.endpoint()).await?;
        Ok(Self { serve, browser })
    }

    /// Creates a secret that has a value.
    async fn create(&self, name: &str) -> Result<()> {
        self.serve.client().create_secret().name(name).secret_string("a-value").send().await?;
        Ok(())
    }

    /// Starts a rotation of a secret with a function.
    async fn rotate(&self, secret: &str, function: &str) -> Result<()> {
        let arn = format!("arn:aws:lambda:{REGION}:123456789012:function:{function}");
        let sdk = self.serve.client();
        sdk.rotate_secret().secret_id(secret).rotation_lambda_arn(arn).send().await?;
        Ok(())
    }

    /// Waits until the visible text of the page contains a text.
    async fn sees(&self, text: &str) -> Result<()> {
        let sees = async || Ok(self.browser.text().await?.contains(text).then_some(()));
        let seen = until(text, sees).await;
        seen.context(self.browser.text().await?)
    }

    /// Waits until a JavaScript expression has this value.
    async fn becomes(&self, expression: &str, expected: impl Into<Value>) -> Result<()> {
        let expected = expected.into();
        let mut last = Value::Null;
        let found = until(expression, async || {
            last = self.get(expression).await?;
            Ok((last == expected).then_some(()))
        });
        let found = found.await;
        found.with_context(|| format!("it is {last} and not {expected}"))
    }

    /// Returns the value of a JavaScript expression.
    async fn get(&self, expression: &str) -> Result<Value> {
        self.browser.run(&format!("return {expression}")).await
    }

    /// Returns the state that the page reads.
    async fn state(&self) -> Result<Value> {
        let answer = http()?.get(format!("{}/state", self.serve.endpoint())).send().await?;
        Ok(answer.error_for_status()?.json().await?)
    }

    /// Checks that the page has caused no error and no warning in the browser.
    async fn ensure_quiet(&self) -> Result<()> {
        let console = self.browser.console().await?;
        ensure!(console.is_empty(), "{console:#?}");
        Ok(())
    }
}

/// Returns an expression for the texts of all elements that match a selector.
fn texts(selector: &str) -> String {
    format!("[...document.querySelectorAll({selector:?})].map((one) => one.innerText)")
}
