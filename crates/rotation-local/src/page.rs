//! The web page of `serve`, which shows secrets with their versions and staging labels, rotations
//! as they run, and the functions' logs. It does not show values.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use chrono::DateTime;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use secretsmanager_emulator::{Secret, Service};

use crate::activity::{EventLog, Run, Step};

const SCRIPT: &str = include_str!("page/script.js");
const STYLE: &str = include_str!("page/style.css");

/// The maximum number of secrets on the page.
const MAX_SECRETS: usize = 200;

/// The data that the page shows.
#[derive(Clone)]
struct Shown {
    service: Service,
    activity: EventLog,
}

/// Returns the routes of the page: the whole page is at `/`, and the part that changes at `/now`.
pub(crate) fn pages(service: Service, activity: EventLog) -> Router {
    Router::new()
        .route("/", get(whole))
        .route("/now", get(part))
        .with_state(Shown { service, activity })
}

async fn whole(State(shown): State<Shown>, headers: HeaderMap) -> Response {
    if !is_local(&headers) {
        return foreign();
    }
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                title { "rotation-local" }
                meta name="viewport" content="width=device-width, initial-scale=1";
                noscript { meta http-equiv="refresh" content="2"; }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "rotation-local" small { "Secrets Manager on this machine" } }
                main #now { (now(&shown)) }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    // The page loads nothing from other sites, even if a secret's name or a log line contains HTML.
    let policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                  connect-src 'self'";
    (
        [(header::CONTENT_SECURITY_POLICY, policy), (header::CACHE_CONTROL, "no-store")],
        Html(page.into_string()),
    )
        .into_response()
}

async fn part(State(shown): State<Shown>, headers: HeaderMap) -> Response {
    if !is_local(&headers) {
        return foreign();
    }
    ([(header::CACHE_CONTROL, "no-store")], Html(now(&shown).into_string())).into_response()
}

/// Returns `true` if the request names this machine by `localhost` or an IP address.
///
/// With DNS rebinding, a page of another site can make its own host name resolve to this machine.
/// Its requests have that name in the `Host` header.
fn is_local(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    matches!(name, "localhost" | "127.0.0.1" | "[::1]") || name.parse::<std::net::IpAddr>().is_ok()
}

fn foreign() -> Response {
    (StatusCode::FORBIDDEN, "Open this page with an IP address, as in http://127.0.0.1:PORT/\n")
        .into_response()
}

fn now(shown: &Shown) -> Markup {
    let runs = shown.activity.look().rotations.clone();
    let lines = shown.activity.lines();
    html! {
        h2 { "Rotations" }
        @if runs.is_empty() {
            p {
                "No rotations yet. To start one: "
                code { "aws secretsmanager rotate-secret --secret-id NAME --rotation-lambda-arn …" }
            }
        }
        @for run in runs.iter().rev() { (rotation(run)) }
        h2 { "Secrets" }
        (secrets(&shown.service))
        h2 { "Function logs" }
        pre #log { @for (function, line) in &lines { b { (function) } " " (line) "\n" } }
    }
}

fn rotation(run: &Run) -> Markup {
    html! {
        section .run {
            h3 { (run.secret) " by " (run.function) " " small { "version " (run.token) } " "
                @match run.end {
                    Some(end) => b .(end.replace(' ', "-")) { (end) },
                    None => b .running { "running" }
                }
            }
            ol { @for one in &run.steps { (step(one)) } }
        }
    }
}

fn step(step: &Step) -> Markup {
    html! {
        @match &step.ended {
            None => li .running { (step.name) " …" },
            Some(ended) => li .(if ended.well { "well" } else { "failed" }) {
                (if ended.well { "✓ " } else { "✗ " }) (step.name) " "
                small { (ended.took.as_millis()) " ms" }
                @if step.attempt > 1 { small { ", attempt " (step.attempt) } }
                " " (ended.message)
            },
        }
    }
}

fn secrets(service: &Service) -> Markup {
    service.with_store(|store| {
        let count = store.all().count();
        html! {
            @if count == 0 {
                p {
                    "No secrets yet. To create one: "
                    code { "aws secretsmanager create-secret --name NAME --secret-string …" }
                }
            }
            @if count > MAX_SECRETS {
                p { (count) " secrets, of which this page shows the first " (MAX_SECRETS) "." }
            }
            @for secret in store.all().take(MAX_SECRETS) { (one_secret(secret)) }
        }
    })
}

fn one_secret(secret: &Secret) -> Markup {
    let rotation = secret.rotation.as_ref().filter(|rotation| rotation.enabled);
    html! {
        section .secret {
            h3 { (secret.name) " " small { (secret.region) }
                @if secret.deletion.is_some() { " " b .failed { "marked for deletion" } } }
            @if let Some(description) = &secret.description { p { (description) } }
            @if let Some(rotation) = rotation {
                p { "rotated by " (rotation.function)
                    @if let Some(next) = rotation.next { ", next by " (date(next.closes)) } }
            }
            table {
                tr { th { "version" } th { "labels" } th { "created" } th { "value" } }
                @for version in
                    secret.versions.iter().rev().filter(|version| !version.is_deprecated())
                {
                    tr {
                        td { code { (version.id) } }
                        td { @for label in &version.labels { span .label { (label) } " " } }
                        td { (date(version.created)) }
                        td { (if version.value.is_some() { "•••••••" } else { "none yet" }) }
                    }
                }
            }
            @let deprecated =
                secret.versions.iter().filter(|version| version.is_deprecated()).count();
            @if deprecated > 0 { p { small { "and " (deprecated) " deprecated" } } }
        }
    }
}

fn date(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "seconds since 1970")]
    let date = DateTime::from_timestamp(seconds as i64, 0);
    date.map(|date| date.format("%Y-%m-%d %H:%M:%S UTC").to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_host_header_is_rejected() {
        let with = |host: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            is_local(&headers)
        };
        for host in ["127.0.0.1:4680", "localhost:4680", "[::1]:4680", "localhost"] {
            assert!(with(host), "{host}");
        }
        for host in ["evil.example:4680", "127.0.0.1.evil.example", "", "localhost.evil.example:80"]
        {
            assert!(!with(host), "{host}");
        }
    }
}
