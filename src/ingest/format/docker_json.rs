//! Docker's json-file driver: `{"log":"text\n","stream":"stdout","time":"…Z"}`.
//!
//! Docker cuts long lines into pieces; only the last ends in a newline, which is how pieces are
//! joined here. Lines of a stack trace join the line before them, as they would without Docker.

use std::borrow::Cow;

use super::fields::push_unique;
use super::json::scan::{Scan, Value, unescape};
use super::{Begins, Envelope, FormatMismatch, FormatSpec, Inside, Lines, Parsed, Piece, TimeHint, stream_of, time};
use crate::domain::record::Layer;

/// `docker-json`.
#[derive(Clone, Copy, Debug)]
pub struct DockerJson;

/// The text of a piece as JSON writes it, when `log` is the first key, as Docker has it.
fn raw_log(line: &str) -> Option<(&str, usize)> {
    let start = "{\"log\":\"".len();
    let rest = line.strip_prefix("{\"log\":\"")?;
    let bytes = rest.as_bytes();
    let mut at = 0;
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes.get(at) == Some(&b'"') {
            return Some((rest.get(..at)?, start + at + 1));
        }
        at += 2;
    }
}

impl Envelope for DockerJson {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "docker-json",
            source: "docker",
            layer: Layer::Application,
            begins: Begins::these(b"{"),
            lines: Lines::Trace,
            traces: true,
            named_ids: true,
        };
        &SPEC
    }

    fn open<'a>(
        &self,
        line: &'a str,
        hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<Inside, FormatMismatch> {
        let mut stream = 0;
        let piece = piece(line, |name, value| {
            if name == "stream"
                && let Value::Text(text) = &value
            {
                stream = stream_of(&[text]);
            }
            envelope_field(name, value, hint, out);
        });
        let (text, ends) = piece.map_err(|reason| self.mismatch(reason))?;
        // Programs write objects with a `log` too; Docker's always says the stream or the time.
        if stream == 0 && out.timestamp.is_none() {
            return Err(self.mismatch("neither `stream` nor `time` beside `log`"));
        }
        out.message = text;
        Ok(Inside { stream, piece: if ends { Piece::Line } else { Piece::Open }, graded: false })
    }
}

/// The text of one line of the file without the newline that ends it, and whether that was there.
/// Everything else in the line goes to `other`.
fn piece<'a>(
    line: &'a str,
    mut other: impl FnMut(Cow<'a, str>, Value<'a>),
) -> Result<(Cow<'a, str>, bool), &'static str> {
    if let Some((raw, end)) = raw_log(line) {
        // Most lines hold no other escape than this newline, and then need no copy.
        let bare = raw.strip_suffix("\\n");
        let ends = bare.is_some();
        let bare = bare.unwrap_or(raw);
        Scan::new(line.get(end..).unwrap_or("")).object_rest(4, &mut |name, value| other(name, value))?;
        let text = if memchr::memchr(b'\\', bare.as_bytes()).is_some() {
            Cow::Owned(unescape(bare))
        } else {
            Cow::Borrowed(bare)
        };
        return Ok((text, ends));
    }
    let mut log = None;
    Scan::new(line).object("", 4, &mut |name, value| match value {
        Value::Text(text) if name == "log" => log = Some(text),
        value => other(name, value),
    })?;
    let text = log.ok_or("no `log`")?;
    let ends = text.ends_with('\n');
    Ok((if ends { Cow::Owned(text.trim_end_matches('\n').to_owned()) } else { text }, ends))
}

fn envelope_field<'a>(name: Cow<'a, str>, value: Value<'a>, hint: &TimeHint, out: &mut Parsed<'a>) {
    let Some(text) = value.into_text() else { return };
    if name == "time"
        && let Some(cut) = time::iso(&text, hint)
    {
        out.set_time(cut.instant);
        return;
    }
    push_unique(out, name, text);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::domain::time::Timestamp;
    use crate::ingest::format::SourceZone;

    #[test]
    fn the_newline_ends_the_line() {
        let hint = TimeHint { reference: Timestamp::from_seconds(1_790_000_000), zone: SourceZone::Utc };
        let open = |line: &'static str| {
            let mut out = Parsed::default();
            DockerJson.open(line, &hint, &mut out).map(|inside| (inside, out))
        };
        let (inside, out) =
            open(r#"{"log":"a \"b\"\n","stream":"stderr","attrs":{"tag":"web"},"time":"2026-01-01T00:00:00.5Z"}"#)
                .unwrap();
        assert_eq!((inside.piece, out.message.as_ref()), (Piece::Line, "a \"b\""));
        assert_eq!(out.timestamp, Some(Timestamp::from_millis(1_767_225_600_500)));
        assert!(out.metadata.contains(&("attrs.tag".into(), "web".into())));
        let (inside, _) = open(r#"{"log":"a ","stream":"stdout","time":"2026-01-01T00:00:00Z"}"#).unwrap();
        assert_eq!(inside.piece, Piece::Open);
        assert!(open(r#"{"log":"a logger's own field","level":"info"}"#).is_err());
    }
}
