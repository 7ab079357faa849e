//! The one HTTP client: how others are asked, whoever asks.
//!
//! Promises: what the system trusts is trusted, and the certificates of a configured file; no
//! redirect is followed and no proxy used; a request ends within [`LIMIT`]; an error names no address.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use reqwest::redirect::Policy;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use atalaya_domain::time::Timestamp;

/// What one request with its answer may take.
pub const LIMIT: Duration = Duration::from_secs(10);
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Longest wait that a receiver can ask for.
pub const LONGEST_WAIT: Duration = Duration::from_secs(6 * 3_600);
/// Whom we are.
const AGENT: &str = concat!("atalaya/", env!("CARGO_PKG_VERSION"));

/// Trusts what the system trusts, and the certificates of `ca_file`. Blocking.
///
/// # Errors
/// The file cannot be used; in words.
pub fn client(ca_file: Option<&Path>) -> Result<Client, String> {
    Client::builder()
        .tls_backend_preconfigured(tls(ca_file)?)
        .redirect(Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT_LIMIT)
        .timeout(LIMIT)
        .user_agent(AGENT)
        .build()
        .map_err(|error| error.without_url().to_string())
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

/// `Retry-After`: seconds or a date. Source: RFC 9110, section 10.2.3.
pub fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
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
pub fn words(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("no answer within {} s", LIMIT.as_secs());
    }
    let error = error.without_url();
    let causes = std::iter::successors(std::error::Error::source(&error), |cause| cause.source());
    let mut words = vec![error.to_string()];
    words.extend(causes.map(ToString::to_string));
    words.dedup();
    words.join(": ")
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
