//! Output of `docker compose logs`, with or without `--timestamps`: the service, a bar, the line
//! that the container wrote.

use atalaya_domain::record::Layer;

use super::{
    Begins, Envelope, FormatMismatch, FormatSpec, Inside, Lines, Parsed, TimeHint, level,
    stream_of, time,
};

#[derive(Clone, Copy, Debug)]
pub struct Compose;

impl Envelope for Compose {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "docker-compose",
            source: "docker-compose",
            layer: Layer::Application,
            begins: Begins::DIGITS.or(Begins::LETTERS),
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
        let (service, text) =
            split(line).ok_or_else(|| self.mismatch("no service before a bar"))?;
        out.logger = Some(service.into());
        let text = match time::iso(text, hint) {
            Some(cut) if is_stamp(text) && cut.rest.starts_with(' ') => {
                out.set_time(cut.instant);
                out.zoned = true;
                cut.rest.get(1..).unwrap_or("")
            }
            _ => text,
        };
        out.message = text.into();
        Ok(Inside::line(stream_of(&[service]), false))
    }
}

/// Service and text of a line.
///
/// Compose numbers the containers of a service (`web-1`, `web_1`) unless they have names of their
/// own. It fills the names up to the longest with at least two blanks; a table has one, so a name
/// without a number needs both, or a stamp behind the bar.
fn split(line: &str) -> Option<(&str, &str)> {
    /// Names of services are not longer.
    const LONGEST: usize = 128;
    let bar = memchr::memchr(b'|', line.as_bytes().get(..line.len().min(LONGEST))?)?;
    let padded = line.get(..bar)?;
    let service = padded.trim_ascii_end();
    let blanks = padded.len() - service.len();
    let text = line.get(bar + 1..)?;
    let ends = text.is_empty() || text.starts_with(' ');
    let text = text.strip_prefix(' ').unwrap_or(text);
    let numbered = service
        .rsplit_once(['-', '_'])
        .is_some_and(|(name, number)| {
            !name.is_empty()
                && !number.is_empty()
                && number.bytes().all(|byte| byte.is_ascii_digit())
        });
    let named = service
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    let sure = numbered || (ends && is_alone(service) && (blanks >= 2 || is_stamp(text)));
    (named && blanks > 0 && sure).then_some((service, text))
}

/// The name of a container that somebody gave: no level, no word of a table's head.
fn is_alone(service: &str) -> bool {
    service.len() >= 2
        && service.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
        && service.bytes().any(|byte| byte.is_ascii_lowercase())
        && !service.bytes().any(|byte| byte.is_ascii_uppercase())
        && level::from_word(service).is_none()
}

/// Docker's stamp: nine decimals and `Z`.
fn is_stamp(text: &str) -> bool {
    let stamp = text.split(' ').next().unwrap_or("");
    stamp.as_bytes().get(10) == Some(&b'T') && stamp.len() >= 25 && stamp.ends_with('Z')
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::super::python::ANY_HINT;
    use super::*;

    #[test]
    fn names_with_and_without_numbers() {
        for (line, service, text) in [
            ("web-1  | GET /", "web-1", "GET /"),
            ("shop_web_12 | GET /", "shop_web_12", "GET /"),
            ("web-1  |", "web-1", ""),
            ("web-1  | a | b", "web-1", "a | b"),
            ("shop.db    | ready", "shop.db", "ready"),
            ("cache  |   indented", "cache", "  indented"),
            (
                "cache | 2024-05-01T10:00:00.123456789Z ready",
                "cache",
                "ready",
            ),
        ] {
            let mut out = Parsed::default();
            Compose.open(line, &ANY_HINT, &mut out).unwrap();
            assert_eq!(
                (out.logger.as_deref(), out.message.as_ref()),
                (Some(service), text),
                "{line}"
            );
        }
        for line in [
            "name | value",
            "Name  | Value",
            "info  | starting",
            "warning    | low",
            "a b  | c",
            "| a | b |",
            "step-1|done",
            "2024-05-01 10:00:00  | x",
            "10  | 20",
            "x  | y",
            "cache  |text",
            "",
        ] {
            assert!(
                Compose
                    .open(line, &ANY_HINT, &mut Parsed::default())
                    .is_err(),
                "{line}"
            );
        }
    }
}
