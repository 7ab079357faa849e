//! What a client may change beside recording: alerts that somebody has seen, and tokens.

use std::collections::BTreeSet;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::Use;
use crate::api::answer::Answer;
use crate::api::auth::Caller;
use crate::api::body::Content;
use crate::api::params::Named;
use crate::api::problem::Problem;
use crate::report::token_json;
use crate::service::alerts::{self, Seen};
use crate::service::tokens::{self, NewToken};
use atalaya_domain::length::Length;
use atalaya_domain::time::Timestamp;
use atalaya_domain::token::Scope;

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Acknowledgement {
    note: Option<String>,
    /// Silent only until it is worse than now.
    until_worse: bool,
}

/// Says that somebody looks after an alert: no more reminders. It is known by the name of the token.
#[utoipa::path(post, path = "/api/alerts/{id}/acknowledge", tag = "alerts", operation_id = "acknowledge",
    params(("id" = String, Path, description = "Id, its beginning, or the name of a rule")),
    request_body = Acknowledgement,
    security(("token" = ["write"])),
    responses(
        (status = 200, description = "The alert, as `atalaya alerts ack --json`", body = Value),
        (status = 400, description = "It does not fire, or the beginning is that of several", body = Value),
        (status = 404, description = "There is none", body = Value),
        (status = 409, description = "Somebody changed it meanwhile", body = Value),
    ))]
pub async fn acknowledge(
    State(api): Use,
    Extension(caller): Extension<Caller>,
    Named(id): Named,
    Content(said): Content<Acknowledgement>,
) -> Result<Answer, Problem> {
    let seen = Seen {
        by: caller.token.name,
        note: said.note,
        until_worse: said.until_worse,
    };
    let now = Timestamp::now();
    let alert = alerts::acknowledge(&*api.stores.metrics, &id, seen, now).await?;
    Ok(Answer::new(serde_json::to_value(alert)?))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenWish {
    /// What it is for.
    name: String,
    /// `read`, `write`, `admin`; `read` unless given.
    #[serde(default)]
    scopes: Vec<String>,
    /// How long it is good for, as in `30d`, or `never`; 90 days unless given.
    expires: Option<String>,
}

/// Makes a token. It is in this answer and nowhere else.
#[utoipa::path(post, path = "/api/tokens", tag = "tokens", operation_id = "create_token",
    request_body = TokenWish,
    security(("token" = ["admin"])),
    responses(
        (status = 201, description = "As `atalaya token create --json`", body = Value),
        (status = 400, description = "A scope, the time or the name is wrong", body = Value),
    ))]
pub async fn create_token(
    State(api): Use,
    Content(wish): Content<TokenWish>,
) -> Result<(StatusCode, Answer), Problem> {
    const REMEDY: &str = "write it as the detail says";
    let scopes = wish.scopes.iter().map(|word| word.parse::<Scope>());
    let scopes = scopes
        .collect::<Result<BTreeSet<_>, _>>()
        .map_err(|error| Problem::bad_request(error.to_string(), REMEDY))?;
    let lifetime = match wish.expires.as_deref().unwrap_or("90d") {
        "never" => None,
        text => {
            let length: Length = text
                .parse()
                .map_err(|error| Problem::bad_request(format!("{error}, or `never`"), REMEDY))?;
            Some(length.0)
        }
    };
    let new = NewToken {
        name: wish.name,
        scopes: if scopes.is_empty() {
            BTreeSet::from([Scope::Read])
        } else {
            scopes
        },
        lifetime,
    };
    let now = Timestamp::now();
    let (token, record) = tokens::create(&*api.stores.metrics, new, now).await?;
    let mut value = token_json::token(&record, now);
    value["token"] = json!(token.reveal());
    Ok((StatusCode::CREATED, Answer::new(value)))
}

/// Refuses a token from now on.
#[utoipa::path(delete, path = "/api/tokens/{id}", tag = "tokens", operation_id = "revoke_token",
    params(("id" = String, Path, description = "Its id, or its name when only one valid token has it")),
    security(("token" = ["admin"])),
    responses(
        (status = 200, description = "As `atalaya token revoke --json`", body = Value),
        (status = 400, description = "Several have this name", body = Value),
        (status = 404, description = "There is none", body = Value),
    ))]
pub async fn revoke_token(State(api): Use, Named(id): Named) -> Result<Answer, Problem> {
    let now = Timestamp::now();
    let revoked = tokens::revoke(&*api.stores.metrics, &id, now).await?;
    Ok(Answer::new(token_json::token(&revoked, now)))
}
