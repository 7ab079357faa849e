//! Answers: JSON in which nothing acts on a terminal, with an `ETag` that says whether it changed.

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LINK, VARY};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt as _;
use serde_json::Value;

use super::problem::Problem;
use crate::shown;

/// A JSON answer.
#[derive(Clone, Debug)]
pub struct Answer {
    value: Value,
    /// Where the next page is.
    next: Option<String>,
}

impl Answer {
    pub const fn new(value: Value) -> Self {
        Self { value, next: None }
    }

    /// The same with a `Link` to the next page, if there is one.
    pub fn with_next(self, next: Option<String>) -> Self {
        Self { next, ..self }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let text = format!("{}\n", self.value);
        let mut response = shown::json(&text).into_owned().into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let link = self.next.map(|next| format!("<{next}>; rel=\"next\""));
        if let Some(link) = link.and_then(|link| HeaderValue::from_str(&link).ok()) {
            headers.insert(LINK, link);
        }
        response
    }
}

/// Marks each whole answer with what is in it, and leaves out what the client has already.
pub async fn conditional(request: Request, next: Next) -> Response {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let known = request.headers().get(IF_NONE_MATCH).cloned();
    let response = next.run(request).await;
    let is_json = response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind == "application/json");
    if !is_read || response.status() != StatusCode::OK || !is_json {
        return response;
    }
    let (mut head, body) = response.into_parts();
    let bytes = match body.collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(error) => {
            tracing::error!(%error, "an answer ended before its end");
            return Problem::internal().into_response();
        }
    };
    // Weak: the same answer comes packed, too.
    let tag = format!("W/\"{}\"", &blake3::hash(&bytes).to_hex()[..32]);
    if let Ok(value) = HeaderValue::from_str(&tag) {
        head.headers.insert(ETAG, value);
    }
    head.headers
        .insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    head.headers
        .append(VARY, HeaderValue::from_static("authorization"));
    if known.is_some_and(|known| is_known(&known, &tag)) {
        head.status = StatusCode::NOT_MODIFIED;
        strip(&mut head.headers);
        return Response::from_parts(head, Body::empty());
    }
    Response::from_parts(head, Body::from(bytes))
}

fn strip(headers: &mut HeaderMap) {
    headers.remove(CONTENT_TYPE);
    headers.remove(axum::http::header::CONTENT_LENGTH);
}

/// Whether one of the tags of an `If-None-Match` is this one.
fn is_known(header: &HeaderValue, tag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    header.to_str().is_ok_and(|text| {
        text.split(',')
            .any(|known| known.trim() == "*" || opaque(known) == opaque(tag))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_known_whether_weak_or_not_and_among_others() {
        let known = |text: &'static str| is_known(&HeaderValue::from_static(text), "W/\"ab\"");
        assert!(known("W/\"ab\"") && known("\"ab\"") && known("\"x\", W/\"ab\"") && known("*"));
        assert!(!known("\"abc\"") && !known("ab") && !known(""));
    }
}
