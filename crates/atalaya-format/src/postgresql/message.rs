//! What stands behind the severity: the SQLSTATE, the duration, the statement.

use std::borrow::Cow;
use std::sync::LazyLock;

use super::super::fields::push_unique;
use super::super::{Parsed, split};
use super::prefix::put_known;

pub fn trim_end(text: Cow<'_, str>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim_ascii_end()),
        Cow::Owned(mut text) => {
            text.truncate(text.trim_ascii_end().len());
            Cow::Owned(text)
        }
    }
}

/// Cuts off the SQLSTATE that `log_error_verbosity = verbose` puts before the message.
pub fn strip_state<'a>(message: Cow<'a, str>, out: &mut Parsed<'a>) -> Cow<'a, str> {
    let has_state = message.as_bytes().get(5) == Some(&b':')
        && message.as_bytes().get(6) == Some(&b' ')
        && message
            .bytes()
            .take(5)
            .all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
        && message.bytes().take(5).any(|byte| byte.is_ascii_digit());
    if !has_state {
        return message;
    }
    match message {
        Cow::Borrowed(text) => {
            push_unique(out, "state_code", text.get(..5).unwrap_or(""));
            Cow::Borrowed(text.get(7..).unwrap_or(""))
        }
        Cow::Owned(text) => {
            push_unique(out, "state_code", text.get(..5).unwrap_or("").to_owned());
            Cow::Owned(text.get(7..).unwrap_or("").to_owned())
        }
    }
}

/// Takes the duration and the statement out of a message.
pub fn read_message<'a>(message: Cow<'a, str>, out: &mut Parsed<'a>) {
    match trim_end(message) {
        Cow::Borrowed(text) => {
            let logged = logged(text);
            out.duration_ms = logged.duration;
            put_known(out, "query_step", logged.step);
            put_known(out, "query_name", logged.name);
            out.message = logged.text.into();
        }
        Cow::Owned(text) => {
            let logged = logged(&text);
            out.duration_ms = logged.duration;
            if !logged.step.is_empty() {
                push_unique(out, "query_step", logged.step.to_owned());
            }
            if !logged.name.is_empty() {
                push_unique(out, "query_name", logged.name.to_owned());
            }
            out.message = if logged.text.len() == text.len() {
                Cow::Owned(text)
            } else {
                Cow::Owned(logged.text.to_owned())
            };
        }
    }
    if out.metadata.iter().any(|(name, _)| name == "query_step") {
        out.request_id = match &out.message {
            Cow::Borrowed(text) => request_in_comment(text).map(Cow::Borrowed),
            Cow::Owned(text) => request_in_comment(text).map(|id| Cow::Owned(id.to_owned())),
        };
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Logged<'a> {
    pub duration: Option<f64>,
    pub step: &'a str,
    pub name: &'a str,
    pub text: &'a str,
}

pub fn logged(text: &str) -> Logged<'_> {
    let mut found = Logged {
        text,
        ..Logged::default()
    };
    let mut rest = text;
    if let Some(after) = text.strip_prefix("duration: ")
        && let Some((number, after)) = split::once(after, b' ')
        && let Some(after) = after.strip_prefix("ms")
        && let Ok(duration) = number.parse()
    {
        found.duration = Some(duration);
        rest = after.trim_ascii_start();
        if rest.is_empty() {
            return found;
        }
        found.text = rest;
    }
    for step in ["statement", "execute", "parse", "bind", "fetch", "plan"] {
        let Some(after) = rest.strip_prefix(step) else {
            continue;
        };
        if let Some(after) = after.strip_prefix(':') {
            found.step = step;
            found.text = after.trim_ascii_start();
            return found;
        }
        // `execute name: …`, `execute fetch from name: …`
        let Some((name, after)) = after
            .strip_prefix(' ')
            .and_then(|after| after.split_once(": "))
        else {
            continue;
        };
        if name.len() < 200 && !name.contains('\n') {
            found.step = step;
            found.name = name.rsplit(' ').next().unwrap_or(name);
            found.text = after;
            return found;
        }
    }
    found
}

/// Built once: the search costs less than its preparation.
static REQUEST: LazyLock<memchr::memmem::Finder<'static>> =
    LazyLock::new(|| memchr::memmem::Finder::new(b"request_id"));

/// The request id that an application left in a comment of its statement: sqlcommenter's
/// `/*request_id='x'*/`, Marginalia's `/*request_id:x*/`.
pub fn request_in_comment(statement: &str) -> Option<&str> {
    let bytes = statement.as_bytes();
    let at = REQUEST.find(bytes)?;
    memchr::memmem::rfind(bytes.get(..at)?, b"/*")?;
    let rest = statement.get(at + "request_id".len()..)?.trim_ascii_start();
    let rest = rest
        .strip_prefix([':', '='])?
        .trim_ascii_start()
        .trim_start_matches(['\'', '"']);
    let end = rest.find(['\'', '"', ',', ' ', '*']).unwrap_or(rest.len());
    let id = rest.get(..end)?;
    (!id.is_empty() && id.len() <= 200).then_some(id)
}
