//! Asking GitHub, or a server that speaks like it.
//!
//! Promises: only the configured origin is asked, whatever a `Link` or a redirect says, so that the
//! token goes nowhere else; an answer is at most 10 MiB and takes at most 10 s; what may pass (5xx,
//! a cut connection, half an answer, a limit of seconds) is tried again with backoff; a limit that
//! takes longer is an error with the instant from which on it may be tried again, and nothing is
//! asked before. Limits: <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api>.

use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::time::Duration;

use reqwest::header::{
    ACCEPT, AUTHORIZATION, DATE, ETAG, HeaderMap, IF_NONE_MATCH, LINK, LOCATION, RETRY_AFTER,
};
use reqwest::{Response, StatusCode, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use crate::http;
use atalaya_domain::backoff::Backoff;
use atalaya_domain::error_class::ErrorClass;
use atalaya_domain::time::Timestamp;

/// Of an answer.
const ANSWER_BYTES: usize = 10 << 20;
/// Of an error's body.
const ERROR_BYTES: usize = 4 << 10;
/// Characters of what GitHub says about an error.
const SAID: usize = 200;
/// Tries of one request.
const TRIES: u32 = 4;
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(8));
/// A wait up to this long is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// After a secondary limit that says no time. Source: the page above.
const SECONDARY_WAIT: Duration = Duration::from_secs(60);
/// Redirects of one request, all to the same origin: a repository was renamed.
const REDIRECTS: u32 = 3;

/// Why a question has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    #[error("GitHub wants no further question before {} (rate limit)", until.to_rfc3339())]
    Limited { until: Timestamp },
    #[error(
        "GitHub does not allow it ({status} for {path}: {said}); give a token that may read the repository"
    )]
    Refused {
        status: u16,
        path: String,
        said: String,
    },
    #[error(
        "GitHub knows no {path}, or the token may not see it; see to the name of the repository and to the token"
    )]
    Missing { path: String },
    #[error("GitHub could not be asked in {TRIES} tries ({path}): {why}")]
    Away { path: String, why: String },
    #[error("what GitHub answers cannot be used ({path}): {why}")]
    Odd { path: String, why: String },
}

impl AskError {
    /// Who has to do what before the same succeeds.
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::Limited { .. } => ErrorClass::Busy,
            Self::Refused { .. } => ErrorClass::Usage,
            Self::Missing { .. } => ErrorClass::Missing,
            Self::Away { .. } => ErrorClass::Transient,
            Self::Odd { .. } => ErrorClass::Broken,
        }
    }

    /// Whether the same may succeed later without anybody doing anything.
    pub const fn passes(&self) -> bool {
        matches!(self, Self::Limited { .. } | Self::Away { .. })
    }
}

/// What GitHub answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// It is as it was when it had the `ETag` that was sent.
    NotModified,
    Page(Page),
}

/// One page of a list, or one thing.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    pub body: Value,
    /// Address of the next page.
    pub next: Option<String>,
    pub etag: Option<String>,
}

/// Asks one server.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    token: Option<SecretString>,
    backoff: Backoff,
    /// Nothing is asked before, in microseconds; 0: no limit is known.
    limited_until: AtomicI64,
    requests: AtomicU32,
    unchanged: AtomicU32,
}

/// What became of one try.
enum Tried {
    Done(Answer),
    /// To another address of the same origin.
    Moved(Url),
    /// It may pass.
    Again {
        why: String,
        /// At least so long from now.
        wait: Option<Duration>,
    },
    No(AskError),
}

impl Client {
    /// `base_url` is `https://api.github.com`, or `https://HOST/api/v3`.
    ///
    /// # Errors
    /// It is no address.
    pub fn new(
        http: reqwest::Client,
        base_url: &str,
        token: Option<SecretString>,
    ) -> Result<Self, String> {
        let base = Url::parse(&format!("{}/", base_url.trim().trim_end_matches('/')))
            .map_err(|error| error.to_string())?;
        Ok(Self {
            http,
            base,
            token,
            backoff: BACKOFF,
            limited_until: AtomicI64::new(0),
            requests: AtomicU32::new(0),
            unchanged: AtomicU32::new(0),
        })
    }

    /// The same with other pauses between its tries.
    #[must_use]
    pub fn with_backoff(self, backoff: Backoff) -> Self {
        Self { backoff, ..self }
    }

    /// Nothing is asked before this.
    pub fn wait_until(&self, until: Timestamp) {
        self.limited_until
            .fetch_max(until.micros(), Ordering::Relaxed);
    }

    /// Requests that were sent, and those of them that were answered by "not modified".
    pub fn counts(&self) -> (u32, u32) {
        (
            self.requests.load(Ordering::Relaxed),
            self.unchanged.load(Ordering::Relaxed),
        )
    }

    /// Asks for a path below the base (`repos/acme/shop/pulls?state=all`), or for a whole address
    /// that an earlier answer named.
    ///
    /// # Errors
    /// See [`AskError`].
    pub async fn get(&self, place: &str, etag: Option<&str>) -> Result<Answer, AskError> {
        let mut url = self.address(place)?;
        let path = shown(&url);
        let mut moved = 0;
        let mut failures = 0;
        loop {
            self.check_limit()?;
            let (why, wait) = match self.try_once(&url, &path, etag).await {
                Tried::Done(answer) => return Ok(answer),
                Tried::No(error) => return Err(error),
                Tried::Moved(to) if moved < REDIRECTS => {
                    moved += 1;
                    url = to;
                    continue;
                }
                Tried::Moved(_) => {
                    let why = "it moves on and on".to_owned();
                    return Err(AskError::Odd { path, why });
                }
                Tried::Again { why, wait } => (why, wait),
            };
            failures += 1;
            if failures >= TRIES {
                return Err(AskError::Away { path, why });
            }
            let pause = self.backoff.jittered(failures, rand::random());
            tokio::time::sleep(pause.max(wait.unwrap_or_default())).await;
        }
    }

    fn address(&self, place: &str) -> Result<Url, AskError> {
        let url = self.base.join(place).map_err(|error| AskError::Odd {
            path: place.to_owned(),
            why: error.to_string(),
        })?;
        if url.origin() == self.base.origin() {
            return Ok(url);
        }
        Err(AskError::Odd {
            path: shown(&url),
            why: format!(
                "it is on another server ({}) than base_url, which is not asked",
                url.host_str().unwrap_or("no host")
            ),
        })
    }

    fn check_limit(&self) -> Result<(), AskError> {
        let until = Timestamp::from_micros(self.limited_until.load(Ordering::Relaxed));
        if until > Timestamp::now() {
            return Err(AskError::Limited { until });
        }
        Ok(())
    }

    async fn try_once(&self, url: &Url, path: &str, etag: Option<&str>) -> Tried {
        let mut request = self
            .http
            .get(url.clone())
            .header(ACCEPT, "application/vnd.github+json")
            .header("X-GitHub-Api-Version", "2022-11-28");
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, format!("Bearer {}", token.expose_secret()));
        }
        if let Some(etag) = etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        self.requests.fetch_add(1, Ordering::Relaxed);
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => {
                let why = http::words(error);
                return Tried::Again { why, wait: None };
            }
        };
        let status = response.status();
        if status == StatusCode::NOT_MODIFIED {
            self.unchanged.fetch_add(1, Ordering::Relaxed);
            return Tried::Done(Answer::NotModified);
        }
        if status.is_redirection() {
            return self.moved(url, path, response.headers());
        }
        if status.is_success() {
            return self.page(path, response).await;
        }
        self.refused(path, response).await
    }

    fn moved(&self, url: &Url, path: &str, headers: &HeaderMap) -> Tried {
        let to = text(headers, LOCATION.as_str()).and_then(|to| url.join(to).ok());
        match to {
            Some(to) if to.origin() == self.base.origin() => Tried::Moved(to),
            other => {
                let host = other.as_ref().and_then(Url::host_str).unwrap_or("nowhere");
                Tried::No(AskError::Odd {
                    path: path.to_owned(),
                    why: format!(
                        "it sends on to another server ({host}), which is not followed; see to base_url"
                    ),
                })
            }
        }
    }

    async fn page(&self, path: &str, response: Response) -> Tried {
        let headers = response.headers().clone();
        let odd = |why: String| {
            Tried::No(AskError::Odd {
                path: path.to_owned(),
                why,
            })
        };
        let bytes = match read(response, ANSWER_BYTES).await {
            Ok(bytes) if bytes.len() > ANSWER_BYTES => {
                return odd("it is longer than 10 MiB".to_owned());
            }
            Ok(bytes) => bytes,
            Err(why) => return Tried::Again { why, wait: None },
        };
        // Half an answer looks like this too, where its length was not said.
        let body: Value = match serde_json::from_slice(&bytes) {
            Ok(body) => body,
            Err(error) => {
                let why = format!("it is no JSON: {error}");
                return Tried::Again { why, wait: None };
            }
        };
        if text(&headers, "x-ratelimit-remaining").map(str::trim) == Some("0")
            && let Some(wait) = reset(&headers)
        {
            self.wait_until(Timestamp::now().saturating_add(wait));
        }
        let next = text(&headers, LINK.as_str()).and_then(next_of);
        Tried::Done(Answer::Page(Page {
            body,
            next: next.map(str::to_owned),
            etag: text(&headers, ETAG.as_str()).map(str::to_owned),
        }))
    }

    async fn refused(&self, path: &str, response: Response) -> Tried {
        let status = response.status();
        let headers = response.headers().clone();
        let body = read(response, ERROR_BYTES).await.unwrap_or_default();
        let said = message(&body);
        let path = path.to_owned();
        match status {
            StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS => {
                match limit(status, &headers, &said) {
                    Some(wait) if wait <= PATIENCE => Tried::Again {
                        why: format!("HTTP {}: {said}", status.as_u16()),
                        wait: Some(wait),
                    },
                    Some(wait) => {
                        let until = Timestamp::now().saturating_add(wait);
                        self.wait_until(until);
                        Tried::No(AskError::Limited { until })
                    }
                    None => Tried::No(AskError::Refused {
                        status: status.as_u16(),
                        path,
                        said,
                    }),
                }
            }
            StatusCode::UNAUTHORIZED => Tried::No(AskError::Refused {
                status: status.as_u16(),
                path,
                said,
            }),
            StatusCode::NOT_FOUND
            | StatusCode::GONE
            | StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS => Tried::No(AskError::Missing { path }),
            status if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => {
                let wait = text(&headers, RETRY_AFTER.as_str())
                    .and_then(|text| http::retry_after(text, Timestamp::now()));
                Tried::Again {
                    why: format!("HTTP {}: {said}", status.as_u16()),
                    wait: wait.map(|wait| wait.min(PATIENCE)),
                }
            }
            status => Tried::No(AskError::Odd {
                path,
                why: format!("HTTP {}: {said}", status.as_u16()),
            }),
        }
    }
}

/// How long the limit lasts that an answer speaks of, the primary or a secondary one.
fn limit(status: StatusCode, headers: &HeaderMap, said: &str) -> Option<Duration> {
    if let Some(wait) = text(headers, RETRY_AFTER.as_str())
        .and_then(|text| http::retry_after(text, Timestamp::now()))
    {
        return Some(wait);
    }
    if text(headers, "x-ratelimit-remaining").map(str::trim) == Some("0") {
        return Some(reset(headers).unwrap_or(SECONDARY_WAIT));
    }
    let is_secondary =
        status == StatusCode::TOO_MANY_REQUESTS || said.to_lowercase().contains("rate limit");
    is_secondary.then_some(SECONDARY_WAIT)
}

/// How long until the limit is renewed, by the server's own clock where it says one.
fn reset(headers: &HeaderMap) -> Option<Duration> {
    let at: i64 = text(headers, "x-ratelimit-reset")?.trim().parse().ok()?;
    // No limit is longer; also keeps an odd number from overflowing.
    let at = Timestamp::from_seconds(at.clamp(0, 1 << 40));
    let now = text(headers, DATE.as_str())
        .and_then(|text| chrono::DateTime::parse_from_rfc2822(text).ok())
        .map_or_else(Timestamp::now, Timestamp::from);
    // A second more, as the clock of the limit has whole seconds.
    Some((at.since(now) + Duration::from_secs(1)).min(http::LONGEST_WAIT))
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// At most one byte more than `most`.
async fn read(mut response: Response, most: usize) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    while let Some(part) = response.chunk().await.map_err(http::words)? {
        let room = most + 1 - bytes.len();
        bytes.extend_from_slice(&part[..part.len().min(room)]);
        if bytes.len() > most {
            break;
        }
    }
    Ok(bytes)
}

/// What GitHub says about an error: its `message`, else the beginning of the text.
fn message(body: &[u8]) -> String {
    let text = match serde_json::from_slice::<Value>(body) {
        Ok(value) => value["message"].as_str().unwrap_or_default().to_owned(),
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.is_empty() {
        return "without a word".to_owned();
    }
    text.chars().take(SAID).collect()
}

/// Path and query, for people.
fn shown(url: &Url) -> String {
    match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    }
}

/// The address with `rel="next"`. Source: RFC 8288.
fn next_of(header: &str) -> Option<&str> {
    let mut rest = header;
    while let Some((_, link)) = rest.split_once('<') {
        let (address, after) = link.split_once('>')?;
        let parameters = after.split('<').next().unwrap_or_default();
        let is_next = parameters.split([';', ',']).any(|parameter| {
            parameter.split_once('=').is_some_and(|(name, value)| {
                name.trim().eq_ignore_ascii_case("rel")
                    && value
                        .trim()
                        .trim_matches('"')
                        .split_whitespace()
                        .any(|relation| relation.eq_ignore_ascii_case("next"))
            })
        });
        if is_next {
            return Some(address);
        }
        rest = after;
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn the_next_page_is_found_among_the_links() {
        for (header, next) in [
            (
                r#"<https://x/a?page=2>; rel="next", <https://x/a?page=9>; rel="last""#,
                Some("https://x/a?page=2"),
            ),
            (
                r#"<https://x/a?q=1,2>; rel="prev", <https://x/b?q=3,4>; rel=next"#,
                Some("https://x/b?q=3,4"),
            ),
            (r#"<https://x/a>;rel="first next""#, Some("https://x/a")),
            (r#"<https://x/a>; rel="prev"; title="rel=next""#, None),
            (r#"<https://x/next>; rel="last""#, None),
            ("nonsense", None),
            ("<unclosed", None),
            ("", None),
        ] {
            assert_eq!(next_of(header), next, "{header}");
        }
    }

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| {
                (
                    reqwest::header::HeaderName::from_static(name),
                    value.parse().unwrap(),
                )
            })
            .collect()
    }

    #[test]
    fn limits_are_told_apart_from_refusals() {
        let of = |status: u16, lines: &[(&'static str, &str)], said: &str| {
            let status = StatusCode::from_u16(status).unwrap();
            limit(status, &headers(lines), said).map(|wait| wait.as_secs())
        };
        let reset = [
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", "1445412540"),
            ("date", "Wed, 21 Oct 2015 07:28:00 GMT"),
        ];
        // By the server's clock, whatever ours says.
        assert_eq!(of(403, &reset, ""), Some(61));
        assert_eq!(of(429, &[("retry-after", "30")], ""), Some(30));
        assert_eq!(of(403, &[("retry-after", "30")], ""), Some(30));
        assert_eq!(of(429, &[], "slow down"), Some(60));
        let said = "You have exceeded a secondary rate limit.";
        assert_eq!(
            of(403, &[("x-ratelimit-remaining", "4000")], said),
            Some(60)
        );
        assert_eq!(
            of(
                403,
                &[("x-ratelimit-remaining", "4000")],
                "Resource not accessible"
            ),
            None
        );
        assert_eq!(
            of(
                403,
                &[
                    ("x-ratelimit-remaining", "0"),
                    ("x-ratelimit-reset", "soon")
                ],
                ""
            ),
            Some(60)
        );
        let never = [
            ("x-ratelimit-remaining", "0"),
            ("x-ratelimit-reset", "9223372036854775807"),
        ];
        assert_eq!(of(403, &never, ""), Some(6 * 3_600));
    }
}
