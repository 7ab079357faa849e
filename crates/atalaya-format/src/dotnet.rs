//! .NET's console logger: a level of four letters, the category with the number of the event, and the
//! message indented below, or behind it (`SingleLine`). A stamp may stand in front.
//!
//! ```text
//! fail: Depot.Pay[0]
//!       => RequestId:0HM7:00000001 => TraceId:5b8e…
//!       charge failed
//! ```
//!
//! Source: `SimpleConsoleFormatter` in <https://github.com/dotnet/runtime>.

use super::app_line::ANY_HINT;
use super::app_line::stamp::{may_be_stamp, stamp};
use super::app_line::words::{is_name, is_number};
use super::fields::Fields;
use super::json::scan::Value;
use super::split;
use super::{Begins, Format, FormatMismatch, FormatSpec, Joins, Lines, Opens, Parsed, TimeHint};
use atalaya_domain::record::{Layer, Level};

/// `dotnet-console`.
#[derive(Clone, Copy, Debug)]
pub struct DotnetConsole;

/// The message stands so far in: the width of `fail: `.
const INDENT: &str = "      ";

impl Format for DotnetConsole {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "dotnet-console",
            source: "app/dotnet",
            layer: Layer::Application,
            begins: Begins::DIGITS.or(Begins::these(b"tdiwfc[")),
            lines: Lines::Stamped,
            traces: true,
            named_ids: true,
        };
        &SPEC
    }

    fn opens(&self, line: &str) -> Opens {
        let bytes = line.as_bytes();
        if bytes.first().is_some_and(u8::is_ascii_lowercase) {
            if bytes.get(4) != Some(&b':') {
                return Opens::No;
            }
        } else if !(bytes.first() == Some(&b'[') || may_be_stamp(bytes))
            || memchr::memchr(b']', bytes).is_none()
            || !has_word(bytes)
        {
            return Opens::No;
        }
        match header(line, &ANY_HINT) {
            Some((_, _, _, _, "")) => Opens::Unfinished,
            Some(_) => Opens::Parsed,
            None => Opens::No,
        }
    }

    fn joins(&self, _: &str, line: &str) -> Joins {
        if line.starts_with(INDENT) {
            Joins::Yes
        } else {
            Joins::Unsaid
        }
    }

    fn parse<'a>(
        &self,
        text: &'a str,
        hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<(), FormatMismatch> {
        read(text, hint, out)
            .ok_or_else(|| self.mismatch("no level of four letters and category[number]"))
    }
}

/// Whether one of the level words stands near the start.
fn has_word(bytes: &[u8]) -> bool {
    let near = bytes.get(..48.min(bytes.len())).unwrap_or(bytes);
    memchr::memchr_iter(b':', near).any(|at| {
        at >= 5
            && bytes
                .get(at - 5..at)
                .is_some_and(|word| word[0] == b' ' || word[0] == b']')
            && bytes
                .get(at - 4..at)
                .and_then(|word| std::str::from_utf8(word).ok())
                .is_some_and(|word| level(word).is_some())
    })
}

fn level(word: &str) -> Option<Level> {
    Some(match word {
        "trce" | "dbug" => Level::Debug,
        "info" => Level::Info,
        "warn" => Level::Warning,
        "fail" => Level::Error,
        "crit" => Level::Critical,
        _ => return None,
    })
}

type Header<'a> = (
    Option<super::time::Instant>,
    &'a str,
    &'a str,
    &'a str,
    &'a str,
);

/// Stamp, level word, category, event and what follows on the first line.
fn header<'a>(line: &'a str, hint: &TimeHint) -> Option<Header<'a>> {
    let (instant, rest) = if line.as_bytes().get(4) == Some(&b':')
        && line.starts_with(|c: char| c.is_ascii_lowercase())
    {
        (None, line)
    } else {
        let inner = line.strip_prefix('[').unwrap_or(line);
        let cut = stamp(inner, hint)?;
        (Some(cut.instant), cut.rest.trim_start_matches([' ', ']']))
    };
    let word = rest.get(..4)?;
    level(word)?;
    let (category, after) = rest.get(4..)?.strip_prefix(": ")?.split_once('[')?;
    let (event, after) = after.split_once(']')?;
    let is_event = is_number(event.strip_prefix('-').unwrap_or(event));
    (is_name(category) && is_event).then_some((
        instant,
        word,
        category,
        event,
        after.trim_start_matches(' '),
    ))
}

fn read<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Option<()> {
    let (first, more) = split::line(text);
    let (instant, word, category, event, behind) = header(first, hint)?;
    let mut lines = more.lines().peekable();
    let mut scopes = None;
    if let Some(scope) = lines
        .peek()
        .and_then(|line| line.trim_start().strip_prefix("=> "))
    {
        scopes = Some(scope);
        lines.next();
    }
    if let Some(scope) = scopes {
        let mut fields = Fields::new(out, hint);
        for part in scope.split(" => ").flat_map(|part| part.split(", ")) {
            for pair in part.split(' ') {
                match pair.split_once(':') {
                    Some((name, value)) if is_name(name) && !value.is_empty() => {
                        fields.value(name.into(), Value::Text(value.into()));
                    }
                    _ => fields.extra("scope".into(), pair.into()),
                }
            }
        }
        fields.default_message(behind);
        fields.finish(behind);
    }
    let mut message = String::from(behind);
    for line in lines {
        if !message.is_empty() {
            message.push('\n');
        }
        message.push_str(line.strip_prefix(INDENT).unwrap_or(line));
    }
    out.message = if more.is_empty() {
        behind.into()
    } else {
        message.into()
    };
    if let Some(instant) = instant {
        out.set_time(instant);
    }
    out.level = level(word)?;
    super::fields::keep_severity(out, word.into());
    out.logger = Some(category.into());
    if event != "0" {
        super::fields::push_unique(out, "event_id", event);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn categories_and_indented_messages() {
        let first = "fail: Depot.Pay[7]";
        assert_eq!(DotnetConsole.opens(first), Opens::Unfinished);
        assert_eq!(
            DotnetConsole.joins(first, "      charge failed"),
            Joins::Yes
        );
        let text = format!(
            "{first}\n      => TraceId:5b8e, RequestId:0HM7:1\n      charge failed\n      System.Boom: x\n         at A.B()"
        );
        let mut out = Parsed::default();
        assert!(DotnetConsole.parse(&text, &ANY_HINT, &mut out).is_ok());
        assert_eq!(
            (out.level.name(), out.logger.as_deref()),
            ("ERROR", Some("Depot.Pay"))
        );
        assert_eq!(out.message, "charge failed\nSystem.Boom: x\n   at A.B()");
        assert_eq!(out.request_id.as_deref(), Some("0HM7:1"));
        for (text, opens) in [
            ("info: Depot.Pay[0] paid", Opens::Parsed),
            ("10:00:00 warn: Depot.Pay[0]", Opens::Unfinished),
            ("2024-05-01 10:00:00 warn: Depot.Pay[0] slow", Opens::Parsed),
            ("info: a text", Opens::No),
            ("info: [0] x", Opens::No),
            ("2024-05-01 10:00:00 warn: slow", Opens::No),
        ] {
            assert_eq!(DotnetConsole.opens(text), opens, "{text}");
        }
    }
}
