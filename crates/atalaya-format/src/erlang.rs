//! Reports of Erlang's old error logger, as `RabbitMQ` before 3.7 and `CouchDB` have them: a head with
//! level and stamp, and the text on the lines below.
//!
//! ```text
//! =ERROR REPORT==== 1-May-2024::10:00:00 ===
//! closing AMQP connection <0.123.0>
//! ```
//!
//! Source: `error_logger_tty_h` in <https://github.com/erlang/otp>.

use super::app_line::words::level_of;
use super::fields::keep_severity;
use super::split;
use super::time::{Civil, resolve};
use super::{
    Begins, Format, FormatMismatch, FormatSpec, Joins, Lines, Opens, Parsed, TimeHint, time,
};
use atalaya_domain::record::{Layer, Level};

/// `erlang`.
#[derive(Clone, Copy, Debug)]
pub struct Erlang;

impl Format for Erlang {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "erlang",
            source: "app/erlang",
            layer: Layer::Application,
            begins: Begins::these(b"="),
            lines: Lines::Stamped,
            traces: true,
            named_ids: true,
        };
        &SPEC
    }

    fn opens(&self, line: &str) -> Opens {
        if head(line).is_some() {
            Opens::Unfinished
        } else {
            Opens::No
        }
    }

    fn joins(&self, pending: &str, line: &str) -> Joins {
        if !pending.contains('\n') && head(line).is_none() {
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
        read(text, hint, out).ok_or_else(|| self.mismatch("no ==== and stamp"))
    }
}

/// The word of the report and its stamp.
fn head(line: &str) -> Option<(&str, &str)> {
    let (word, rest) = line.strip_prefix('=')?.split_once(" REPORT==== ")?;
    let stamp = rest.trim_ascii_end().strip_suffix(" ===")?;
    (word.len() <= 20 && word.bytes().all(|byte| byte.is_ascii_uppercase()))
        .then_some((word, stamp))
}

/// `1-May-2024::10:00:00`, with a fraction or without.
fn instant(stamp: &str, hint: &TimeHint) -> Option<time::Instant> {
    let (date, clock) = stamp.split_once("::")?;
    let (day, rest) = date.split_once('-')?;
    let (month, year) = rest.split_once('-')?;
    let clock = clock.split([' ', '.']).next()?;
    let mut parts = clock.split(':').map(|part| part.parse::<u8>().ok());
    let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let civil = Civil {
        year: year.parse().ok()?,
        month: months.iter().position(|known| *known == month)? as u8 + 1,
        day: day.parse().ok()?,
        hour: parts.next()??,
        minute: parts.next()??,
        second: parts.next()??,
        micros: 0,
    };
    civil.is_valid().then(|| resolve(&civil, None, hint.zone))
}

fn read<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Option<()> {
    let (first, message) = split::line(text);
    let (word, stamp) = head(first)?;
    out.set_time(instant(stamp, hint)?);
    // `CRASH` and `SUPERVISOR` reports tell of failures, `PROGRESS` of none.
    out.level = match word {
        "CRASH" | "SUPERVISOR" => Level::Error,
        "PROGRESS" => Level::Info,
        _ => level_of(word)?,
    };
    keep_severity(out, word.into());
    out.message = if message.is_empty() {
        first.into()
    } else {
        message.trim_ascii_end().into()
    };
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::app_line::ANY_HINT;
    use super::*;

    #[test]
    fn reports_have_their_text_below() {
        let first = "=ERROR REPORT==== 1-May-2024::10:00:00 ===";
        assert_eq!(Erlang.opens(first), Opens::Unfinished);
        assert_eq!(Erlang.joins(first, "closing connection"), Joins::Yes);
        let mut out = Parsed::default();
        let text = format!("{first}\nclosing connection <0.1.0>\n{{a,b}}");
        assert!(Erlang.parse(&text, &ANY_HINT, &mut out).is_ok());
        assert_eq!(
            (out.level.name(), out.message.as_ref()),
            ("ERROR", "closing connection <0.1.0>\n{a,b}")
        );
        assert_eq!(
            out.timestamp
                .map(atalaya_domain::time::Timestamp::to_rfc3339)
                .as_deref(),
            Some("2024-05-01T10:00:00.000000Z")
        );
        for text in ["=ERROR=", "====", "= REPORT==== now ==="] {
            assert!(
                Erlang.opens(text) == Opens::No
                    || Erlang
                        .parse(text, &ANY_HINT, &mut Parsed::default())
                        .is_err()
            );
        }
    }
}
