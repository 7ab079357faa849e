//! Who asks, what their token permits, and how much of it is left.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::peer;
use super::problem::Problem;
use crate::config::ApiSettings;
use crate::service::tokens;
use atalaya_domain::limit::{Limiter, Verdict};
use atalaya_domain::time::Timestamp;
use atalaya_domain::token::{Scope, TokenRecord};
use atalaya_store::metrics::MetricsStore;

/// Names whose requests are remembered, of each kind.
const MOST_NAMES: usize = 10_000;
/// The steady clock of the limits begins here, so that requests of before a restart have a place on it.
const CLOCK_START: Duration = Duration::from_secs(2 * 86_400);

/// Who asks: a valid token.
#[derive(Clone, Debug)]
pub struct Caller {
    pub token: TokenRecord,
}

/// What everybody has asked lately.
pub struct Guard {
    started: Instant,
    /// By the id of the token.
    tokens: Mutex<Limiter>,
    /// Requests without a valid token, by the peer.
    failures: Mutex<Limiter>,
}

/// What is counted of tokens, with the ages of their requests.
pub type Counted = Vec<(String, Vec<Duration>)>;

impl Guard {
    pub fn new(settings: &ApiSettings) -> Self {
        Self {
            started: Instant::now(),
            tokens: Mutex::new(Limiter::new(&settings.of_token(), MOST_NAMES)),
            failures: Mutex::new(Limiter::new(&settings.of_failures(), MOST_NAMES)),
        }
    }

    fn now(&self) -> Duration {
        CLOCK_START + self.started.elapsed()
    }

    /// Who asks, and what is left to them; counts the request.
    pub async fn admit(
        &self,
        store: &dyn MetricsStore,
        headers: &HeaderMap,
        from: IpAddr,
    ) -> Result<(Caller, Option<Verdict>), Problem> {
        let known = match bearer(headers) {
            Some(text) => tokens::authenticate(store, text, Timestamp::now()).await?,
            None => None,
        };
        let Some(token) = known else {
            return Err(self.count_failure(from));
        };
        let verdict = lock(&self.tokens).ask(&token.id, self.now());
        match verdict {
            Some(verdict) if !verdict.is_admitted => Err(Problem::too_many(verdict)),
            verdict => Ok((Caller { token }, verdict)),
        }
    }

    /// A peer who goes on failing is told to wait. A valid token is never asked for its peer's sins:
    /// nobody guesses 256 bits, and somebody behind the same address has one.
    fn count_failure(&self, from: IpAddr) -> Problem {
        let name = peer::key(from).to_string();
        match lock(&self.failures).ask(&name, self.now()) {
            Some(verdict) if !verdict.is_admitted => Problem::too_many(verdict),
            _ => Problem::unauthorized(),
        }
    }

    pub fn counted(&self) -> Counted {
        lock(&self.tokens).ages(self.now())
    }

    pub fn restore(&self, counted: Counted) {
        lock(&self.tokens).restore(counted, self.now());
    }
}

fn lock(limiter: &Mutex<Limiter>) -> std::sync::MutexGuard<'_, Limiter> {
    // Each call leaves it whole.
    limiter.lock().unwrap_or_else(PoisonError::into_inner)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = text.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim_start())
}

/// Says in the answer how much is left.
pub fn tell(verdict: &Verdict, headers: &mut HeaderMap) {
    let values = [
        ("x-ratelimit-limit", u64::from(verdict.limit.most)),
        ("x-ratelimit-remaining", u64::from(verdict.remaining)),
        ("x-ratelimit-reset", verdict.reset_seconds()),
    ];
    for (name, value) in values {
        headers.insert(name, HeaderValue::from(value));
    }
}

/// Refuses who may not do what the routes below do.
pub async fn require(scope: Scope, request: Request, next: Next) -> Response {
    let caller = request.extensions().get::<Caller>();
    match caller {
        Some(caller) if caller.token.allows(scope) => next.run(request).await,
        Some(_) => Problem::forbidden(scope.name()).into_response(),
        None => Problem::unauthorized().into_response(),
    }
}
