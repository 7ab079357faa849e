//! Heroku's logplex: `2024-05-01T08:00:00.000000+00:00 app[web.1]: text`.
//!
//! What PostgreSQL writes there is left to [`super::postgresql`], which needs the numbers of the
//! lines.
//!
//! Source: <https://devcenter.heroku.com/articles/logging#log-format>.

use super::{
    Begins, Envelope, FormatMismatch, FormatSpec, Inside, Lines, Parsed, TimeHint, stream_of, time,
};
use atalaya_domain::record::Layer;

/// `logplex`.
#[derive(Clone, Copy, Debug)]
pub struct Logplex;

impl Envelope for Logplex {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "logplex",
            source: "heroku",
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
        let (stamp, source, dyno, text) =
            split(line).ok_or_else(|| self.mismatch("no `time source[dyno]: text`"))?;
        let cut = time::iso(stamp, hint)
            .filter(|cut| cut.rest.is_empty())
            .ok_or_else(|| self.mismatch("no time"))?;
        out.set_time(cut.instant);
        out.zoned = true;
        out.logger = Some(source.into());
        out.put("dyno", dyno);
        out.message = text.into();
        Ok(Inside::line(stream_of(&[source, dyno]), false))
    }
}

/// Time, source, dyno and text. The source is `app` or `heroku` whatever the program.
fn split(line: &str) -> Option<(&str, &str, &str, &str)> {
    if line.as_bytes().get(10) != Some(&b'T') {
        return None;
    }
    let (stamp, rest) = line.split_once(' ')?;
    let (source, rest) = match rest.strip_prefix("app[") {
        Some(rest) => ("app", rest),
        None => ("heroku", rest.strip_prefix("heroku[")?),
    };
    let (dyno, text) = rest.split_once("]:")?;
    let named = !dyno.is_empty()
        && dyno
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
    let zoned = stamp.ends_with('Z') || stamp.get(19..)?.contains(['+', '-']);
    (named && zoned && !dyno.starts_with("postgres."))
        .then(|| (stamp, source, dyno, text.strip_prefix(' ').unwrap_or(text)))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::super::python::ANY_HINT;
    use super::*;

    #[test]
    fn source_and_dyno() {
        for (line, source, dyno, text) in [
            (
                "2024-05-01T08:00:00.123456+00:00 app[web.1]: GET /",
                "app",
                "web.1",
                "GET /",
            ),
            (
                "2024-05-01T08:00:00+00:00 heroku[router]: at=info",
                "heroku",
                "router",
                "at=info",
            ),
            (
                "2024-05-01T08:00:00Z app[api]:   indented",
                "app",
                "api",
                "  indented",
            ),
        ] {
            let mut out = Parsed::default();
            Logplex.open(line, &ANY_HINT, &mut out).unwrap();
            assert_eq!(
                (out.logger.as_deref(), out.message.as_ref()),
                (Some(source), text),
                "{line}"
            );
            assert_eq!(out.metadata, [("dyno".into(), dyno.into())]);
        }
        for line in [
            "2024-05-01T08:00:00+00:00 app[postgres.12]: [RED] [1-1] LOG:  x",
            "2024-05-01T08:00:00 app[web.1]: x",
            "2024-05-01T08:00:00Z web[1]: x",
            "2024-05-01T08:00:00Z app[web 1]: x",
        ] {
            assert!(
                Logplex
                    .open(line, &ANY_HINT, &mut Parsed::default())
                    .is_err(),
                "{line}"
            );
        }
    }
}
