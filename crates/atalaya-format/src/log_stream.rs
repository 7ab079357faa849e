//! `aws logs tail`: `2021-02-04T08:02:01.678000+00:00 stream text`; and `docker logs --timestamps` and
//! `kubectl logs --timestamps`: `2021-02-04T08:02:01.678000000Z text`.
//!
//! The text may be anything, so the rest must be sure: microseconds with an offset, and a stream
//! with a slash in its name or an object behind it; or nanoseconds, and a text that has the head
//! of a record or is a part of a stack trace.
//!
//! Sources: <https://docs.aws.amazon.com/cli/latest/reference/logs/tail.html>,
//! <https://docs.docker.com/reference/cli/docker/container/logs/>.

use super::{
    Begins, Envelope, FormatMismatch, FormatSpec, Inside, Lines, Parsed, TimeHint, plain,
    stream_of, time, trace,
};
use atalaya_domain::record::Layer;

/// `log-stream`.
#[derive(Clone, Copy, Debug)]
pub struct LogStream;

impl Envelope for LogStream {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "log-stream",
            source: "cloudwatch",
            layer: Layer::Application,
            begins: Begins::DIGITS,
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
        if let Some((stamp, text)) = stamped(line) {
            out.set_time(stamp_of(stamp, hint).ok_or_else(|| self.mismatch("no time"))?);
            out.zoned = true;
            out.message = text.into();
            return Ok(Inside::line(stream_of(&["--timestamps"]), false));
        }
        let (stamp, stream, text) =
            split(line).ok_or_else(|| self.mismatch("no `time stream text`"))?;
        out.set_time(stamp_of(stamp, hint).ok_or_else(|| self.mismatch("no time"))?);
        out.zoned = true;
        out.put("log_stream", stream);
        out.message = text.into();
        Ok(Inside::line(stream_of(&[stream]), false))
    }

    /// An event may have several lines.
    fn takes_bare_lines(&self) -> bool {
        true
    }
}

fn stamp_of(stamp: &str, hint: &TimeHint) -> Option<time::Instant> {
    time::iso(stamp, hint)
        .filter(|cut| cut.rest.is_empty())
        .map(|cut| cut.instant)
}

/// The stamp of a container's run-time, and a text that needs none of its own or has one.
fn stamped(line: &str) -> Option<(&str, &str)> {
    /// `2021-02-04T08:02:01.678000000Z`
    const STAMP: usize = 30;
    let bytes = line.as_bytes();
    if bytes.get(10) != Some(&b'T')
        || bytes.get(19) != Some(&b'.')
        || bytes.get(STAMP - 1) != Some(&b'Z')
        || bytes.get(STAMP) != Some(&b' ')
    {
        return None;
    }
    let text = line.get(STAMP + 1..)?;
    let sure = match *text.as_bytes() {
        [b'{', b'"', ..] | [b'\t', ..] => true,
        [b' ', ..] => trace::is_frame(text),
        [b'I' | b'W' | b'E' | b'F', b'0'..=b'1', b'0'..=b'9', ..]
        | [b'0'..=b'9', ..]
        | [b'[' | b'<', b'0'..=b'9', ..] => plain::has_stamp(text),
        _ => trace::is_head(text) || trace::surely_exception(text),
    };
    sure.then_some((line.get(..STAMP)?, text))
}

fn split(line: &str) -> Option<(&str, &str, &str)> {
    /// `2021-02-04T08:02:01.678000+00:00`
    const STAMP: usize = 32;
    if line.as_bytes().get(10) != Some(&b'T') || line.as_bytes().get(STAMP) != Some(&b' ') {
        return None;
    }
    let stamp = line.get(..STAMP)?;
    if stamp.as_bytes().get(19) != Some(&b'.')
        || !matches!(stamp.as_bytes().get(26), Some(b'+' | b'-'))
    {
        return None;
    }
    let (stream, text) = line.get(STAMP + 1..)?.split_once(' ')?;
    let named = !stream.is_empty()
        && stream.bytes().all(|byte| {
            byte.is_ascii_alphanumeric()
                || matches!(
                    byte,
                    b'.' | b'-' | b'_' | b'/' | b'#' | b'[' | b']' | b'$' | b':'
                )
        });
    let sure = text.starts_with("{\"") || (stream.contains('/') && !stream.ends_with(':'));
    (named && sure).then_some((stamp, stream, text))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::super::python::ANY_HINT;
    use super::*;

    #[test]
    fn stream_and_text() {
        for (line, stream, text) in [
            (
                "2024-05-01T08:00:00.123000+00:00 api-7d {\"a\":1}",
                "api-7d",
                "{\"a\":1}",
            ),
            (
                "2024-05-01T08:00:00.123000+00:00 shop/api/7d ERROR no",
                "shop/api/7d",
                "ERROR no",
            ),
            (
                "2024-05-01T08:00:00.123000+00:00 2024/05/01/[$LATEST]0a START",
                "2024/05/01/[$LATEST]0a",
                "START",
            ),
        ] {
            let mut out = Parsed::default();
            LogStream.open(line, &ANY_HINT, &mut out).unwrap();
            assert_eq!(out.message, text, "{line}");
            assert_eq!(out.metadata, [("log_stream".into(), stream.into())]);
        }
        for line in [
            "2024-05-01T08:00:00.123+00:00 a/b x",
            "2024-05-01T08:00:00.123000Z a/b x",
            "2024-05-01T08:00:00.123000+00:00 ERROR x",
            "2024-05-01T08:00:00.123000+00:00 a/b",
        ] {
            assert!(
                LogStream
                    .open(line, &ANY_HINT, &mut Parsed::default())
                    .is_err(),
                "{line}"
            );
        }
    }
}
