//! Output of `docker compose logs`, with or without `--timestamps`: the service, a bar, the line
//! that the container wrote.

use crate::domain::record::Layer;

use super::{Begins, Envelope, FormatMismatch, FormatSpec, Inside, Lines, Parsed, TimeHint, stream_of, time};

#[derive(Clone, Copy, Debug)]
pub struct Compose;

impl Envelope for Compose {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "docker-compose",
            source: "docker-compose",
            layer: Layer::Application,
            begins: Begins::ANY,
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
        let (service, text) = split(line).ok_or_else(|| self.mismatch("no service before a bar"))?;
        out.logger = Some(service.into());
        let text = match time::iso(text, hint) {
            Some(cut) if text.as_bytes().get(10) == Some(&b'T') && cut.rest.starts_with(' ') => {
                out.set_time(cut.instant);
                &cut.rest[1..]
            }
            _ => text,
        };
        out.message = text.into();
        Ok(Inside::line(stream_of(&[service]), false))
    }
}

/// Service and text of a line. Escape sequences before the service (erase line, colour) are not
/// part of its name.
fn split(line: &str) -> Option<(&str, &str)> {
    let bar = memchr::memchr(b'|', &line.as_bytes()[..line.len().min(128)])?;
    let mut service = line[..bar].trim_ascii_end();
    while let Some(sequence) = service.strip_prefix("\u{1b}[") {
        let end = sequence.find(|c: char| c.is_ascii_alphabetic())?;
        service = &sequence[end + 1..];
    }
    let numbered = service.rsplit_once(['-', '_']).is_some_and(|(name, number)| {
        !name.is_empty() && !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    });
    let plain =
        service.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    let text = line[bar + 1..].strip_prefix("\u{1b}[0m").unwrap_or(&line[bar + 1..]);
    (numbered && plain).then(|| (service, text.strip_prefix(' ').unwrap_or(text)))
}
