//! Tests that the page can be used by everyone: axe-core judges it in both themes and at several
//! widths. <https://github.com/dequelabs/axe-core>

use anyhow::Result;
use rotation_tests::browser::ESCAPE;
use rotation_tests::local::script;
use rotation_tests::tool;
use serde_json::Value;

use super::Page;

/// The rules of WCAG 2.2 up to level AA, and those that axe-core recommends.
const JUDGE: &str = "return axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a',
    'wcag21aa', 'wcag22aa', 'best-practice'] }).then(({ violations, passes }) => ({
        rules: passes.length,
        violations: violations.map(({ id, nodes }) =>
            [id, nodes.map(({ html, failureSummary }) => [html, failureSummary])]),
    }));";

/// Judges the page at this moment.
async fn judge(page: &Page, what: &str) -> Result<()> {
    let result = page.browser.run(JUDGE).await?;
    assert!(result["rules"].as_u64().is_some_and(|rules| rules > 20), "{what}: {result}");
    assert_eq!(result["violations"].as_array().map(Vec::len), Some(0), "{what}: {result:#}");
    let overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
    let overflow = page.get(overflow).await?.as_i64();
    assert!(overflow.is_some_and(|pixels| pixels <= 0), "{what}: sideways by {overflow:?} px");
    Ok(())
}

#[tokio::test]
async fn axe_finds_no_violation() {
    let path = tool("").join("../axe/axe_playwright_python/axe.min.js");
    let axe = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; run sh tests/setup.sh test", path.display()));
    let folder = tempfile::tempdir().unwrap();
    let failing = "echo '{\"level\":\"ERROR\",\"message\":\"it failed\"}'; echo plain; exit 1";
    let broken = script(folder.path(), "broken", failing).unwrap();
    let slow = script(folder.path(), "slow", "sleep 600").unwrap();
    let arguments = ["--function", &broken, "--function", &slow, "--attempts", "2"];
    let page = Page::open(&arguments, &[]).await.unwrap();
    // axe-core is a script that is not from the page.
    page.browser.bypass_content_security_policy().await.unwrap();
    page.browser.open(&page.serve.endpoint()).await.unwrap();
    page.browser.run(&axe).await.unwrap();
    judge(&page, "an empty page").await.unwrap();
    for name in ["shop/broken", "shop/slow", "other"] {
        page.create(name).await.unwrap();
    }
    // The first secret was opened, because it was the only one.
    page.becomes("document.querySelectorAll('#secret-list a').length", 3).await.unwrap();
    page.browser.press(ESCAPE).await.unwrap();
    page.rotate("shop/broken", "broken").await.unwrap();
    page.sees("stopped retrying").await.unwrap();
    page.rotate("shop/slow", "slow").await.unwrap();
    page.sees("● running").await.unwrap();

    let open = "[...document.querySelectorAll('#secret-list a')]
        .find((link) => link.innerText.includes('broken')).click()";
    for (width, theme) in [(360, "light"), (360, "dark"), (1600, "light"), (1600, "dark")] {
        page.browser.resize(width, 900).await.unwrap();
        page.browser.set_media(&[("prefers-color-scheme", theme)]).await.unwrap();
        page.browser
            .run("document.querySelectorAll('details').forEach((one) => one.open = true)")
            .await
            .unwrap();
        judge(&page, &format!("all secrets, {width} px, {theme}")).await.unwrap();
        page.browser.run(open).await.unwrap();
        page.becomes("document.querySelectorAll('.opened .version').length", 2).await.unwrap();
        judge(&page, &format!("an opened secret, {width} px, {theme}")).await.unwrap();
        page.browser.press("?").await.unwrap();
        judge(&page, &format!("the keys, {width} px, {theme}")).await.unwrap();
        page.browser.run("document.getElementById('keys').close()").await.unwrap();
        page.browser.run("document.querySelector('.close').click()").await.unwrap();
        page.becomes("document.querySelectorAll('.rotation').length", 2).await.unwrap();
    }
    let landmarks = page
        .get(
            "['header', 'nav', 'main'].map((name) =>
        document.querySelectorAll(`body > ${name}, body > div > ${name}`).length)",
        )
        .await
        .unwrap();
    assert_eq!(landmarks, Value::from(vec![1, 1, 1]));
}
