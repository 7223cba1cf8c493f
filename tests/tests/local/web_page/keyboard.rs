//! Tests of the keys of the page.

use anyhow::Result;
use rotation_tests::browser::{DOWN, ENTER, ESCAPE, TAB};
use rotation_tests::local::Serve;
use serde_json::json;

use super::{Page, texts};

const FOCUSED: &str = "document.activeElement.innerText || document.activeElement.id";
const FOCUSED_SECRET: &str = "document.activeElement.querySelector('.secret-name')?.innerText";
const OPENED: &str = "document.getElementById('opened-title')?.innerText ?? null";

async fn page_with_three_secrets() -> Result<Page> {
    let serve = Serve::start(&[]).await?;
    for name in ["alpha", "beta", "gamma"] {
        serve.client().create_secret().name(name).secret_string("a-value").send().await?;
    }
    let page = Page::of(serve).await?;
    let names = json!(["alpha", "beta", "gamma"]);
    page.becomes(&texts("#secret-list .secret-name"), names).await?;
    Ok(page)
}

#[tokio::test]
async fn keys_filter_move_open_and_close() {
    let page = page_with_three_secrets().await.unwrap();
    let press = async |keys: &str| page.browser.press(keys).await.unwrap();
    for (keys, focused) in
        [("j", "alpha"), ("j", "beta"), (DOWN, "gamma"), ("j", "gamma"), ("k", "beta")]
    {
        press(keys).await;
        page.becomes(FOCUSED_SECRET, focused).await.unwrap();
    }
    press(ENTER).await;
    page.becomes(OPENED, "beta").await.unwrap();
    page.becomes("document.querySelector('[aria-current=true] b')?.innerText", "beta")
        .await
        .unwrap();
    // The address names the secret, so it is still open after the page was reloaded.
    page.browser.run("location.reload()").await.unwrap();
    page.becomes(OPENED, "beta").await.unwrap();
    press(ESCAPE).await;
    page.becomes(OPENED, json!(null)).await.unwrap();
    page.becomes(FOCUSED_SECRET, "beta").await.unwrap();

    // Letters are text in the filter.
    press("/jk?t").await;
    page.becomes("document.getElementById('filter').value", "jk?t").await.unwrap();
    press(ESCAPE).await;
    page.becomes("document.getElementById('filter').value", "").await.unwrap();
    press("GAM").await;
    page.becomes(&texts("#secret-list .secret-name"), json!(["gamma"])).await.unwrap();
    press(ENTER).await;
    page.becomes(FOCUSED_SECRET, "gamma").await.unwrap();

    press("?").await;
    page.becomes("document.getElementById('keys').open", true).await.unwrap();
    // The keys of the page do nothing while the dialog is open.
    press("t").await;
    page.becomes("localStorage.length", 0).await.unwrap();
    press(ESCAPE).await;
    page.becomes("document.getElementById('keys').open", false).await.unwrap();
    page.ensure_quiet().await.unwrap();
}

#[tokio::test]
async fn tab_reaches_every_control() {
    let page = page_with_three_secrets().await.unwrap();
    let mut reached = Vec::new();
    for _ in 0..8 {
        page.browser.press(TAB).await.unwrap();
        // The focus is visible.
        let outline = "(document.activeElement.matches('input[type=radio]')
            ? document.activeElement.nextElementSibling : document.activeElement)";
        let outline = format!("getComputedStyle({outline}).outlineStyle");
        assert_eq!(page.get(&outline).await.unwrap(), "solid", "{reached:?}");
        reached.push(page.get(FOCUSED).await.unwrap().as_str().unwrap_or_default().to_owned());
    }
    let first_words: Vec<_> =
        reached.iter().map(|text| text.split('\n').next().unwrap_or_default()).collect();
    let expected =
        ["Skip to the rotations", "Dark theme", "Keys", "filter", "", "alpha", "beta", "gamma"];
    assert_eq!(first_words, expected);
    page.ensure_quiet().await.unwrap();
}
