//! Bodies: one JSON value, whose mistakes are told with their place.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// A body of this shape. Every type has `deny_unknown_fields`.
#[derive(Debug)]
pub struct Content<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Content<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        // Its size and its end were looked at before.
        let bytes = Bytes::from_request(request, state).await;
        let bytes = bytes.map_err(|_| Problem::broken_body())?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            let text: String = error.to_string().chars().take(300).collect();
            Problem::bad_request(
                format!("the body is not the JSON that this address takes: {text}"),
                "GET /api/openapi.json says what it takes",
            )
        })
    }
}
