//! logrus on a terminal: `INFO[0012] listening on :8080      addr=10.0.0.1`, with the seconds since its
//! start, or a stamp, in the brackets. Without a terminal it writes logfmt.
//!
//! Source: `TextFormatter.printColored` in <https://github.com/sirupsen/logrus>.

use super::app_line::stamp::stamp;
use super::app_line::tail;
use super::app_line::words::{file_and_line, is_number, level_of};
use super::fields::{Fields, keep_severity, push_unique};
use super::split;
use super::{Begins, Format, FormatMismatch, FormatSpec, Lines, Opens, Parsed, Signs, TimeHint};
use atalaya_domain::record::Layer;

/// `logrus`.
#[derive(Clone, Copy, Debug)]
pub struct Logrus;

const LEVELS: [&str; 7] = ["TRAC", "DEBU", "INFO", "WARN", "ERRO", "FATA", "PANI"];

impl Format for Logrus {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "logrus",
            source: "app/logrus",
            layer: Layer::Application,
            begins: Begins::these(b"TDIWEFP"),
            lines: Lines::Stamped,
            traces: true,
            named_ids: true,
        };
        &SPEC
    }

    fn needs(&self) -> Signs {
        Signs::these(b"[")
    }

    fn opens(&self, line: &str) -> Opens {
        let opens = line.as_bytes().get(4) == Some(&b'[')
            && line.as_bytes().get(5).is_some_and(u8::is_ascii_digit)
            && line.get(..4).is_some_and(|word| LEVELS.contains(&word));
        if opens { Opens::Parsed } else { Opens::No }
    }

    fn parse<'a>(
        &self,
        text: &'a str,
        hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<(), FormatMismatch> {
        read(text, hint, out).ok_or_else(|| self.mismatch("no LEVEL[time]"))
    }
}

fn read<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Option<()> {
    let (line, more) = split::line(text);
    let word = line.get(..4)?;
    let level = LEVELS.contains(&word).then(|| level_of(word))??;
    let (time, mut rest) = line.get(4..)?.strip_prefix('[')?.split_once(']')?;
    let instant = if is_number(time) {
        None
    } else {
        Some(stamp(time, hint).filter(|cut| cut.rest.is_empty())?.instant)
    };
    let mut caller = None;
    if let Some((place, after)) = rest.split_once(' ')
        && let Some(found) = file_and_line(place.trim_start_matches('['))
    {
        caller = Some(found);
        rest = after;
    }
    let rest = rest.strip_prefix(' ').unwrap_or(rest);
    let mut fields = Fields::new(out, hint);
    let message = tail::split(rest, &mut fields);
    tail::finish(message, fields);
    out.level = level;
    keep_severity(out, word.into());
    match instant {
        Some(instant) => out.set_time(instant),
        None => push_unique(out, "uptime_s", time.trim_start_matches('0').trim_ascii()),
    }
    if let Some((file, line)) = caller {
        push_unique(out, "file", file);
        push_unique(out, "line", line);
    }
    if !more.is_empty() {
        out.traceback = Some(more.into());
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::app_line::ANY_HINT;
    use super::*;

    #[test]
    fn levels_of_four_letters() {
        for (text, level, message, request) in [
            (
                "INFO[0012] listening on :8080              addr=10.0.0.1 request_id=r-1",
                "INFO",
                "listening on :8080",
                Some("r-1"),
            ),
            (
                "ERRO[2024-05-01T10:00:00Z] it broke",
                "ERROR",
                "it broke",
                None,
            ),
            (
                "FATA[0000] no store                        error=\"no route\"",
                "CRITICAL",
                "no store",
                None,
            ),
        ] {
            let mut out = Parsed::default();
            assert_eq!(Logrus.opens(text), Opens::Parsed, "{text}");
            assert!(Logrus.parse(text, &ANY_HINT, &mut out).is_ok(), "{text}");
            assert_eq!(
                (out.level.name(), out.message.as_ref()),
                (level, message),
                "{text}"
            );
            assert_eq!(out.request_id.as_deref(), request, "{text}");
            assert_eq!(
                out.timestamp.is_some(),
                text.contains('T') && text.contains('Z'),
                "{text}"
            );
        }
        for text in ["INFO[x] y", "INFO 0012", "DATA[0012] x"] {
            assert_eq!(Logrus.opens(text), Opens::No, "{text}");
        }
    }
}
