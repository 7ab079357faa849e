//! Node's tools and frameworks with lines of their own: `NestJS`
//! (`[Nest] 4711  - 05/01/2024, 10:00:00 AM   ERROR [PayService] charge failed +5ms`) and npm
//! (`npm ERR! code E404`, `npm warn deprecated …`).
//!
//! Sources: `ConsoleLogger` in <https://github.com/nestjs/nest>,
//! <https://docs.npmjs.com/cli/using-npm/logging>.

use super::app_line::words::{capital_level, is_number};
use super::fields::keep_severity;
use super::time::{Civil, resolve};
use super::{Begins, Format, FormatMismatch, FormatSpec, Lines, Opens, Parsed, TimeHint, time};
use atalaya_domain::record::{Layer, Level};

/// `node`.
#[derive(Clone, Copy, Debug)]
pub struct Node;

impl Format for Node {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "node",
            source: "app/node",
            layer: Layer::Application,
            begins: Begins::these(b"[n"),
            lines: Lines::Stamped,
            traces: true,
            named_ids: true,
        };
        &SPEC
    }

    fn opens(&self, line: &str) -> Opens {
        let opens = line.starts_with("[Nest] ") || line.starts_with("npm ");
        if opens { Opens::Parsed } else { Opens::No }
    }

    fn parse<'a>(
        &self,
        text: &'a str,
        hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<(), FormatMismatch> {
        let read = match text.strip_prefix("npm ") {
            Some(rest) => npm(rest, out),
            None => nest(text, hint, out),
        };
        read.ok_or_else(|| self.mismatch("neither NestJS nor npm"))
    }
}

fn npm<'a>(rest: &'a str, out: &mut Parsed<'a>) -> Option<()> {
    let (word, message) = rest.split_once(' ').unwrap_or((rest, ""));
    out.level = match word {
        "ERR!" | "error" => Level::Error,
        "WARN" | "warn" => Level::Warning,
        "notice" | "info" | "http" | "timing" => Level::Info,
        "verb" | "verbose" | "sill" | "silly" => Level::Debug,
        _ => return None,
    };
    keep_severity(out, word.into());
    out.logger = Some("npm".into());
    out.message = message.trim_ascii_end().into();
    Some(())
}

/// `05/01/2024, 10:00:00 AM`: what `toLocaleString` gives in the United States, which is the default.
fn local_stamp<'a>(text: &'a str, hint: &TimeHint) -> Option<(time::Instant, &'a str)> {
    let (date, rest) = text.split_once(", ")?;
    let mut numbers = date.split('/').map(|number| number.parse::<u16>().ok());
    let (month, day, year) = (numbers.next()??, numbers.next()??, numbers.next()??);
    let (clock, rest) = rest.split_once(' ')?;
    let (afternoon, rest) = match rest.get(..2)? {
        "AM" => (false, rest.get(2..)?),
        "PM" => (true, rest.get(2..)?),
        _ => return None,
    };
    let mut parts = clock.split(':').map(|part| part.parse::<u8>().ok());
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    let civil = Civil {
        year: i32::from(year),
        month: u8::try_from(month).ok()?,
        day: u8::try_from(day).ok()?,
        hour: hour % 12 + if afternoon { 12 } else { 0 },
        minute,
        second,
        micros: 0,
    };
    (hour <= 12 && civil.is_valid()).then(|| (resolve(&civil, None, hint.zone), rest))
}

fn nest<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Option<()> {
    let rest = text.strip_prefix("[Nest] ")?;
    let (pid, rest) = rest.split_once(' ')?;
    let rest = rest.trim_start_matches(' ').strip_prefix("- ")?;
    let (instant, rest) = match local_stamp(rest, hint) {
        Some(found) => found,
        None => time::any(rest, hint).map(|cut| (cut.instant, cut.rest))?,
    };
    let (word, rest) = rest.trim_start_matches([' ', '\t']).split_once(' ')?;
    let level = if word == "LOG" {
        Level::Info
    } else {
        capital_level(word)?
    };
    if !is_number(pid) {
        return None;
    }
    out.set_time(instant);
    out.level = level;
    keep_severity(out, word.into());
    out.put("pid", pid);
    let mut message = rest.trim_start_matches(' ');
    if let Some((context, after)) = message
        .strip_prefix('[')
        .and_then(|inside| inside.split_once("] "))
        && !context.contains('\n')
    {
        out.logger = Some(context.into());
        message = after;
    }
    // ` +5ms`: the time since the record before it.
    if let Some((before, since)) = message.rsplit_once(" +")
        && since.strip_suffix("ms").is_some_and(is_number)
    {
        out.put("since_previous", since);
        message = before;
    }
    out.message = message.into();
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::app_line::ANY_HINT;
    use super::*;

    #[test]
    fn nest_and_npm() {
        for (text, level, logger, message) in [
            (
                "[Nest] 4711  - 05/01/2024, 10:00:00 PM   ERROR [PayService] charge failed +5ms",
                "ERROR",
                "PayService",
                "charge failed",
            ),
            (
                "[Nest] 4711  - 05/01/2024, 10:00:00 AM     LOG [NestFactory] Starting...",
                "INFO",
                "NestFactory",
                "Starting...",
            ),
            ("npm ERR! code E404", "ERROR", "npm", "code E404"),
            (
                "npm warn deprecated a@1: old",
                "WARNING",
                "npm",
                "deprecated a@1: old",
            ),
        ] {
            let mut out = Parsed::default();
            assert_eq!(Node.opens(text), Opens::Parsed, "{text}");
            assert!(Node.parse(text, &ANY_HINT, &mut out).is_ok(), "{text}");
            assert_eq!(
                (
                    out.level.name(),
                    out.logger.as_deref(),
                    out.message.as_ref()
                ),
                (level, Some(logger), message)
            );
        }
        for text in ["npm install failed", "[Nest] built", "[Nest] x - y LOG z"] {
            assert!(
                Node.parse(text, &ANY_HINT, &mut Parsed::default()).is_err(),
                "{text}"
            );
        }
    }
}
