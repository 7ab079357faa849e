//! The document of the API as a page for people: plain HTML, nothing of which comes from elsewhere.

use std::fmt::Write as _;

use axum::http::HeaderValue;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::document_value;
use crate::api::problem::Problem;

const STYLE: &str = "body{font:16px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em}\
code{background:#8882;padding:0 .2em}table{border-collapse:collapse}td,th{text-align:left;\
padding:.1em 1em .1em 0;vertical-align:top}h2{margin-top:2em;font-size:1em}";

/// This document as a page.
#[utoipa::path(get, path = "/api/docs", tag = "service", operation_id = "docs",
    security(("token" = ["read"])),
    responses((status = 200, description = "HTML", content_type = "text/html", body = String)))]
pub async fn docs() -> Result<Response, Problem> {
    let headers = [
        (
            CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        ),
        (
            CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'"),
        ),
    ];
    Ok((headers, html(document_value()?)).into_response())
}

fn html(document: &Value) -> String {
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Atalaya</title><style>{STYLE}</style>\n<h1>Atalaya {}</h1>\n<p>{}\n",
        text(&document["info"]["version"]),
        text(&document["info"]["description"]),
    );
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in item.as_object().into_iter().flatten() {
            operation_html(&mut page, &method.to_uppercase(), path, operation);
        }
    }
    page
}

// Writing to a string cannot fail; the results are dropped for that reason.
fn operation_html(page: &mut String, method: &str, path: &str, operation: &Value) {
    let scope = &operation["security"][0]["token"][0];
    let scope = scope.as_str().unwrap_or("none");
    let summary = [&operation["summary"], &operation["description"]]
        .map(text)
        .join(" ");
    let _ = writeln!(page, "<h2><code>{method} {}</code></h2>", escaped(path));
    let _ = writeln!(page, "<p>{summary} Scope: {}.", escaped(scope));
    let parameters = operation["parameters"].as_array();
    if parameters.is_some_and(|parameters| !parameters.is_empty()) {
        page.push_str("<table><tr><th>parameter<th>in<th>range<th>what\n");
        for parameter in parameters.into_iter().flatten() {
            let schema = &parameter["schema"];
            let range = match (&schema["minimum"], &schema["maximum"]) {
                (Value::Null, _) | (_, Value::Null) => String::new(),
                (least, most) => format!("{least} to {most}"),
            };
            let _ = writeln!(
                page,
                "<tr><td><code>{}</code><td>{}<td>{}<td>{}",
                text(&parameter["name"]),
                text(&parameter["in"]),
                escaped(&range),
                text(&parameter["description"])
            );
        }
        page.push_str("</table>\n");
    }
    page.push_str("<table>\n");
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        let what = text(&response["description"]);
        let _ = writeln!(page, "<tr><td>{}<td>{what}", escaped(status));
    }
    page.push_str("</table>\n");
}

fn text(value: &Value) -> String {
    escaped(value.as_str().unwrap_or_default())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
