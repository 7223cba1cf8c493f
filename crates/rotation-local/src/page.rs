//! The web page of `serve`, which shows secrets with their versions and staging labels, rotations
//! as they run, and the functions' logs. It does not show values.
//!
//! The page is a set of files, which are part of the program. Its scripts read `/state`, which
//! [`state`] describes.

mod files;
mod state;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use secretsmanager_emulator::Service;

use crate::activity::EventLog;

/// The page loads nothing from other sites, and no inline scripts or styles. Trusted Types make the
/// browser reject a script that would parse a text as HTML.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types";

/// The data that the page shows.
#[derive(Clone)]
struct Shown {
    service: Service,
    activity: EventLog,
}

/// Returns the routes of the page: the page, its files, and the state that its scripts read.
pub(crate) fn pages(service: Service, activity: EventLog) -> Router {
    Router::new()
        .route("/", get(async || file("index.html")))
        .route("/page/{name}", get(async |Path(name): Path<String>| file(&name)))
        .route("/state", get(current_state))
        .with_state(Shown { service, activity })
        .layer(middleware::from_fn(protect))
}

/// Rejects requests of other sites, and adds the headers that protect every response.
async fn protect(request: Request, next: Next) -> Response {
    let mut response = match is_local(request.headers()) {
        true => next.run(request).await,
        false => {
            let message = "Open this page with an IP address, as in http://127.0.0.1:PORT/\n";
            (StatusCode::FORBIDDEN, message).into_response()
        }
    };
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
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

fn file(name: &str) -> Response {
    match files::find(name) {
        Some((kind, text)) => ([(header::CONTENT_TYPE, kind)], text).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Answers with the state, or with 304 if the client already has it.
async fn current_state(State(shown): State<Shown>, headers: HeaderMap) -> Response {
    let state = state::state(&shown.service, &shown.activity).to_string();
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    let tag = format!("\"{:016x}\"", hasher.finish());
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return StatusCode::NOT_MODIFIED.into_response();
    }
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::ETAG, tag.as_str())];
    (headers, state).into_response()
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
