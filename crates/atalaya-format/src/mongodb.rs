//! `MongoDB` before version 4.4: `2024-05-01T10:00:00.000+0000 I NETWORK  [conn1] text`. Since then it
//! writes JSON.
//!
//! The component is the logger; a slow operation ends with the time that it took.
//!
//! Source: <https://www.mongodb.com/docs/v4.2/reference/log-messages/>.

use super::app_line::stamp::behind_iso;
use super::{
    Begins, Format, FormatMismatch, FormatSpec, Lines, Opens, Parsed, TimeHint, level, time,
};
use atalaya_domain::record::Layer;

/// `mongodb`.
#[derive(Clone, Copy, Debug)]
pub struct Mongodb;

impl Format for Mongodb {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "mongodb",
            source: "mongodb",
            layer: Layer::Infrastructure,
            begins: Begins::DIGITS,
            lines: Lines::Stamped,
            traces: false,
            named_ids: false,
        };
        &SPEC
    }

    fn opens(&self, line: &str) -> Opens {
        let is_iso = line.as_bytes().get(10) == Some(&b'T');
        let opens = is_iso
            && behind_iso(line).is_some_and(|rest| {
                matches!(
                    rest.as_bytes(),
                    [b' ', b'I' | b'W' | b'E' | b'F' | b'D', b' ', ..]
                        | [b' ', b'D', b'1'..=b'5', b' ', ..]
                )
            });
        if opens { Opens::Parsed } else { Opens::No }
    }

    fn parse<'a>(
        &self,
        text: &'a str,
        hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<(), FormatMismatch> {
        read(text, hint, out).ok_or_else(|| self.mismatch("no severity, component and context"))
    }
}

fn read<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Option<()> {
    let cut = time::iso(text, hint)?;
    let (severity, rest) = cut.rest.strip_prefix(' ')?.split_once(' ')?;
    let level = level::from_letter(*severity.as_bytes().first()?)?;
    let (component, rest) = rest.split_once(' ')?;
    let is_component = component == "-"
        || component
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    let (context, message) = rest
        .trim_start_matches(' ')
        .strip_prefix('[')?
        .split_once("] ")?;
    if !is_component || component.is_empty() || context.contains('\n') {
        return None;
    }
    out.set_time(cut.instant);
    out.level = level;
    if severity.len() > 1 {
        out.put("severity", severity);
    }
    if component != "-" {
        out.logger = Some(component.into());
    }
    out.put("thread", context);
    let line = message.lines().next().unwrap_or("");
    out.duration_ms = line
        .strip_suffix("ms")
        .and_then(|rest| rest.rsplit(' ').next())
        .filter(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|number| number.parse().ok());
    out.message = message.into();
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::app_line::ANY_HINT;
    use super::*;

    #[test]
    fn lines_before_json() {
        for (text, level, logger, message, duration) in [
            (
                "2024-05-01T10:00:00.000+0000 I NETWORK  [conn1] end connection 10.0.0.1:5",
                "INFO",
                Some("NETWORK"),
                "end connection 10.0.0.1:5",
                None,
            ),
            (
                "2024-05-01T10:00:00.000+0000 W -        [main] slow disk",
                "WARNING",
                None,
                "slow disk",
                None,
            ),
            (
                "2024-05-01T10:00:00.000+0000 D2 COMMAND  [conn7] command depot.orders find 123ms",
                "DEBUG",
                Some("COMMAND"),
                "command depot.orders find 123ms",
                Some(123.0),
            ),
        ] {
            let mut out = Parsed::default();
            assert_eq!(Mongodb.opens(text), Opens::Parsed, "{text}");
            assert!(Mongodb.parse(text, &ANY_HINT, &mut out).is_ok(), "{text}");
            assert_eq!(
                (out.level.name(), out.logger.as_deref()),
                (level, logger),
                "{text}"
            );
            assert_eq!(
                (out.message.as_ref(), out.duration_ms),
                (message, duration),
                "{text}"
            );
        }
        for text in [
            "2024-05-01T10:00:00.000+0000 [conn1] text",
            "2024-05-01T10:00:00Z I am here [x] y",
        ] {
            let mut out = Parsed::default();
            assert!(
                Mongodb.opens(text) == Opens::No
                    || Mongodb.parse(text, &ANY_HINT, &mut out).is_err()
            );
        }
    }
}
