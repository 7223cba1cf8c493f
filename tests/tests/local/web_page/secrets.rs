//! Tests of the list of secrets with its filters, and of the labels of an opened secret.

use anyhow::Result;
use aws_sdk_secretsmanager::types::{ReplicaRegionType, RotationRulesType};
use rotation_tests::local::{REGION, script};
use serde_json::json;

use super::{Page, texts};

/// Chooses an option of the state filter, as a click does.
async fn choose(page: &Page, state: &str) -> Result<()> {
    let click = format!("document.querySelector('input[value={state}]').click()");
    page.get(&click).await.map(drop)
}

#[tokio::test]
async fn filters_select_secrets_by_text_and_state() {
    let folder = tempfile::tempdir().unwrap();
    let slow = script(folder.path(), "slow", "sleep 600").unwrap();
    let broken = script(folder.path(), "broken", "exit 1").unwrap();
    let arguments = ["--function", &slow, "--function", &broken, "--attempts", "1"];
    let page = Page::open(&arguments, &[]).await.unwrap();
    page.sees("aws secretsmanager create-secret").await.unwrap();
    let sdk = page.serve.client();
    for name in ["shop/slow", "shop/broken", "shop/planned", "plain"] {
        page.create(name).await.unwrap();
    }
    let region = ReplicaRegionType::builder().region("eu-west-1").build();
    let creating = sdk.create_secret().name("copied").secret_string("a-value");
    creating.add_replica_regions(region).description("Of the Shop").send().await.unwrap();
    page.rotate("shop/slow", "slow").await.unwrap();
    page.rotate("shop/broken", "broken").await.unwrap();
    let rules = RotationRulesType::builder().automatically_after_days(30).build();
    let arn = format!("arn:aws:lambda:{REGION}:123456789012:function:broken");
    let planning = sdk.rotate_secret().secret_id("shop/planned").rotation_lambda_arn(arn);
    planning.rotation_rules(rules).rotate_immediately(false).send().await.unwrap();
    page.sees("Runtime.ExitError").await.unwrap();

    let names = texts("#secret-list .secret-name");
    // The secrets are sorted by region.
    let all = json!(["copied", "copied", "plain", "shop/broken", "shop/planned", "shop/slow"]);
    page.becomes(&names, all.clone()).await.unwrap();
    for (state, expected) in [
        ("rotating", json!(["shop/slow"])),
        // The test of the planned secret has failed, too.
        ("failed", json!(["shop/broken", "shop/planned"])),
        ("scheduled", json!(["shop/planned"])),
        ("replicas", json!(["copied", "copied"])),
        ("all", all),
    ] {
        let count = format!("Number(document.querySelector('[data-count={state}]').textContent)");
        page.becomes(&count, expected.as_array().map_or(0, Vec::len)).await.unwrap();
        choose(&page, state).await.unwrap();
        page.becomes(&names, expected).await.unwrap();
    }
    // Words are found in the name and the description, in any case.
    page.browser.press("/SHOP").await.unwrap();
    let expected = json!(["copied", "copied", "shop/broken", "shop/planned", "shop/slow"]);
    page.becomes(&names, expected).await.unwrap();
    choose(&page, "failed").await.unwrap();
    page.becomes(&names, json!(["shop/broken", "shop/planned"])).await.unwrap();
    page.browser.press("/nothing-like-this").await.unwrap();
    page.sees("No secret matches the filters.").await.unwrap();
    page.ensure_quiet().await.unwrap();
}

/// Records the animations of the labels: the label and the first transformation.
const RECORD_MOVEMENTS: &str = "window.movements = {};
    const original = Element.prototype.animate;
    Element.prototype.animate = function (frames, options) {
        window.movements[this.dataset.label] = frames[0].transform;
        return original.call(this, frames, options);
    };";

/// The versions with their labels.
const LABELS: &str = "[...document.querySelectorAll('.version')].map((version) => [
    version.dataset.version,
    [...version.querySelectorAll('.label')].map((label) => label.innerText),
])";

#[tokio::test]
async fn labels_move_between_versions() {
    let page = Page::open(&[], &[]).await.unwrap();
    let sdk = page.serve.client();
    let first = sdk.create_secret().name("app").secret_string("one").send().await.unwrap();
    let first = first.version_id.unwrap();
    page.becomes(LABELS, json!([[first, ["AWSCURRENT"]]])).await.unwrap();
    page.browser.run(RECORD_MOVEMENTS).await.unwrap();

    let second = sdk.put_secret_value().secret_id("app").secret_string("two").send().await.unwrap();
    let second = second.version_id.unwrap();
    let moved = json!([[first, ["AWSPREVIOUS"]], [second, ["AWSCURRENT"]]]);
    page.becomes(LABELS, moved).await.unwrap();
    let movements = page.get("window.movements").await.unwrap();
    // The versions are side by side, so the chip comes from the left, at the same height.
    let current = movements["AWSCURRENT"].as_str().unwrap();
    let distance =
        current.strip_prefix("translate(-").and_then(|rest| rest.strip_suffix("px, 0px)"));
    assert!(distance.and_then(|x| x.parse::<f64>().ok()).is_some_and(|x| x > 100.0), "{movements}");
    // The label is new, so it does not move, but appears.
    assert_eq!(movements["AWSPREVIOUS"], "scale(.6)", "{movements}");
    let news = "document.getElementById('news').textContent";
    let short: String = second.chars().take(8).collect();
    let expected = format!("AWSCURRENT of app has moved to version {short}….");
    page.becomes(&format!("{news}.includes({expected:?})"), true).await.unwrap();

    // Who prefers reduced motion sees the result at once.
    page.browser.set_media(&[("prefers-reduced-motion", "reduce")]).await.unwrap();
    page.get("(window.movements = {})").await.unwrap();
    sdk.put_secret_value().secret_id("app").secret_string("three").send().await.unwrap();
    page.becomes("document.querySelectorAll('.version.deprecated').length", 1).await.unwrap();
    assert_eq!(page.get("window.movements").await.unwrap(), json!({}));
    page.ensure_quiet().await.unwrap();
}
