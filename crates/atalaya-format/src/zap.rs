//! zap's console encoder, as the controllers of Kubernetes use it: columns with tabs between them,
//! `stamp LEVEL [logger] caller message {json}`. The stack of an error follows on lines of its own.
//!
//! Source: <https://pkg.go.dev/go.uber.org/zap/zapcore#NewConsoleEncoder>.

use super::app_line::stamp::stamp;
use super::app_line::tail::beside_header;
use super::app_line::words::{file_and_line, is_name, placed_level};
use super::fields::{Fields, keep_severity, set_logger};
use super::json::scan::Scan;
use super::split;
use super::{
    Begins, Format, FormatMismatch, FormatSpec, Lines, Opens, Parsed, Signs, TimeHint, time,
};
use atalaya_domain::record::Layer;

/// `zap`.
#[derive(Clone, Copy, Debug)]
pub struct Zap;

/// A stamp and its tab stand within so many bytes.
const STAMP_BYTES: usize = 40;

impl Format for Zap {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "zap",
            source: "app/zap",
            layer: Layer::Application,
            begins: Begins::DIGITS,
            lines: Lines::Stamped,
            traces: true,
            named_ids: true,
        };
        &SPEC
    }

    fn needs(&self) -> Signs {
        Signs::these(b"\t")
    }

    fn opens(&self, line: &str) -> Opens {
        let bytes = line.as_bytes();
        let near = bytes.get(..STAMP_BYTES.min(bytes.len())).unwrap_or(bytes);
        match memchr::memchr(b'\t', near) {
            Some(tab) if bytes.get(tab + 1).is_some_and(u8::is_ascii_alphabetic) => Opens::Parsed,
            _ => Opens::No,
        }
    }

    fn parse<'a>(
        &self,
        text: &'a str,
        hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<(), FormatMismatch> {
        read(text, hint, out).ok_or_else(|| self.mismatch("no columns of zap"))
    }
}

/// The stamp fills its column; the default of old operators is a number with an exponent.
fn instant(column: &str, hint: &TimeHint) -> Option<time::Instant> {
    if let Some(cut) = stamp(column, hint).filter(|cut| cut.rest.is_empty()) {
        return Some(cut.instant);
    }
    let number: f64 = column.contains("e+").then(|| column.parse().ok())??;
    time::epoch_number(number).map(time::Instant::exact)
}

fn read<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Option<()> {
    let (line, more) = split::line(text);
    let (first, rest) = line.split_once('\t')?;
    let instant = instant(first, hint)?;
    let (word, mut rest) = rest.split_once('\t').unwrap_or((rest, ""));
    let level = placed_level(word)?;
    let mut logger = None;
    let mut caller = None;
    let mut object = None;
    if let Some((next, after)) = rest.split_once('\t')
        && file_and_line(next).is_none()
        && is_name(next)
        && !after.starts_with('{')
    {
        logger = Some(next);
        rest = after;
    }
    if let Some((next, after)) = rest.split_once('\t')
        && let Some(place) = file_and_line(next)
    {
        caller = Some(place);
        rest = after;
    }
    if let Some((message, tail)) = rest.rsplit_once('\t')
        && tail.starts_with('{')
    {
        object = Some(tail);
        rest = message;
    }
    // A column of the message's own may stand behind it, but then something else must be zap's.
    if rest.contains('\t') && caller.is_none() && object.is_none() {
        return None;
    }
    // Other loggers with tabs have a thread where this has a logger.
    if logger.is_some() && caller.is_none() && object.is_none() {
        return None;
    }
    if let Some(object) = object {
        let mut fields = Fields::new(out, hint);
        let mut scan = Scan::new(object);
        scan.object("", 8, &mut |name, value| {
            beside_header(&mut fields, name, value);
        })
        .ok()?;
        if !scan.rest().trim_ascii().is_empty() {
            return None;
        }
        fields.default_message(rest);
        fields.finish(rest);
    } else {
        out.message = rest.into();
    }
    out.set_time(instant);
    // Caddy's access log has every answer as information, also that there was none.
    let is_access = logger.is_some_and(|logger| logger.starts_with("http.log.access"));
    out.level = if is_access {
        level.max(out.level)
    } else {
        level
    };
    keep_severity(out, word.into());
    if let Some(logger) = logger {
        set_logger(out, logger);
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
    fn columns_of_zap() {
        for (text, level, logger, message, request) in [
            (
                "2024-05-01T08:00:00.000Z\tERROR\tpay/charge.go:17\tcharge failed\t{\"request_id\": \"req-5\"}",
                "ERROR",
                None,
                "charge failed",
                Some("req-5"),
            ),
            (
                "2024-05-01T08:00:00.000Z\tinfo\tpay/charge.go:20\tretry",
                "INFO",
                None,
                "retry",
                None,
            ),
            (
                "1.7145504e+09\tINFO\tsetup\tstarting manager\t{\"message\": \"x\"}",
                "INFO",
                Some("setup"),
                "starting manager",
                None,
            ),
            (
                "2024-05-01T08:00:00Z\tDPANIC\tcore.pay\tpay/charge.go:9\tbroke\nmain.run\n\t/src/main.go:4",
                "CRITICAL",
                Some("core.pay"),
                "broke",
                None,
            ),
        ] {
            let mut out = Parsed::default();
            assert_eq!(Zap.opens(text), Opens::Parsed, "{text}");
            assert!(Zap.parse(text, &ANY_HINT, &mut out).is_ok(), "{text}");
            assert_eq!(
                (out.level.name(), out.message.as_ref()),
                (level, message),
                "{text}"
            );
            assert_eq!(
                (out.logger.as_deref(), out.request_id.as_deref()),
                (logger, request),
                "{text}"
            );
            assert_eq!(out.traceback.is_some(), text.contains('\n'), "{text}");
        }
        for text in [
            "2024-05-01T08:00:00.000Z\t0879de55-0817-4d5c-9f37-7ed2755a72e1\tINFO\tpaid",
            "2024-05-01T08:00:00.123Z\tINFO\tmain\tc.e.Pay\tup",
            "12\tINFO\tx.go:1\ty",
        ] {
            assert!(
                Zap.parse(text, &ANY_HINT, &mut Parsed::default()).is_err(),
                "{text}"
            );
        }
    }
}
