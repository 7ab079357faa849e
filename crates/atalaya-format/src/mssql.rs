//! SQL Server's ERRORLOG: `2021-03-01 10:49:16.86 spid51      Error: 18456, Severity: 14, State: 8.`
//!
//! The line has no level; where it reports an error, its severity is one: up to 10 information, 11 to
//! 19 an error, above that the end of a process or of a database.
//!
//! Source: <https://learn.microsoft.com/en-us/sql/relational-databases/errors-events/database-engine-error-severities>.

use super::app_line::words::is_number;
use super::{
    Begins, Format, FormatMismatch, FormatSpec, Lines, Opens, Parsed, TimeHint, level, time,
};
use atalaya_domain::record::{Layer, Level};

/// `mssql`.
#[derive(Clone, Copy, Debug)]
pub struct Mssql;

/// Where the column with the source begins, and how wide it is at least.
const SOURCE_AT: usize = 23;
const SOURCE_WIDTH: usize = 11;

impl Format for Mssql {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "mssql",
            source: "mssql",
            layer: Layer::Infrastructure,
            begins: Begins::DIGITS,
            lines: Lines::Stamped,
            traces: false,
            named_ids: false,
        };
        &SPEC
    }

    fn opens(&self, line: &str) -> Opens {
        let bytes = line.as_bytes();
        // Two digits behind the dot: nobody else has them.
        let opens = bytes.get(19) == Some(&b'.')
            && bytes.get(22) == Some(&b' ')
            && bytes.get(4) == Some(&b'-')
            && bytes.get(SOURCE_AT).is_some_and(u8::is_ascii_alphabetic);
        if opens { Opens::Parsed } else { Opens::No }
    }

    fn parse<'a>(
        &self,
        text: &'a str,
        hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<(), FormatMismatch> {
        read(text, hint, out).ok_or_else(|| self.mismatch("no source in its column"))
    }
}

fn read<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Option<()> {
    let cut = time::iso(text.get(..SOURCE_AT - 1)?, hint).filter(|cut| cut.rest.is_empty())?;
    let rest = text.get(SOURCE_AT..)?;
    let (source, after) = rest.split_once(' ')?;
    let message = after.trim_start_matches(' ');
    if rest.len() - message.len() < SOURCE_WIDTH
        || !source.bytes().all(|byte| byte.is_ascii_alphanumeric())
    {
        return None;
    }
    out.set_time(cut.instant);
    match source.strip_prefix("spid") {
        Some(id) if is_number(id.trim_end_matches('s')) => out.put("thread", source),
        _ => out.logger = Some(source.into()),
    }
    out.message = message.into();
    match severity(message) {
        Some(number) => {
            out.level = match number {
                0..=10 => Level::Info,
                11..=19 => Level::Error,
                _ => Level::Critical,
            };
        }
        None => {
            out.level = level::guess(message);
            out.ungraded = true;
        }
    }
    Some(())
}

/// `Error: 18456, Severity: 14, State: 8.`
fn severity(message: &str) -> Option<u8> {
    let (_, rest) = message
        .strip_prefix("Error: ")?
        .split_once(", Severity: ")?;
    rest.split_once(',')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::app_line::ANY_HINT;
    use super::*;

    #[test]
    fn sources_and_severities() {
        for (text, level, message) in [
            (
                "2021-03-01 10:49:16.86 Server      SQL Server 2019",
                "INFO",
                "SQL Server 2019",
            ),
            (
                "2021-03-01 10:49:17.10 spid51      Error: 18456, Severity: 14, State: 8.",
                "ERROR",
                "Error: 18456, Severity: 14, State: 8.",
            ),
            (
                "2021-03-01 10:49:17.10 spid7s      Error: 824, Severity: 24, State: 2.",
                "CRITICAL",
                "Error: 824, Severity: 24, State: 2.",
            ),
        ] {
            let mut out = Parsed::default();
            assert_eq!(Mssql.opens(text), Opens::Parsed, "{text}");
            assert!(Mssql.parse(text, &ANY_HINT, &mut out).is_ok(), "{text}");
            assert_eq!(
                (out.level.name(), out.message.as_ref()),
                (level, message),
                "{text}"
            );
        }
        for text in [
            "2021-03-01 10:49:16.86 a text",
            "2021-03-01 10:49:16.865 Server      x",
        ] {
            let mut out = Parsed::default();
            assert!(
                Mssql.opens(text) == Opens::No || Mssql.parse(text, &ANY_HINT, &mut out).is_err(),
                "{text}"
            );
        }
    }
}
