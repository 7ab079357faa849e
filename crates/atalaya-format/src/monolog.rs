//! Monolog's lines, which Laravel and Symfony write:
//! `[2024-05-01 08:00:00] local.ERROR: text {"userId":7,"exception":"…"} []`.
//!
//! The context is JSON, also where Laravel lets it go over several lines (`[stacktrace]`); the second
//! object, or `[]`, is what processors add.
//!
//! Source: `LineFormatter` in <https://github.com/Seldaek/monolog>.

use super::app_line::tail::beside_header;
use super::app_line::words::capital_level;
use super::fields::{Fields, keep_severity, push_unique, set_logger};
use super::json::scan::Scan;
use super::{
    Begins, Format, FormatMismatch, FormatSpec, Joins, Lines, Opens, Parsed, TimeHint, time,
};
use atalaya_domain::record::Layer;

/// `monolog`.
#[derive(Clone, Copy, Debug)]
pub struct Monolog;

/// Objects nested deeper stay JSON.
const DEPTH: usize = 8;
/// The end of a record is looked at, not all of it.
const END_BYTES: usize = 256;

impl Format for Monolog {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "monolog",
            source: "app/php",
            layer: Layer::Application,
            begins: Begins::these(b"["),
            lines: Lines::Stamped,
            traces: true,
            named_ids: true,
        };
        &SPEC
    }

    fn opens(&self, line: &str) -> Opens {
        let bytes = line.as_bytes();
        let opens =
            bytes.get(5) == Some(&b'-') && bytes.get(8) == Some(&b'-') && header(line).is_some();
        if opens { Opens::Parsed } else { Opens::No }
    }

    fn joins(&self, pending: &str, line: &str) -> Joins {
        // `[stacktrace]` and `#0 …` inside of the context; another record begins with its stamp.
        let first = pending.split('\n').next().unwrap_or("");
        // The quote of the exception's text ends at the margin, and its object with it.
        let has_ended = pending
            .rsplit_once('\n')
            .is_some_and(|(_, last)| last.starts_with("\"}"));
        let is_open = !ends_complete(first) && !has_ended;
        if is_open && line.starts_with(['[', '"', '#']) && self.opens(line) == Opens::No {
            let is_stamp =
                line.as_bytes().get(1).is_some_and(u8::is_ascii_digit) && line.starts_with('[');
            return if is_stamp { Joins::Unsaid } else { Joins::Yes };
        }
        Joins::Unsaid
    }

    fn parse<'a>(
        &self,
        text: &'a str,
        hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<(), FormatMismatch> {
        read(text, hint, out).ok_or_else(|| self.mismatch("no [stamp] channel.LEVEL:"))
    }
}

/// Whether a line of this format ends with its context.
fn ends_complete(line: &str) -> bool {
    let bytes = line.as_bytes();
    let end = bytes
        .get(bytes.len().saturating_sub(END_BYTES)..)
        .unwrap_or(bytes)
        .trim_ascii_end();
    end.ends_with(b"}") || end.ends_with(b"[]") || memchr::memmem::find(bytes, b" {\"").is_none()
}

/// Stamp, channel, level and the rest.
fn header(text: &str) -> Option<(&str, &str, &str, &str)> {
    const NEAR: usize = 160;
    let (stamp, rest) = text.strip_prefix('[')?.split_once("] ")?;
    if stamp.len() > 40 {
        return None;
    }
    let near = rest.as_bytes().get(..NEAR.min(rest.len()))?;
    let colon = memchr::memchr(b':', near)?;
    let (channel, level) = rest.get(..colon)?.rsplit_once('.')?;
    let is_channel = !channel.is_empty() && channel.bytes().all(|byte| byte.is_ascii_graphic());
    let after = rest.get(colon + 1..)?;
    (is_channel
        && capital_level(level).is_some()
        && (after.is_empty() || after.starts_with([' ', '\n'])))
    .then_some((stamp, channel, level, after))
}

fn read<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Option<()> {
    let (stamp, channel, word, rest) = header(text)?;
    let cut = time::any(stamp, hint).filter(|cut| cut.rest.is_empty())?;
    let mut message = rest.trim_ascii();
    if let Some((before, objects)) = objects(message) {
        let mut fields = Fields::new(out, hint);
        for object in objects.into_iter().flatten() {
            let mut scan = Scan::new(object);
            scan.object("", DEPTH, &mut |name, value| {
                beside_header(&mut fields, name, value);
            })
            .ok()?;
        }
        // A record that is nothing but its context says that.
        message = if before.is_empty() { message } else { before };
        fields.default_message(message);
        fields.finish(message);
    } else {
        for _ in 0..2 {
            message = message
                .strip_suffix(" []")
                .unwrap_or(message)
                .trim_ascii_end();
        }
    }
    let told = std::mem::replace(&mut out.message, message.into());
    if told != message {
        push_unique(out, "message", told);
    }
    out.set_time(cut.instant);
    set_logger(out, channel);
    out.level = capital_level(word)?;
    keep_severity(out, word.into());
    Some(())
}

/// The message, and the one or two objects with which it ends.
fn objects(text: &str) -> Option<(&str, [Option<&str>; 2])> {
    let mut from = 0;
    // The message may hold a brace and a quote itself; more than a few times it does not.
    for _ in 0..4 {
        let at = from + memchr::memmem::find(text.as_bytes().get(from..)?, b"{\"")?;
        let before = text.get(..at)?;
        let mut scan = Scan::new(text.get(at..)?);
        if scan.object("", 0, &mut |_, _| {}).is_ok() {
            let first_end = text.len() - scan.rest().len();
            let first = text.get(at..first_end)?;
            let rest = scan.rest().trim_ascii();
            let message = before.trim_ascii_end();
            let message = message
                .strip_suffix(" []")
                .unwrap_or(message)
                .trim_ascii_end();
            if rest.is_empty() || rest == "[]" {
                return Some((message, [Some(first), None]));
            }
            let mut second = Scan::new(rest);
            if rest.starts_with('{')
                && second.object("", 0, &mut |_, _| {}).is_ok()
                && second.rest().trim_ascii().is_empty()
            {
                return Some((message, [Some(first), Some(rest)]));
            }
        }
        from = at + 2;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::app_line::ANY_HINT;
    use super::*;

    fn parse(text: &str) -> Parsed<'_> {
        let mut out = Parsed::default();
        assert_eq!(
            Monolog.opens(text.lines().next().unwrap_or("")),
            Opens::Parsed,
            "{text}"
        );
        assert!(Monolog.parse(text, &ANY_HINT, &mut out).is_ok(), "{text}");
        out
    }

    #[test]
    fn laravel_and_symfony() {
        let text = "[2024-05-01 08:00:00] local.ERROR: no total {\"userId\":7,\"message\":\"m\",\"exception\":\"[object] (E(code: 0): x at /srv/a.php:1)\n[stacktrace]\n#0 /srv/a.php(1): f()\n\"} ";
        let out = parse(text);
        assert_eq!(
            (out.level.name(), out.logger.as_deref()),
            ("ERROR", Some("local"))
        );
        assert_eq!(
            (out.message.as_ref(), out.user_id.as_deref()),
            ("no total", Some("7"))
        );
        assert!(
            out.traceback
                .is_some_and(|trace| trace.contains("[stacktrace]\n#0 "))
        );
        let out = parse(
            "[2024-05-01T08:00:00.123456+00:00] request.CRITICAL: Uncaught Boom: \"x\" at a.php line 4 {\"exception\":\"e\"} {\"request_id\":\"r-7\"}",
        );
        assert_eq!(
            (out.level.name(), out.request_id.as_deref()),
            ("CRITICAL", Some("r-7"))
        );
        assert_eq!(out.message, "Uncaught Boom: \"x\" at a.php line 4");
        let out = parse("[2024-05-01T08:00:00.123456+00:00] app.INFO: ok [] []");
        assert_eq!((out.message.as_ref(), out.metadata.len()), ("ok", 0));
        assert_eq!(
            parse("[2024-05-01 08:00:01] shop-eu.NOTICE: ok").message,
            "ok"
        );
    }

    #[test]
    fn lines_inside_of_the_context() {
        let first = "[2024-05-01 08:00:00] local.ERROR: x {\"exception\":\"[object] (E(code: 0): y at /a:1)";
        assert_eq!(Monolog.joins(first, "[stacktrace]"), Joins::Yes);
        assert_eq!(Monolog.joins(first, "#0 {main}"), Joins::Yes);
        assert_eq!(Monolog.joins(first, "\"} "), Joins::Yes);
        assert_eq!(
            Monolog.joins(first, "[2024-05-01 08:00:01] local.INFO: ok"),
            Joins::Unsaid
        );
        assert_eq!(
            Monolog.joins("[2024-05-01 08:00:00] local.INFO: x", "[tag] y"),
            Joins::Unsaid
        );
        for text in [
            "[2024-05-01 08:00:00] text: x",
            "[2024-05-01 08:00:00] ERROR: x",
            "[stacktrace]",
        ] {
            assert_eq!(Monolog.opens(text), Opens::No, "{text}");
        }
    }
}
