//! What goes wrong, as `application/problem+json` (RFC 9457): a stable code for programs, a sentence
//! for people, and the remedy.

use std::borrow::Cow;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::auth;
use crate::service::{advice, describe};
use crate::shown;
use atalaya_domain::error_class::ErrorClass;
use atalaya_domain::limit::Verdict;
use atalaya_store::error::{Remedy, StoreError};

/// When a store may be back: a client that waits so long asks neither too often nor too late.
const STORE_RETRY_SECONDS: u64 = 5;

/// An answer that says what went wrong. Small, as every handler may return one.
#[derive(Clone, Debug)]
pub struct Problem(Box<Told>);

#[derive(Clone, Debug)]
struct Told {
    status: StatusCode,
    code: &'static str,
    detail: String,
    remedy: Cow<'static, str>,
    /// Further members of the answer.
    more: Map<String, Value>,
    retry_after: Option<u64>,
    /// Of the limit that refused it.
    verdict: Option<Verdict>,
}

impl Problem {
    fn new(
        status: StatusCode,
        code: &'static str,
        detail: impl Into<String>,
        remedy: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self(Box::new(Told {
            status,
            code,
            detail: detail.into(),
            remedy: remedy.into(),
            more: Map::new(),
            retry_after: None,
            verdict: None,
        }))
    }

    fn retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after = Some(seconds);
        self
    }

    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.0.more.insert(name.to_owned(), value);
        self
    }

    /// The question is wrong.
    pub fn bad_request(detail: impl Into<String>, remedy: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", detail, remedy)
    }

    /// No token, or none that is valid: all the same.
    pub fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "a valid token is needed",
            "make one with `atalaya token create NAME` and send it as `Authorization: Bearer TOKEN`",
        )
    }

    pub fn forbidden(scope: &'static str) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "forbidden",
            format!("the token has no scope `{scope}`"),
            format!("use a token of `atalaya token create NAME --scope {scope}`"),
        )
    }

    /// Values that are no values of their fields.
    pub fn invalid(detail: impl Into<String>, remedy: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "validation_error", detail, remedy)
    }

    /// What is stored is not as the request says.
    pub fn conflict(
        code: &'static str,
        detail: impl Into<String>,
        remedy: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail, remedy)
    }

    pub fn not_found(detail: impl Into<String>, remedy: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", detail, remedy)
    }

    pub fn no_route() -> Self {
        Self::not_found(
            "there is nothing at this address",
            "GET /api/openapi.json lists all addresses",
        )
    }

    pub fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "this address does not take this method",
            "GET /api/openapi.json lists what each address takes",
        )
    }

    pub fn timed_out(seconds: u64) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "timed_out",
            format!("the answer was not there within {seconds} s"),
            "ask for less: a shorter time, a narrower query, a smaller limit",
        )
        .retry_after(STORE_RETRY_SECONDS)
    }

    pub fn body_timed_out(seconds: u64) -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "request_timeout",
            format!("the body of the request was not there within {seconds} s"),
            "send it at once, or in smaller parts",
        )
    }

    pub fn too_large(most: u32) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            format!("the body is larger than {most} bytes"),
            "send it in smaller parts",
        )
    }

    pub fn broken_body() -> Self {
        Self::bad_request(
            "the body ended before its end, or is not sent as HTTP says",
            "send the request again",
        )
    }

    /// Too many requests are being answered.
    pub fn overloaded() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "overloaded",
            "too many requests are being answered at this moment",
            "ask again after the time of `Retry-After`",
        )
        .retry_after(1)
    }

    pub fn too_many(verdict: Verdict) -> Self {
        let mut problem = Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_requests",
            format!(
                "more than {} requests within {} s",
                verdict.limit.most,
                verdict.limit.length.as_secs()
            ),
            "ask again after the time of `Retry-After`; `[api.limits]` of the configuration says how many are allowed",
        );
        problem.0.verdict = Some(verdict);
        problem.retry_after(verdict.reset_seconds())
    }

    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "the program failed while it made this answer",
            "its log (`atalaya config path` names the directory) says why; the id is that of `X-Request-ID`",
        )
    }

    /// By the class of an error of a use case, in its words.
    pub fn of_class(class: ErrorClass, detail: String) -> Self {
        match class {
            ErrorClass::Usage => Self::bad_request(detail, "change the request as the detail says"),
            ErrorClass::Missing => Self::not_found(detail, "name another one"),
            ErrorClass::Busy => Self::new(
                StatusCode::CONFLICT,
                "conflict",
                detail,
                "look again, then decide",
            ),
            ErrorClass::Transient => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "store_unavailable",
                detail,
                "ask again after the time of `Retry-After`; GET /api/health says what is away",
            )
            .retry_after(STORE_RETRY_SECONDS),
            ErrorClass::Broken => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "store_broken",
                detail,
                "`atalaya health` and `atalaya db check` say what is wrong",
            ),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let detail = atalaya_store::error::describe(&error);
        // A schema that is not there yet is nothing that a client named.
        let class = match error.remedy() {
            Some(Remedy::InitSchema | Remedy::MigrateSchema) => ErrorClass::Transient,
            _ => error.class(),
        };
        let mut problem = Self::of_class(class, detail);
        if let Some(advice) = advice::advice(&error) {
            problem.0.remedy = advice.into();
        }
        problem
    }
}

/// Errors of use cases that have a class of their own.
macro_rules! of_use_case {
    ($($error:path),+ $(,)?) => {
        $(
            impl From<$error> for Problem {
                fn from(error: $error) -> Self {
                    Self::of_class(error.class(), describe(&error))
                }
            }
        )+
    };
}
of_use_case!(
    crate::service::alerts::AlertError,
    crate::service::backup::BackupError,
    crate::service::pdca::PdcaError,
    crate::service::tokens::TokenError,
);

impl From<serde_json::Error> for Problem {
    fn from(error: serde_json::Error) -> Self {
        tracing::error!(%error, "an answer cannot be written as JSON");
        Self::internal()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let told = *self.0;
        let mut body = json!({
            "type": format!("urn:atalaya:problem:{}", told.code),
            "title": told.status.canonical_reason(),
            "status": told.status.as_u16(),
            "code": told.code,
            "detail": told.detail,
            "remedy": told.remedy,
            // The older tool's name for the detail.
            "error": told.detail,
        });
        if let Some(members) = body.as_object_mut() {
            members.extend(told.more);
        }
        let text = format!("{body}\n");
        let mut response = (told.status, shown::json(&text).into_owned()).into_response();
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if told.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(verdict) = &told.verdict {
            auth::tell(verdict, headers);
        }
        if let Some(seconds) = told.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
