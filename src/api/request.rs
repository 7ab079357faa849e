//! One request: its id; who asks and how often; its whole body, within size and time; a place among
//! those that are answered; the routes. Only the last makes the stores work.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Uri};
use axum::response::{IntoResponse as _, Response};
use futures::FutureExt as _;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tower::ServiceExt as _;

use super::links::{Answering, Link};
use super::problem::Problem;
use super::{Shared, auth, peer, routes};
use crate::config::ApiSettings;
use atalaya_domain::limit::Verdict;
use atalaya_ingest::contained::contained;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const LONGEST_ID: usize = 128;

/// Where requests are answered.
pub struct Desk {
    api: Shared,
    routes: Router,
    /// Places for those that are being answered.
    places: Semaphore,
    /// Until a body is there, and until an answer begins.
    limit: Duration,
}

impl Desk {
    pub fn new(api: Shared, routes: Router) -> Self {
        let limits = api.settings.api.config.limits;
        Self {
            places: Semaphore::new(limits.in_flight as usize),
            limit: Duration::from_secs(limits.request_seconds.into()),
            api,
            routes,
        }
    }

    fn settings(&self) -> &ApiSettings {
        &self.api.settings.api
    }
}

/// What is said beside the answer itself.
#[derive(Default)]
struct Beside {
    verdict: Option<Verdict>,
    /// Until the answer is written.
    answering: Option<Answering>,
}

/// Answers whatever happens.
pub async fn answer(desk: &Desk, link: &Arc<Link>, request: Request<Incoming>) -> Response {
    let id = request_id(request.headers());
    let mut beside = Beside::default();
    let work = contained(pass(desk, link, request, &id, &mut beside));
    let mut response = match AssertUnwindSafe(work).catch_unwind().await {
        Ok(Ok(response)) => response,
        Ok(Err(problem)) => problem.into_response(),
        Err(_) => {
            tracing::error!(request_id = ?id, "answering a request panicked");
            Problem::internal().into_response()
        }
    };
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id);
    headers.insert(
        "x-content-type-options",
        HeaderValue::from_static("nosniff"),
    );
    if let Some(verdict) = &beside.verdict {
        auth::tell(verdict, headers);
    }
    let Some(answering) = beside.answering else {
        return response;
    };
    // The connection is at work until the last of the answer is written.
    response.map(|body| {
        Body::new(body.map_frame(move |frame| {
            let _ = &answering;
            frame
        }))
    })
}

async fn pass(
    desk: &Desk,
    link: &Arc<Link>,
    request: Request<Incoming>,
    id: &HeaderValue,
    beside: &mut Beside,
) -> Result<Response, Problem> {
    let (mut head, body) = request.into_parts();
    head.uri = canonical(&head.uri);
    let from = peer::of_request(
        link.address,
        &head.headers,
        &desk.settings().trusted_proxies,
    );
    if !routes::is_open(head.uri.path()) {
        let store = &*desk.api.stores.metrics;
        let admitted = desk.api.guard.admit(store, &head.headers, from).await;
        let (caller, verdict) = admitted?;
        tracing::debug!(
            request_id = ?id, token = caller.token.id, method = %head.method, path = head.uri.path(),
            "asked"
        );
        desk.api.was_asked.store(true, Ordering::Relaxed);
        beside.verdict = verdict;
        head.extensions.insert(caller);
    }
    let body = whole(desk, &head.headers, body).await?;
    beside.answering = Some(link.answering());
    let Ok(_place) = desk.places.try_acquire() else {
        return Err(Problem::overloaded());
    };
    let asked = Request::from_parts(head, Body::from(body));
    let answered = timeout(desk.limit, desk.routes.clone().oneshot(asked)).await;
    match answered {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(never)) => match never {},
        Err(_) => Err(Problem::timed_out(desk.limit.as_secs())),
    }
}

/// The whole body, or why not.
async fn whole(desk: &Desk, headers: &HeaderMap, body: Incoming) -> Result<Bytes, Problem> {
    let most = desk.settings().config.limits.body_bytes;
    let stated = headers
        .get(axum::http::header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if stated.is_some_and(|length| length > u64::from(most)) {
        return Err(Problem::too_large(most));
    }
    match timeout(desk.limit, Limited::new(body, most as usize).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Problem::too_large(most)),
        Ok(Err(_)) => Err(Problem::broken_body()),
        Err(_) => Err(Problem::body_timed_out(desk.limit.as_secs())),
    }
}

/// The client's id of a request, when it is one that may be written anywhere; else a new one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let plain = |text: &&str| {
        let fits = (1..=LONGEST_ID).contains(&text.len());
        fits && text.bytes().all(|byte| byte.is_ascii_graphic())
    };
    let given = headers.get(REQUEST_ID);
    let taken = given
        .and_then(|value| value.to_str().ok())
        .filter(plain)
        .and_then(|text| HeaderValue::from_str(text).ok());
    taken.unwrap_or_else(|| {
        let made = format!("req-{:016x}", rand::random::<u64>());
        HeaderValue::from_str(&made).unwrap_or_else(|_| HeaderValue::from_static("req-0"))
    })
}

/// `/api/v1/…` and a trailing slash are other spellings of the same address.
fn canonical(uri: &Uri) -> Uri {
    let path = uri.path();
    let rest = path.strip_prefix("/api/v1/");
    let mut plain = rest.map_or_else(|| path.to_owned(), |rest| format!("/api/{rest}"));
    if plain.len() > 1 && plain.ends_with('/') {
        plain.pop();
    }
    if plain == path {
        return uri.clone();
    }
    let text = match uri.query() {
        Some(query) => format!("{plain}?{query}"),
        None => plain,
    };
    text.parse::<PathAndQuery>()
        .map_or_else(|_| uri.clone(), Uri::from)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn versions_and_slashes_are_one_address() {
        for (given, plain) in [
            ("/api/v1/dora/metrics/", "/api/dora/metrics"),
            ("/api/dora/metrics/?days=7", "/api/dora/metrics?days=7"),
            ("/api/v1/logs?q=a%2F", "/api/logs?q=a%2F"),
            ("/api/logs", "/api/logs"),
            ("/healthz/", "/healthz"),
            ("/", "/"),
            ("/api/v1", "/api/v1"),
            ("/api/v1/v1/logs", "/api/v1/logs"),
        ] {
            assert_eq!(canonical(&given.parse().unwrap()).to_string(), plain);
        }
    }

    proptest! {
        #[test]
        fn an_id_is_the_clients_only_when_it_is_plain(text in "[ -~]{0,140}") {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_str(&text).unwrap());
            let id = request_id(&headers);
            let plain = !text.is_empty() && text.len() <= 128 && !text.contains(' ');
            prop_assert_eq!(id == text.as_str(), plain);
            prop_assert!(!id.is_empty());
        }

        #[test]
        fn any_path_stays_a_path(path in "/[a-z0-9/%._-]{0,60}") {
            if let Ok(uri) = path.parse::<Uri>() {
                let plain = canonical(&uri);
                prop_assert!(plain.path().starts_with('/'));
            }
        }
    }
}
