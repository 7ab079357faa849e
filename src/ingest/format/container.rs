//! What a container wrote, out of the envelope that its run-time put around it.
//!
//! The text inside is read as the application formats would read it, so level, message and
//! request id are those of the application and not of the envelope.

use std::borrow::Cow;

use super::{Format, LineRole, Parsed, SourceZone, TimeHint, json, level, trace};
use super::{humanlog, log4j, logfmt, python, structlog};

/// Formats tried on the text inside an envelope, strict ones first.
const INNER: [&dyn Format; 5] =
    [&python::Python, &log4j::Log4j, &structlog::Structlog, &humanlog::Humanlog, &logfmt::Logfmt];

/// Fills `out` from the text inside an envelope; its time replaces the envelope's where it has
/// one that says its day.
pub fn read<'a>(text: Cow<'a, str>, hint: &TimeHint, out: &mut Parsed<'a>) {
    // A container's clock is UTC unless somebody set a zone for it; the host's own does not apply.
    let hint = match hint.zone {
        SourceZone::Local => &TimeHint { zone: SourceZone::Utc, ..hint.clone() },
        _ => hint,
    };
    match text {
        Cow::Borrowed(text) => {
            let inner = inside(text, hint);
            merge(inner, out);
        }
        Cow::Owned(text) => {
            let inner = owned(inside(&text, hint));
            merge(inner, out);
        }
    }
}

fn inside<'t>(text: &'t str, hint: &TimeHint) -> Parsed<'t> {
    let mut inner = Parsed::default();
    if text.starts_with('{') {
        if json::read(text, hint, &mut inner).is_ok() {
            return inner;
        }
    } else {
        for format in INNER {
            inner = Parsed::default();
            if format.parse(text, hint, &mut inner).is_ok() {
                return inner;
            }
        }
        if memchr::memmem::find(text.as_bytes(), b"{\"").is_some() {
            inner = Parsed::default();
            if json::read(text, hint, &mut inner).is_ok() {
                return inner;
            }
        }
    }
    Parsed { level: level::guess(text), message: Cow::Borrowed(text), ..Parsed::default() }
}

fn merge<'a>(inner: Parsed<'a>, out: &mut Parsed<'a>) {
    if let Some(at) = inner.timestamp
        && !inner.day_missing
    {
        out.timestamp = Some(at);
    }
    out.level = inner.level;
    out.logger = inner.logger;
    out.message = inner.message;
    out.request_id = inner.request_id;
    out.user_id = inner.user_id;
    out.session_id = inner.session_id;
    out.duration_ms = inner.duration_ms;
    out.traceback = inner.traceback;
    for (name, text) in inner.metadata {
        super::fields::push_unique(out, name, text);
    }
}

fn owned(inner: Parsed<'_>) -> Parsed<'static> {
    let own = |text: Option<Cow<'_, str>>| text.map(|text| Cow::Owned(text.into_owned()));
    Parsed {
        timestamp: inner.timestamp,
        day_missing: inner.day_missing,
        level: inner.level,
        logger: own(inner.logger),
        message: Cow::Owned(inner.message.into_owned()),
        request_id: own(inner.request_id),
        user_id: own(inner.user_id),
        session_id: own(inner.session_id),
        duration_ms: inner.duration_ms,
        traceback: own(inner.traceback),
        metadata: inner
            .metadata
            .into_iter()
            .map(|(name, text)| (Cow::Owned(name.into_owned()), Cow::Owned(text.into_owned())))
            .collect(),
        ..Parsed::default()
    }
}

/// What a line inside an envelope is to the text before it.
pub fn role(before: &str, line: &str) -> LineRole {
    if !line.starts_with(['{', '[']) && trace::continues_after(before, line) {
        LineRole::Continues
    } else {
        LineRole::Starts
    }
}
