//! Output of `docker compose logs`, with or without `--timestamps`: the service, a bar, the line
//! that the container wrote.

use crate::domain::record::Layer;

use super::{Format, FormatMismatch, LineRole, Parsed, TimeHint, level, time, trace};

#[derive(Clone, Copy, Debug)]
pub struct Compose;

impl Format for Compose {
    fn name(&self) -> &'static str {
        "docker-compose"
    }

    fn default_source(&self) -> &'static str {
        "docker-compose"
    }

    fn default_layer(&self) -> Layer {
        Layer::Application
    }

    fn role(&self, line: &str) -> LineRole {
        if line.trim_ascii().is_empty() { LineRole::Skip } else { LineRole::Starts }
    }

    /// A trace goes on in lines of the same service.
    fn role_after(&self, pending: &str, line: &str) -> LineRole {
        let role = self.role(line);
        let first = &pending[..memchr::memchr(b'\n', pending.as_bytes()).unwrap_or(pending.len())];
        match (split(first), split(line)) {
            (Some((service, _)), Some((next, text))) if service == next && continues(bare(text)) => {
                LineRole::Continues
            }
            _ => role,
        }
    }

    fn parse<'a>(&self, text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Result<(), FormatMismatch> {
        let (service, line) = split(text).ok_or_else(|| self.mismatch("no service before a bar"))?;
        out.logger = Some(service.into());
        let first_end = memchr::memchr(b'\n', line.as_bytes()).unwrap_or(line.len());
        let message = match time::iso(line, hint) {
            Some(cut) => {
                out.set_time(cut.instant);
                cut.rest.strip_prefix(' ').unwrap_or(cut.rest)
            }
            None => line,
        };
        out.level = level::guess(message);
        if first_end == line.len() {
            out.message = message.into();
        } else {
            // The service and the stamp of every line are the same but for the time.
            let mut lines = message.split('\n');
            let mut joined = lines.next().unwrap_or_default().to_owned();
            for line in lines {
                joined.push('\n');
                joined.push_str(split(line).map_or(line, |(_, text)| bare(text)));
            }
            out.message = joined.into();
        }
        Ok(())
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

/// A single space is an indentation of many programs' ordinary lines.
fn continues(text: &str) -> bool {
    let shallow = text.starts_with(' ') && !text.starts_with("  ");
    !shallow && trace::continues(text)
}

/// The text after its stamp.
fn bare(text: &str) -> &str {
    let end = text.find(' ').unwrap_or(0);
    let stamped = end >= 20 && text.as_bytes().get(10) == Some(&b'T') && text.as_bytes()[0].is_ascii_digit();
    if stamped { &text[end + 1..] } else { text }
}
