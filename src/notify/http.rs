//! Requests of channels and of the heartbeat.

use std::path::Path;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, StatusCode};

use super::{Again, SendError, cut};
use crate::http::{client, retry_after, words};
use atalaya_domain::time::Timestamp;

/// Of an answer that is read.
const ANSWER_BYTES: usize = 4 << 10;

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
        let client = client(ca_file)?;
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

async fn ask(request: RequestBuilder) -> Result<(), SendError> {
    let mut response = request
        .send()
        .await
        .map_err(|error| SendError::later(words(error)))?;
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
    let said = String::from_utf8_lossy(&answer);
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    let redirect = if status.is_redirection() {
        " (redirects are not followed)"
    } else {
        ""
    };
    Err(SendError {
        answer: cut(&format!("HTTP {status}{redirect}: {said}")),
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
