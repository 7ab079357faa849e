//! AWS Lambda: the lines of the platform (`START RequestId: …`, `REPORT RequestId: …` with tabs) and
//! those of its run-times, which put the id of the request between stamp and level.
//!
//! Source: <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs.html>.

use super::app_line::words::{is_id, placed_level};
use super::fields::{keep_severity, push_unique};
use super::{
    Begins, Format, FormatMismatch, FormatSpec, Lines, Opens, Parsed, TimeHint, level, time,
};
use atalaya_domain::record::{Layer, Level};

/// `lambda`.
#[derive(Clone, Copy, Debug)]
pub struct Lambda;

const PLATFORM: [&str; 4] = [
    "START RequestId: ",
    "END RequestId: ",
    "REPORT RequestId: ",
    "RequestId: ",
];

impl Format for Lambda {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "lambda",
            source: "aws/lambda",
            layer: Layer::Application,
            begins: Begins::DIGITS.or(Begins::these(b"SER[")),
            lines: Lines::Stamped,
            traces: true,
            named_ids: true,
        };
        &SPEC
    }

    fn opens(&self, line: &str) -> Opens {
        let bytes = line.as_bytes();
        let opens = match bytes.first() {
            Some(b'S' | b'E' | b'R') => PLATFORM.iter().any(|begin| line.starts_with(begin)),
            Some(b'[') => {
                let near = bytes.get(..12.min(bytes.len())).unwrap_or(bytes);
                memchr::memmem::find(near, b"]\t").is_some()
            }
            // `2020-03-13T21:21:56.341Z`, a tab or a blank, an id.
            _ => {
                bytes.get(23) == Some(&b'Z')
                    && matches!(bytes.get(24), Some(b'\t' | b' '))
                    && bytes.get(33) == Some(&b'-')
            }
        };
        if opens { Opens::Parsed } else { Opens::No }
    }

    fn parse<'a>(
        &self,
        text: &'a str,
        hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<(), FormatMismatch> {
        let read = match text.as_bytes().first() {
            Some(b'S' | b'E' | b'R') => platform(text, out),
            Some(b'[') => python(text, hint, out),
            _ => node(text, hint, out),
        };
        read.ok_or_else(|| {
            self.mismatch("no line of the platform, and no id between stamp and level")
        })
    }
}

fn platform<'a>(text: &'a str, out: &mut Parsed<'a>) -> Option<()> {
    let rest = PLATFORM.iter().find_map(|begin| text.strip_prefix(begin))?;
    let end = rest.find([' ', '\t', '\n']).unwrap_or(rest.len());
    let (id, rest) = rest.split_at(end);
    if !is_id(id) {
        return None;
    }
    out.request_id = Some(id.into());
    out.ungraded = true;
    out.message = text.trim_ascii_end().into();
    let line = rest.lines().next().unwrap_or("");
    if text.starts_with('R') && line.contains("Error: ") {
        out.level = Level::Error;
    }
    if text.starts_with("START") {
        out.put(
            "version",
            line.split_once("Version: ")
                .map_or("", |(_, version)| version.trim_ascii()),
        );
        return Some(());
    }
    for part in line.split('\t') {
        let Some((name, value)) = part.trim_ascii().split_once(": ") else {
            continue;
        };
        match name {
            "Duration" => {
                out.duration_ms = value
                    .strip_suffix(" ms")
                    .and_then(|number| number.parse().ok());
            }
            "Billed Duration" => put_number(out, "billed_duration_ms", value, " ms"),
            "Init Duration" => put_number(out, "init_duration_ms", value, " ms"),
            "Memory Size" => put_number(out, "memory_size_mb", value, " MB"),
            "Max Memory Used" => put_number(out, "max_memory_used_mb", value, " MB"),
            "XRAY TraceId" => push_unique(out, "trace_id", value),
            "Status" if matches!(value, "error" | "timeout" | "failure") => {
                out.level = Level::Error;
            }
            _ => {}
        }
    }
    Some(())
}

fn put_number<'a>(out: &mut Parsed<'a>, name: &'static str, value: &'a str, unit: &str) {
    push_unique(out, name, value.strip_suffix(unit).unwrap_or(value));
}

/// `stamp <tab> id <tab> LEVEL <tab> text`, and `stamp id Task timed out after 3.00 seconds`.
fn node<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Option<()> {
    let cut = time::iso(text, hint)?;
    let rest = cut.rest.strip_prefix(['\t', ' '])?;
    let (id, rest) = rest.split_once(['\t', ' '])?;
    // A function that is starting has no request yet.
    if !(is_id(id) || id == "undefined") {
        return None;
    }
    if let Some((word, message)) = rest.split_once('\t')
        && let Some(level) = placed_level(word)
    {
        out.level = level;
        keep_severity(out, word.into());
        out.message = message.into();
    } else if rest.starts_with("Task timed out") {
        out.level = Level::Error;
        out.message = rest.into();
    } else {
        out.level = level::guess(rest);
        out.ungraded = true;
        out.message = rest.into();
    }
    out.set_time(cut.instant);
    if id != "undefined" {
        out.request_id = Some(id.into());
    }
    Some(())
}

/// `[LEVEL] <tab> stamp <tab> id <tab> text`.
fn python<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Option<()> {
    let (word, rest) = text.strip_prefix('[')?.split_once("]\t")?;
    let level = placed_level(word)?;
    let cut = time::iso(rest, hint)?;
    let (id, message) = cut.rest.strip_prefix('\t')?.split_once('\t')?;
    if !(id.is_empty() || is_id(id)) {
        return None;
    }
    out.set_time(cut.instant);
    out.level = level;
    keep_severity(out, word.into());
    if !id.is_empty() {
        out.request_id = Some(id.into());
    }
    out.message = message.into();
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::app_line::ANY_HINT;
    use super::*;

    #[test]
    fn the_platform_and_its_run_times() {
        const ID: &str = "0879de55-0817-4d5c-9f37-7ed2755a72e1";
        for (text, level, message, duration) in [
            (
                format!("START RequestId: {ID} Version: $LATEST"),
                "INFO",
                None,
                None,
            ),
            (
                format!(
                    "REPORT RequestId: {ID}\tDuration: 12.34 ms\tBilled Duration: 13 ms\tMemory Size: 128 MB\tMax Memory Used: 70 MB\t"
                ),
                "INFO",
                None,
                Some(12.34),
            ),
            (
                format!("2020-03-13T21:21:56.341Z\t{ID}\tERROR\tmail not sent"),
                "ERROR",
                Some("mail not sent"),
                None,
            ),
            (
                format!("2020-03-13T21:21:56.341Z {ID} Task timed out after 3.00 seconds"),
                "ERROR",
                Some("Task timed out after 3.00 seconds"),
                None,
            ),
            (
                format!("[WARNING]\t2020-03-13T21:21:56.341Z\t{ID}\tslow"),
                "WARNING",
                Some("slow"),
                None,
            ),
            (
                format!("RequestId: {ID} Error: Runtime exited with error: exit status 1"),
                "ERROR",
                None,
                None,
            ),
        ] {
            let mut out = Parsed::default();
            assert_eq!(Lambda.opens(&text), Opens::Parsed, "{text}");
            assert!(Lambda.parse(&text, &ANY_HINT, &mut out).is_ok(), "{text}");
            assert_eq!(
                (out.level.name(), out.request_id.as_deref()),
                (level, Some(ID)),
                "{text}"
            );
            assert_eq!(
                out.message,
                message.unwrap_or(text.trim_ascii_end()),
                "{text}"
            );
            assert_eq!(out.duration_ms, duration, "{text}");
        }
        for text in [
            "START of it",
            "REPORT RequestId: 7",
            "2020-03-13T21:21:56.341Z\tINFO\tx.go:1\ty",
            "[INFO] x",
        ] {
            let mut out = Parsed::default();
            assert!(
                Lambda.opens(text) == Opens::No || Lambda.parse(text, &ANY_HINT, &mut out).is_err(),
                "{text}"
            );
        }
    }
}
