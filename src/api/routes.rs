//! All addresses, each with the scope that it asks for. The document of the API is made from the same
//! table, so that neither has what the other has not.

mod action;
mod analytics;
mod catalog;
mod data;
mod dora;
mod ecosystem;
mod health;
mod logs;
mod models;
mod operation;
mod page;
mod problems;
mod record;

use std::sync::LazyLock;

use axum::Router;
use axum::extract::State;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Response;
use serde_json::Value;
use tower_http::compression::CompressionLayer;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, OpenApi, OpenApiBuilder};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Shared;
use super::answer::{Answer, conditional};
use super::auth::require;
use super::problem::Problem;
use atalaya_domain::token::Scope;

const DESCRIPTION: &str = "\
The same use cases as the console and the command line. Every address is also under `/api/v1/`, and \
with a slash at its end. Send `Authorization: Bearer TOKEN`; `atalaya token create NAME` makes a \
token. What goes wrong is answered as `application/problem+json` with a stable `code`, a `detail` and \
a `remedy`.";

/// What is answered without a token.
pub fn is_open(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz")
}

/// Everything that the service answers.
pub fn router(api: &Shared) -> Router {
    let (routes, _) = table().split_for_parts();
    routes
        .fallback(|| async { Problem::no_route() })
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
        .layer(from_fn(conditional))
        .layer(CompressionLayer::new())
        .with_state(Shared::clone(api))
}

/// This document: every address with its questions and answers.
#[utoipa::path(get, path = "/api/openapi.json", tag = "service", operation_id = "openapi",
    security(("token" = ["read"])),
    responses((status = 200, description = "OpenAPI 3.1", body = Value)))]
async fn document() -> Result<Answer, Problem> {
    document_value().map(|value| Answer::new(value.clone()))
}

/// The document, made once.
fn document_value() -> Result<&'static Value, Problem> {
    static DOCUMENT: LazyLock<Result<Value, String>> = LazyLock::new(|| {
        let (_, document) = table().split_for_parts();
        let mut document =
            serde_json::to_value(finished(document)).map_err(|error| error.to_string())?;
        problems::describe(&mut document);
        Ok(document)
    });
    DOCUMENT.as_ref().map_err(|error| {
        tracing::error!(error, "the document of the API cannot be written");
        Problem::internal()
    })
}

async fn scoped(
    State(scope): State<Scope>,
    request: axum::extract::Request,
    next: axum::middleware::Next,
) -> Response {
    require(scope, request, next).await
}

/// Every address with its document.
fn table() -> OpenApiRouter<Shared> {
    let open = OpenApiRouter::new()
        .routes(routes!(health::alive))
        .routes(routes!(health::ready));
    let read = OpenApiRouter::new()
        .routes(routes!(document))
        .routes(routes!(page::docs))
        .routes(routes!(data::query))
        .routes(routes!(dora::metrics))
        .routes(routes!(dora::report))
        .routes(routes!(dora::deployments))
        .routes(routes!(dora::incidents))
        .routes(routes!(dora::cycles))
        .routes(routes!(analytics::frequency_trend))
        .routes(routes!(analytics::lead_time_trend))
        .routes(routes!(analytics::compare))
        .routes(routes!(analytics::monthly))
        .routes(routes!(analytics::anomalies))
        .routes(routes!(analytics::forecast))
        .routes(routes!(catalog::datasets))
        .routes(routes!(catalog::phases))
        .routes(routes!(catalog::cycles))
        .routes(routes!(catalog::aggregated))
        .routes(routes!(catalog::performance))
        .routes(routes!(catalog::quality))
        .routes(routes!(ecosystem::quality))
        .routes(routes!(ecosystem::governance))
        .routes(routes!(ecosystem::lineage))
        .routes(routes!(ecosystem::health))
        .routes(routes!(ecosystem::metadata))
        .routes(routes!(logs::list))
        .routes(routes!(logs::histogram))
        .routes(routes!(logs::count))
        .routes(routes!(logs::context))
        .routes(routes!(logs::trace))
        .routes(routes!(models::mcp))
        .routes(routes!(operation::health))
        .routes(routes!(operation::alerts))
        .routes(routes!(operation::alert_history))
        .routes(routes!(operation::alert))
        .routes(routes!(operation::jobs))
        .routes(routes!(operation::job_runs))
        .routes(routes!(operation::pdca_cycles))
        .routes(routes!(operation::pdca_cycle))
        .routes(routes!(operation::backups));
    let write = OpenApiRouter::new()
        .routes(routes!(record::phase))
        .routes(routes!(action::acknowledge));
    let admin = OpenApiRouter::new()
        .routes(routes!(operation::tokens))
        .routes(routes!(action::create_token))
        .routes(routes!(action::revoke_token));
    open.merge(read.route_layer(from_fn_with_state(Scope::Read, scoped)))
        .merge(write.route_layer(from_fn_with_state(Scope::Write, scoped)))
        .merge(admin.route_layer(from_fn_with_state(Scope::Admin, scoped)))
}

/// The document with what no single address knows.
fn finished(document: OpenApi) -> OpenApi {
    let info = InfoBuilder::new()
        .title("Atalaya")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(DESCRIPTION))
        .build();
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("atl_…")
        .build();
    let mut components = document
        .components
        .clone()
        .unwrap_or_else(|| ComponentsBuilder::new().build());
    components.add_security_scheme("token", SecurityScheme::Http(bearer));
    let mut document = OpenApiBuilder::from(document).info(info).build();
    document.components = Some(components);
    document
}

/// Everything that a handler needs of the service.
type Use = State<Shared>;
