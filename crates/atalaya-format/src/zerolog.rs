//! Console writers of Go with levels of three letters and pairs behind the message: zerolog (and Traefik
//! 3 with it), tint, and charmbracelet's log: `10:00AM INF charge.go:84 > text key=value`.
//!
//! Sources: <https://pkg.go.dev/github.com/rs/zerolog#ConsoleWriter>,
//! <https://pkg.go.dev/github.com/lmittmann/tint>, <https://pkg.go.dev/github.com/charmbracelet/log>.

use super::app_line::stamp::{behind_iso, half_day_clock, stamp};
use super::app_line::tail;
use super::app_line::words::{file_and_line, is_name, level_of};
use super::fields::{Fields, keep_severity};
use super::split;
use super::{Begins, Format, FormatMismatch, FormatSpec, Lines, Opens, Parsed, Signs, TimeHint};
use atalaya_domain::record::Layer;

/// `zerolog`.
#[derive(Clone, Copy, Debug)]
pub struct Zerolog;

const LEVELS: [&str; 11] = [
    "TRC", "DBG", "INF", "WRN", "ERR", "FTL", "PNC", "DEBU", "ERRO", "FATA", "???",
];

impl Format for Zerolog {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "zerolog",
            source: "app/zerolog",
            layer: Layer::Application,
            begins: Begins::DIGITS.or(Begins::these(b"<")),
            lines: Lines::Stamped,
            traces: true,
            named_ids: true,
        };
        &SPEC
    }

    fn needs(&self) -> Signs {
        Signs::NO_PROSE
    }

    fn opens(&self, line: &str) -> Opens {
        let bytes = line.as_bytes();
        let behind = match bytes {
            [_, _, _, _, b'-', ..] => behind_iso(line),
            [b'<', b'n', ..] => line.strip_prefix("<nil>"),
            // `3:04PM`, `10:04AM`.
            [_, b':', _, _, b'A' | b'P', b'M', ..] => line.get(6..),
            [_, _, b':', _, _, b'A' | b'P', b'M', ..] => line.get(7..),
            // `10:04:05`, with milliseconds (tint).
            [_, _, b':', _, _, b':', ..] => line.get(8..).map(|rest| {
                rest.strip_prefix('.')
                    .unwrap_or(rest)
                    .trim_start_matches(|digit: char| digit.is_ascii_digit())
            }),
            _ => None,
        };
        if behind.is_some_and(|rest| level(rest).is_some()) {
            Opens::Parsed
        } else {
            Opens::No
        }
    }

    fn parse<'a>(
        &self,
        text: &'a str,
        hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<(), FormatMismatch> {
        read(text, hint, out)
            .ok_or_else(|| self.mismatch("no level of three letters behind the time"))
    }
}

/// The level behind the stamp, and what follows it.
fn level(rest: &str) -> Option<(&str, &str)> {
    let rest = rest.strip_prefix(' ')?;
    if !rest.starts_with(|first: char| first.is_ascii_uppercase() || first == '?') {
        return None;
    }
    let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
    LEVELS.contains(&word).then_some((word, after))
}

fn read<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Option<()> {
    let (line, more) = split::line(text);
    let rest = match line.strip_prefix("<nil>") {
        Some(rest) => rest,
        None => {
            let cut = half_day_clock(line, hint).or_else(|| stamp(line, hint))?;
            out.set_time(cut.instant);
            cut.rest
        }
    };
    let instant = (out.timestamp, out.day_missing);
    let (word, rest) = level(rest)?;
    let mut message = rest.trim_start_matches(' ');
    let mut caller = None;
    let mut logger = None;
    if let Some((place, after)) = message.split_once(" > ")
        && let Some(found) = file_and_line(place)
    {
        caller = Some(found);
        message = after;
    } else if let Some((place, after)) = message
        .strip_prefix('<')
        .and_then(|rest| rest.split_once("> "))
        && let Some(found) = file_and_line(place)
    {
        caller = Some(found);
        message = after;
    } else if let Some((prefix, after)) = message.split_once(": ")
        && is_name(prefix)
        && word.len() == 4
    {
        logger = Some(prefix);
        message = after;
    }
    let mut fields = Fields::new(out, hint);
    let text = tail::split(message, &mut fields);
    tail::finish(text, fields);
    (out.timestamp, out.day_missing) = instant;
    if let Some(level) = level_of(word) {
        out.level = level;
    }
    keep_severity(out, word.into());
    if let Some(logger) = logger {
        out.logger = Some(logger.into());
    }
    if let Some((file, line)) = caller {
        out.put("file", file);
        out.put("line", line);
    }
    if !more.is_empty() {
        out.traceback = Some(match out.traceback.take() {
            Some(first) => format!("{first}\n{more}").into(),
            None => more.into(),
        });
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::app_line::ANY_HINT;
    use super::*;

    #[test]
    fn console_writers() {
        for (text, level, message, name, value) in [
            (
                "2024-10-06T13:45:31+02:00 DBG pkg/ip/list.go:84 > Accepting IP 10.0.0.1 middleware=a@file",
                "DEBUG",
                "Accepting IP 10.0.0.1",
                "middleware",
                "a@file",
            ),
            (
                "10:00AM ERR cannot renew error=\"no account\" provider=le",
                "ERROR",
                "cannot renew",
                "provider",
                "le",
            ),
            ("3:04PM INF ready", "INFO", "ready", "severity", "INF"),
            (
                "10:00:00.123 WRN slow took=2s",
                "WARNING",
                "slow",
                "severity",
                "WRN",
            ),
            (
                "<nil> FTL out of memory code=7",
                "CRITICAL",
                "out of memory",
                "code",
                "7",
            ),
            (
                "10:00AM ERRO depot: broke id=7",
                "ERROR",
                "broke",
                "id",
                "7",
            ),
        ] {
            let mut out = Parsed::default();
            assert_eq!(Zerolog.opens(text), Opens::Parsed, "{text}");
            assert!(Zerolog.parse(text, &ANY_HINT, &mut out).is_ok(), "{text}");
            assert_eq!(
                (out.level.name(), out.message.as_ref()),
                (level, message),
                "{text}"
            );
            let found = out
                .metadata
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, text)| text.as_ref());
            assert_eq!(found, Some(value), "{text}: {:?}", out.metadata);
            assert_eq!(out.timestamp.is_some(), !text.starts_with('<'), "{text}");
        }
        for text in [
            "2024-10-06T13:45:31Z INFO x",
            "10:00AM lunch",
            "10:00:00 ERROR x",
            "12 INF x",
        ] {
            assert_eq!(Zerolog.opens(text), Opens::No, "{text}");
        }
    }
}
