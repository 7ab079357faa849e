//! The door for language models over HTTP: the same tools as `atalaya mcp`, under the same tokens and
//! limits as all addresses.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;

use super::Use;
use crate::mcp::Mcp;

/// One message of the Model Context Protocol (streamable HTTP, without a session). It only reads.
#[utoipa::path(post, path = "/mcp", tag = "models", operation_id = "mcp",
    request_body(content = Value, content_type = "application/json", description = "A message of JSON-RPC 2.0; `Accept` has application/json and text/event-stream"),
    security(("token" = ["read"])),
    responses(
        (status = 200, description = "The answer to a request", body = Value),
        (status = 202, description = "A notification was taken"),
        (status = 400, description = "A header or the message is wrong"),
        (status = 406, description = "`Accept` lacks a type"),
        (status = 415, description = "The message is no application/json"),
        (status = 422, description = "The message is no request, notification or answer"),
    ))]
pub async fn mcp(State(api): Use, request: Request) -> Response {
    Mcp::new(api.stores.clone(), api.settings.clone())
        .answer(request)
        .await
        .map(Body::new)
}
