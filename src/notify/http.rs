//! Requests of channels and of the heartbeat.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, StatusCode};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use super::{Again, LIMIT, SendError, cut};
use atalaya_domain::time::Timestamp;

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Of an answer that is read.
const ANSWER_BYTES: usize = 4 << 10;
/// Longest wait that a receiver can ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(6 * 3_600);
/// Whom we are.
const AGENT: &str = concat!("atalaya/", env!("CARGO_PKG_VERSION"));

/// A client that follows no redirect and uses no proxy.
#[derive(Clone, Debug)]
pub struct Http {
    client: Client,
}

impl Http {
    /// Trusts what the system trusts, and the certificates of `ca_file`. Blocking.
    ///
    /// # Errors
    /// The file cannot be used; in words.
    pub fn new(ca_file: Option<&Path>) -> Result<Self, String> {
        let client = Client::builder()
            .tls_backend_preconfigured(tls(ca_file)?)
            .redirect(Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT_LIMIT)
            .timeout(LIMIT)
            .user_agent(AGENT)
            .build()
            .map_err(|error| error.without_url().to_string())?;
        Ok(Self { client })
    }

    pub(super) async fn post(
        &self,
        url: &str,
        headers: HeaderMap,
        body: String,
    ) -> Result<(), SendError> {
        ask(self.client.post(url).headers(headers).body(body)).await
    }

    pub(super) async fn get(&self, url: &str) -> Result<(), SendError> {
        ask(self.client.get(url)).await
    }
}

fn tls(ca_file: Option<&Path>) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    // Some systems carry certificates that do not parse; those that do are enough.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(file) = ca_file {
        let wrong = |error: &dyn std::fmt::Display| format!("ca_file: {}: {error}", file.display());
        let found: Vec<_> = CertificateDer::pem_file_iter(file)
            .and_then(Iterator::collect)
            .map_err(|error| wrong(&error))?;
        if found.is_empty() {
            return Err(wrong(&"there is no PEM certificate in it"));
        }
        for certificate in found {
            roots.add(certificate).map_err(|error| wrong(&error))?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

async fn ask(request: RequestBuilder) -> Result<(), SendError> {
    let mut response = request.send().await.map_err(failed)?;
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let again = again(status, response.headers(), Timestamp::now());
    let mut answer = Vec::new();
    // What the answer says only helps people; without it the status is enough.
    while let Ok(Some(part)) = response.chunk().await {
        let room = ANSWER_BYTES - answer.len();
        answer.extend_from_slice(&part[..part.len().min(room)]);
        if answer.len() == ANSWER_BYTES {
            break;
        }
    }
    let words = String::from_utf8_lossy(&answer);
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    let redirect = if status.is_redirection() {
        " (redirects are not followed)"
    } else {
        ""
    };
    Err(SendError {
        answer: cut(&format!("HTTP {status}{redirect}: {words}")),
        again,
    })
}

/// What a status says about another try.
fn again(status: StatusCode, headers: &HeaderMap, now: Timestamp) -> Again {
    match status {
        StatusCode::BAD_REQUEST
        | StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::UNPROCESSABLE_ENTITY => Again::No,
        _ => headers
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok())
            .and_then(|text| retry_after(text, now))
            .map_or(Again::Yes, Again::After),
    }
}

/// Seconds or a date. Source: RFC 9110, section 10.2.3.
fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let at = chrono::DateTime::parse_from_rfc2822(text).ok()?;
            Timestamp::from(at).since(now)
        }
    };
    Some(wait.min(LONGEST_WAIT))
}

/// The error and its causes, without the address.
fn failed(error: reqwest::Error) -> SendError {
    if error.is_timeout() {
        return SendError::later(format!("no answer within {} s", LIMIT.as_secs()));
    }
    let error = error.without_url();
    let causes = std::iter::successors(std::error::Error::source(&error), |cause| cause.source());
    let mut words = vec![error.to_string()];
    words.extend(causes.map(ToString::to_string));
    words.dedup();
    SendError::later(words.join(": "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_says_when_to_come_again_and_cannot_say_never() {
        let now = Timestamp::from_seconds(1_445_412_480 - 60);
        let seconds = |text| retry_after(text, now).map(|wait| wait.as_secs());
        assert_eq!(seconds("30"), Some(30));
        assert_eq!(seconds("Wed, 21 Oct 2015 07:28:00 GMT"), Some(60));
        assert_eq!(seconds("Wed, 21 Oct 2015 06:28:00 GMT"), Some(0));
        assert_eq!(seconds("99999999999"), Some(6 * 3_600));
        for odd in ["", "-1", "soon", "1.5", "99999999999999999999999999"] {
            assert_eq!(seconds(odd), None, "{odd}");
        }
    }
}
