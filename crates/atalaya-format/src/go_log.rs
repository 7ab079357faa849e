//! Go's `log` package where it says more than a stamp: `2024/05/01 10:00:00 file.go:12: text`
//! (`log.Lshortfile`), and `log/slog` through it: `2024/05/01 10:00:00 INFO text key=value`.
//!
//! Sources: <https://pkg.go.dev/log#pkg-constants>, <https://pkg.go.dev/log/slog>.

use std::path::Path;

use super::app_line::tail;
use super::app_line::words::{capital_level, file_and_line};
use super::fields::{Fields, keep_severity, push_unique};
use super::split;
use super::{
    Begins, Format, FormatMismatch, FormatSpec, Lines, Opens, Parsed, TimeHint, level, time,
};
use atalaya_domain::record::Layer;

/// `go-log`.
#[derive(Clone, Copy, Debug)]
pub struct GoLog;

impl Format for GoLog {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "go-log",
            source: "app/go",
            layer: Layer::Application,
            begins: Begins::DIGITS,
            lines: Lines::Stamped,
            traces: true,
            named_ids: true,
        };
        &SPEC
    }

    fn opens(&self, line: &str) -> Opens {
        let bytes = line.as_bytes();
        let opens = bytes.get(4) == Some(&b'/')
            && bytes.get(7) == Some(&b'/')
            && bytes.get(16) == Some(&b':')
            && matches!(bytes.get(19), Some(b' ' | b'.'));
        if opens { Opens::Parsed } else { Opens::No }
    }

    fn parse<'a>(
        &self,
        text: &'a str,
        hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<(), FormatMismatch> {
        read(text, hint, out)
            .ok_or_else(|| self.mismatch("neither a file nor a level behind the stamp"))
    }
}

fn read<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Option<()> {
    let (line, more) = split::line(text);
    let cut = time::slashed(line, hint)?;
    let rest = cut.rest.strip_prefix(' ')?;
    let (first, after) = rest.split_once(' ')?;
    if let Some(place) = first
        .strip_suffix(':')
        .and_then(file_and_line)
        .filter(|(file, _)| Path::new(file).extension().is_some_and(|kind| kind == "go"))
    {
        out.set_time(cut.instant);
        out.put("file", place.0);
        out.put("line", place.1);
        out.message = text.get(line.len() - after.len()..)?.into();
        out.level = level::guess(line.get(line.len() - after.len()..)?);
        out.ungraded = true;
        return Some(());
    }
    let level =
        capital_level(first).filter(|_| matches!(first, "DEBUG" | "INFO" | "WARN" | "ERROR"))?;
    let at = tail::start(after)?;
    let mut fields = Fields::new(out, hint);
    tail::read(after.get(at..)?, &mut fields);
    let message = after.get(..at)?.trim_ascii_end();
    tail::finish(message, fields);
    out.set_time(cut.instant);
    out.level = level;
    keep_severity(out, first.into());
    if !more.is_empty() {
        push_unique(out, "text_after", more);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::app_line::ANY_HINT;
    use super::*;

    #[test]
    fn files_and_levels() {
        let mut out = Parsed::default();
        let text = "2024/05/01 10:00:00.000123 pay.go:12: error: no route";
        assert_eq!(GoLog.opens(text), Opens::Parsed);
        assert!(GoLog.parse(text, &ANY_HINT, &mut out).is_ok());
        assert_eq!(
            (out.message.as_ref(), out.level.name(), out.ungraded),
            ("error: no route", "ERROR", true)
        );
        assert_eq!(
            out.metadata,
            [
                ("file".into(), "pay.go".into()),
                ("line".into(), "12".into())
            ]
        );
        let mut out = Parsed::default();
        assert!(
            GoLog
                .parse(
                    "2024/05/01 10:00:00 WARN slow query request_id=r-7 ms=12",
                    &ANY_HINT,
                    &mut out
                )
                .is_ok()
        );
        assert_eq!(
            (out.message.as_ref(), out.level.name()),
            ("slow query", "WARNING")
        );
        assert_eq!(out.request_id.as_deref(), Some("r-7"));
        for text in [
            "2024/05/01 10:00:00 listening",
            "2024/05/01 10:00:00 [error] 1#2: x",
            "2024/05/01 10:00:00 INFO no pairs",
            "2024/05/01 10:00:00 note: x",
        ] {
            assert!(
                GoLog
                    .parse(text, &ANY_HINT, &mut Parsed::default())
                    .is_err(),
                "{text}"
            );
        }
    }
}
