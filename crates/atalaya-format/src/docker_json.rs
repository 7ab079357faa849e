//! Docker's json-file driver: `{"log":"text\n","stream":"stdout","time":"…Z"}`.
//!
//! Docker cuts long lines into pieces; only the last ends in a newline, which is how pieces are
//! joined here. Lines of a stack trace join the line before them, as they would without Docker.

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::fields::push_unique;
use super::json::scan::{Scan, Value, unescape};
use super::{
    Begins, Envelope, FormatMismatch, FormatSpec, Inside, Lines, Parsed, Piece, TimeHint,
    stream_of, time,
};
use atalaya_domain::record::Layer;

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

/// In every line of the daemon.
const MARKS: [&str; 1] = ["\"log\""];
static MARK: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(MARKS[0]));

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

    fn marks(&self) -> &'static [&'static str] {
        &MARKS
    }

    fn open<'a>(
        &self,
        line: &'a str,
        hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<Inside, FormatMismatch> {
        // Every line of JSON passes here: most are not looked at further.
        if MARK.find(line.as_bytes()).is_none() {
            return Err(self.mismatch("no `log`"));
        }
        let mut seen = Seen::default();
        let piece = piece(line, |name, value| seen.field(name, value, hint, out));
        let (text, ends) = piece.map_err(|reason| self.mismatch(reason))?;
        seen.check(out.timestamp.is_some())
            .map_err(|reason| self.mismatch(reason))?;
        out.message = text;
        // What ships the lines on may drop the newline, and then says in a tag whether the line ends.
        let ends = seen.ends.unwrap_or(ends || seen.foreign);
        Ok(Inside {
            stream: seen.stream,
            piece: if ends { Piece::Line } else { Piece::Open },
            graded: false,
        })
    }
}

/// What stands beside the text.
#[derive(Debug, Default)]
struct Seen {
    /// Hash of the stream's name; 0 without one.
    stream: u64,
    /// Names that Docker does not write.
    foreign: bool,
    /// Names of a program's own record.
    own: bool,
    /// What a tag of the container run-time says: the line ends with this piece.
    ends: Option<bool>,
}

impl Seen {
    fn field<'a>(
        &mut self,
        name: Cow<'a, str>,
        value: Value<'a>,
        hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) {
        let Some(text) = value.into_text() else {
            return;
        };
        match name.as_ref() {
            "stream" => self.stream = stream_of(&[&text]),
            // Fluent Bit writes the other.
            "time" | "@timestamp" if out.timestamp.is_none() => {
                if let Some(cut) = time::iso(&text, hint) {
                    out.set_time(cut.instant);
                    out.zoned |= text
                        .get(19..)
                        .is_some_and(|tail| tail.contains(['Z', '+', '-']));
                    return;
                }
            }
            // Of fluentd and Fluent Bit.
            "logtag" | "_p" => self.ends = Some(text != "P"),
            "message" | "msg" | "level" | "severity" | "MESSAGE" => self.own = true,
            name => self.foreign |= !name.starts_with("attrs."),
        }
        push_unique(out, name, text);
    }

    /// Programs write objects with a `log` too; Docker's always says the stream or the time, or
    /// nothing beside the text where somebody took them off.
    fn check(&self, stamped: bool) -> Result<(), &'static str> {
        match (self.own, self.foreign, self.stream != 0, stamped) {
            (true, ..) => Err("a record of a program, with `log` among its fields"),
            (_, true, false, _) => Err("no `stream` beside `log`"),
            _ => Ok(()),
        }
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
        Scan::new(line.get(end..).unwrap_or(""))
            .object_rest(4, &mut |name, value| other(name, value))?;
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
    Ok((
        if ends {
            Cow::Owned(text.trim_end_matches('\n').to_owned())
        } else {
            text
        },
        ends,
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::SourceZone;
    use atalaya_domain::time::Timestamp;

    #[test]
    fn the_newline_ends_the_line() {
        let hint = TimeHint {
            reference: Timestamp::from_seconds(1_790_000_000),
            zone: SourceZone::Utc,
        };
        let open = |line: &'static str| {
            let mut out = Parsed::default();
            DockerJson
                .open(line, &hint, &mut out)
                .map(|inside| (inside, out))
        };
        let (inside, out) = open(
            r#"{"log":"a \"b\"\n","stream":"stderr","attrs":{"tag":"web"},"time":"2026-01-01T00:00:00.5Z"}"#,
        )
        .unwrap();
        assert_eq!(
            (inside.piece, out.message.as_ref()),
            (Piece::Line, "a \"b\"")
        );
        assert_eq!(
            out.timestamp,
            Some(Timestamp::from_millis(1_767_225_600_500))
        );
        assert!(out.metadata.contains(&("attrs.tag".into(), "web".into())));
        let (inside, _) =
            open(r#"{"log":"a ","stream":"stdout","time":"2026-01-01T00:00:00Z"}"#).unwrap();
        assert_eq!(inside.piece, Piece::Open);
        assert!(open(r#"{"log":"a logger's own field","level":"info"}"#).is_err());
        assert!(open(r#"{"log":"main","msg":"x","time":"2026-01-01T00:00:00Z"}"#).is_err());
        assert!(open(r#"{"log":"main","text":"x","time":"2026-01-01T00:00:00Z"}"#).is_err());
        assert!(open(r#"{"log":{"level":"info"},"stream":"stdout"}"#).is_err());

        let (inside, out) =
            open(r#"{"stream":"stdout","time":"2026-01-01T00:00:00Z","log":"x\n"}"#).unwrap();
        assert_eq!(
            (inside.piece, out.message.as_ref(), out.zoned),
            (Piece::Line, "x", true)
        );
        let (inside, _) = open(r#"{"log":"x\n"}"#).unwrap();
        assert_eq!(inside.piece, Piece::Line);
        let (inside, _) = open(r#"{"log":"x"}"#).unwrap();
        assert_eq!(inside.piece, Piece::Open);
        let shipped = r#"{"log":"x","stream":"stdout","time":"2026-01-01T00:00:00Z","kubernetes":{"pod_name":"p"}}"#;
        assert_eq!(open(shipped).unwrap().0.piece, Piece::Line);
        let (inside, _) =
            open(r#"{"log":"x","stream":"stdout","logtag":"P","time":"2026-01-01T00:00:00Z"}"#)
                .unwrap();
        assert_eq!(inside.piece, Piece::Open);
    }
}
