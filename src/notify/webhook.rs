//! A message as JSON by POST.
//!
//! With a secret it is signed: `X-Atalaya-Signature: v1=` and the hexadecimal HMAC-SHA256 of
//! `v1:<timestamp>:<body>`, where the timestamp is that of `X-Atalaya-Timestamp` in seconds. A
//! receiver refuses old timestamps, and knows repetitions by `Idempotency-Key`.

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use ring::hmac;
use secrecy::{ExposeSecret as _, SecretString};

use super::{Http, SendError, json_line};
use atalaya_domain::alert::Message;
use atalaya_domain::time::Timestamp;

pub(super) const IDEMPOTENCY: HeaderName = HeaderName::from_static("idempotency-key");
const TIMESTAMP: HeaderName = HeaderName::from_static("x-atalaya-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("x-atalaya-signature");

pub(super) async fn send(
    http: &Http,
    url: &SecretString,
    secret: Option<&SecretString>,
    message: &Message,
    now: Timestamp,
) -> Result<(), SendError> {
    let body = json_line(message)?;
    let mut headers = headers(&message.key)?;
    let seconds = now.micros().div_euclid(1_000_000);
    headers.insert(TIMESTAMP, HeaderValue::from(seconds));
    if let Some(secret) = secret {
        let signature = signature(secret.expose_secret(), seconds, &body);
        let value = HeaderValue::from_str(&signature).map_err(SendError::later)?;
        headers.insert(SIGNATURE, value);
    }
    http.post(url.expose_secret(), headers, body).await
}

/// Those of every message.
pub(super) fn headers(key: &str) -> Result<HeaderMap, SendError> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let key = HeaderValue::from_str(key).map_err(SendError::later)?;
    headers.insert(IDEMPOTENCY, key);
    Ok(headers)
}

fn signature(secret: &str, seconds: i64, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, format!("v1:{seconds}:{body}").as_bytes());
    let hex: String = tag
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("v1={hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected value is that of `openssl dgst -sha256 -hmac s3cret`.
    #[test]
    fn the_signature_is_that_of_any_other_tool() {
        assert_eq!(
            signature("s3cret", 1_700_000_000, "{\"count\":1}"),
            "v1=0f8d47e731ddd87095fd28b4dad1af8283a44fd1a8a4688f60acfd1cd7d9b5d6"
        );
    }
}
