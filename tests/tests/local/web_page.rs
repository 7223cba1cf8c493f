//! Tests of the web page of `rotation-local serve`, in a real browser.

use anyhow::{Context, Result, ensure};
use rotation_tests::binary;
use rotation_tests::browser::Browser;
use rotation_tests::local::{REGION, Serve, http, script, until};
use rotation_tests::postgres::{Fixture, on_each};

use crate::own_database::authority;

async fn sees(browser: &Browser, text: &str) -> Result<()> {
    until(text, async || Ok(browser.text().await?.contains(text).then_some(()))).await
}

/// A function that prints a secret, takes some time, and fails.
const PRINTING_FUNCTION: &str = "echo \"it is $SECRET_WORD, really\"\nsleep 2\nexit 1";

#[tokio::test]
async fn web_page_shows_steps_and_no_secret_value() {
    const WORD: &str = "hunter2-of-the-page";
    let folder = tempfile::tempdir().unwrap();
    let function = script(folder.path(), "talkative", PRINTING_FUNCTION).unwrap();
    let arguments = ["--function", &function, "--attempts", "1"];
    let serve = Serve::start_with(&arguments, &[("SECRET_WORD", WORD)]).await.unwrap();
    let sdk = serve.client();
    let browser = Browser::start().await.unwrap();
    browser.open(&serve.endpoint()).await.unwrap();
    sees(&browser, "aws secretsmanager create-secret").await.unwrap();

    let value = format!(r#"{{"username":"the-user","password":"{WORD}"}}"#);
    let name = "page/<script>".replace(['<', '>'], "-");
    let description = "<b>not bold</b><script>document.title = 'taken over'</script>";
    let making = sdk.create_secret().name(&name).secret_string(value).description(description);
    making.send().await.unwrap();
    // The page updates without being reloaded.
    sees(&browser, &name).await.unwrap();
    sees(&browser, "AWSCURRENT").await.unwrap();
    sees(&browser, "<b>not bold</b>").await.unwrap();
    let title = browser.run("return document.title").await.unwrap();
    assert_eq!(title, "rotation-local");

    let arn = format!("arn:aws:lambda:{REGION}:123456789012:function:talkative");
    sdk.rotate_secret().secret_id(&name).rotation_lambda_arn(arn).send().await.unwrap();
    sees(&browser, "createSecret …").await.unwrap();
    sees(&browser, "running").await.unwrap();
    sees(&browser, "AWSPENDING").await.unwrap();
    sees(&browser, "none yet").await.unwrap();
    sees(&browser, "it is ***, really").await.unwrap();
    sees(&browser, "✗ createSecret").await.unwrap();
    sees(&browser, "stopped retrying").await.unwrap();
    let source = browser.run("return document.documentElement.outerHTML").await.unwrap();
    assert!(!source.as_str().unwrap().contains(WORD), "the password is on the page");
    assert!(!serve.output().contains(WORD), "the password is on the terminal");
}

/// The screenshot in the documentation comes from this test: it is written to the path in
/// ROTATION_PICTURE.
#[tokio::test]
async fn web_page_shows_complete_database_rotation() {
    on_each(|target| async move {
        let fixture = Fixture::new(&target).await?;
        let folder = tempfile::tempdir()?;
        let function = format!("app-rotation={}", binary("rotation-postgres").display());
        let environment = [("TLS_CA_FILE", &*authority(&fixture, folder.path())?)];
        let serve = Serve::start_with(&["--function", &function], &environment).await?;
        let sdk = serve.client();
        let value = fixture.value("AWSCURRENT")?.to_string();
        let making =
            sdk.create_secret().name("production/MyAwesomeAppSecret").secret_string(&value);
        making.description("The application's own user").send().await?;
        let browser = Browser::start().await?;
        browser.open(&serve.endpoint()).await?;
        let arn = format!("arn:aws:lambda:{REGION}:123456789012:function:app-rotation");
        let rotating =
            sdk.rotate_secret().secret_id("production/MyAwesomeAppSecret").rotation_lambda_arn(arn);
        rotating.send().await?;
        for text in [
            "✓ createSecret",
            "✓ setSecret",
            "✓ testSecret",
            "✓ finishSecret",
            "done",
            "AWSPREVIOUS",
        ] {
            sees(&browser, text).await?;
        }
        let picture = browser.picture().await?;
        ensure!(
            picture.starts_with(b"\x89PNG") && picture.len() > 10_000,
            "the browser returned no screenshot"
        );
        if let Some(path) = std::env::var_os("ROTATION_PICTURE") {
            std::fs::write(path, picture)?;
        }
        let source = browser.run("return document.documentElement.outerHTML").await?;
        for label in ["AWSCURRENT", "AWSPREVIOUS"] {
            let got = sdk
                .get_secret_value()
                .secret_id("production/MyAwesomeAppSecret")
                .version_stage(label);
            let value: serde_json::Value = serde_json::from_str(
                &got.send().await?.secret_string.context("the secret has no value")?,
            )?;
            let password = value["password"].as_str().context("the secret has no password")?;
            ensure!(
                !source.as_str().unwrap_or_default().contains(password),
                "a password is on the page"
            );
        }
        Ok(())
    })
    .await;
}

/// The request comes from a page of another site whose name an attacker points to this machine.
#[tokio::test]
async fn request_with_foreign_host_is_rejected() {
    let serve = Serve::start(&[]).await.unwrap();
    for path in ["/", "/now"] {
        let asked = http()
            .unwrap()
            .get(format!("{}{path}", serve.endpoint()))
            .header("host", "evil.example");
        assert_eq!(asked.send().await.unwrap().status(), 403);
        let asked = http().unwrap().get(format!("{}{path}", serve.endpoint()));
        assert_eq!(asked.send().await.unwrap().status(), 200);
    }
}
