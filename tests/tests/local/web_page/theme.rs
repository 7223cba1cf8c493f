//! Tests of the themes of the page.

use anyhow::{Context, Result, ensure};

use rotation_tests::local::until;

use super::Page;

/// Returns the relative luminance of the background and of the text, as WCAG defines it.
async fn luminances(page: &Page) -> Result<(f64, f64)> {
    let style = page
        .get(
            "(({ backgroundColor, color }) => [backgroundColor, color])(
        getComputedStyle(document.body))",
        )
        .await?;
    let luminance = |color: &str| -> Result<f64> {
        let numbers = color.trim_start_matches("rgb(").trim_end_matches(')').split(", ");
        let channels: Vec<f64> = numbers.map(str::parse).collect::<Result<_, _>>()?;
        ensure!(channels.len() == 3, "{color}");
        let linear = |channel: f64| match channel / 255.0 {
            low if low <= 0.04045 => low / 12.92,
            high => ((high + 0.055) / 1.055).powf(2.4),
        };
        Ok(0.2126 * linear(channels[0])
            + 0.7152 * linear(channels[1])
            + 0.0722 * linear(channels[2]))
    };
    let color = |place: usize| style[place].as_str().context("no color");
    Ok((luminance(color(0)?)?, luminance(color(1)?)?))
}

/// Waits until the page is dark or light. The browser applies a media feature after its answer.
async fn ensure_dark(page: &Page, is_dark: bool) -> Result<()> {
    let (background, text) = until("the theme", async || {
        let colors = luminances(page).await?;
        Ok(((colors.0 < 0.05) == is_dark).then_some(colors))
    })
    .await?;
    let (light, dark) = (background.max(text), background.min(text));
    assert!((light + 0.05) / (dark + 0.05) >= 7.0, "{background} {text}");
    Ok(())
}

#[tokio::test]
async fn theme_follows_the_system_or_the_stored_choice() {
    let page = Page::open(&[], &[]).await.unwrap();
    let system = async |theme: &str| {
        page.browser.set_media(&[("prefers-color-scheme", theme)]).await.unwrap();
    };
    let stored = "localStorage.getItem('rotation-local.theme')";
    let button = "document.getElementById('theme').innerText";
    system("light").await;
    ensure_dark(&page, false).await.unwrap();
    system("dark").await;
    ensure_dark(&page, true).await.unwrap();
    page.becomes(button, "Light theme").await.unwrap();

    page.browser.press("t").await.unwrap();
    ensure_dark(&page, false).await.unwrap();
    page.becomes(stored, "light").await.unwrap();
    // The choice is applied before the page is painted, and it outlives the page.
    page.browser.open(&page.serve.endpoint()).await.unwrap();
    ensure_dark(&page, false).await.unwrap();
    page.becomes(button, "Dark theme").await.unwrap();
    // The theme of the system is not stored, so that the page follows it again.
    page.browser.run("document.getElementById('theme').click()").await.unwrap();
    ensure_dark(&page, true).await.unwrap();
    page.becomes(stored, serde_json::Value::Null).await.unwrap();
    system("light").await;
    ensure_dark(&page, false).await.unwrap();
    page.ensure_quiet().await.unwrap();
}
