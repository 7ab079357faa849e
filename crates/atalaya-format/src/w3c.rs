//! W3C extended log files: IIS, `CloudFront` (tabs), Exchange (commas), the Windows firewall,
//! proxies. `#Fields:` names the columns; a file that begins behind it is read by the columns that
//! IIS and `CloudFront` write by default.
//!
//! Times are in UTC, unless `#Time Format: Local` says otherwise; `time-taken` is in milliseconds,
//! or in seconds where it has decimals. The message is the request line, made of its columns; the
//! columns stand in the metadata under our names ([`columns::known`]), else under their own.
//!
//! Source: <https://www.w3.org/TR/WD-logfile.html>,
//! <https://learn.microsoft.com/en-us/windows/win32/http/w3c-logging>,
//! <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/standard-logs-reference.html>.

use atalaya_domain::record::{Layer, Level};

use super::web;
use super::{
    Begins, Format, FormatMismatch, FormatSpec, Lines, Opens, Parsed, SourceZone, TimeHint, time,
};

mod columns;

use columns::{Columns, Is};

#[derive(Clone, Copy, Debug)]
pub struct W3c;

impl Format for W3c {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "w3c",
            source: "w3c",
            layer: Layer::Infrastructure,
            begins: Begins::DIGITS.or(Begins::these(b"#")),
            lines: Lines::One,
            traces: false,
            named_ids: false,
        };
        &SPEC
    }

    fn opens(&self, line: &str) -> Opens {
        const DIRECTIVES: [&str; 10] = [
            "#Fields:",
            "#Version:",
            "#Software:",
            "#Date:",
            "#Start-Date:",
            "#End-Date:",
            "#Remark:",
            "#Time Format:",
            "#Log-type:",
            "#Log-Type:",
        ];
        match line.as_bytes() {
            [b'#', b'A'..=b'Z', ..] if DIRECTIVES.iter().any(|name| line.starts_with(name)) => {
                Opens::Header
            }
            // A date and a time in two columns, or a time alone.
            [
                _,
                _,
                _,
                _,
                b'-',
                _,
                _,
                b'-',
                _,
                _,
                b' ' | b'\t',
                _,
                _,
                b':',
                _,
                _,
                b':',
                _,
                _,
                rest @ ..,
            ]
            | [_, _, b':', _, _, b':', _, _, rest @ ..]
                if matches!(rest.first(), Some(b' ' | b'\t')) =>
            {
                Opens::Parsed
            }
            // Exchange: one stamp, and commas.
            [_, _, _, _, b'-', _, _, b'-', _, _, b'T', ..]
                if line.as_bytes().get(23..25) == Some(b"Z,") =>
            {
                Opens::Parsed
            }
            _ => Opens::No,
        }
    }

    fn parse<'a>(
        &self,
        text: &'a str,
        hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<(), FormatMismatch> {
        self.parse_under("", text, hint, out)
    }

    fn parse_under<'a>(
        &self,
        header: &str,
        text: &'a str,
        hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<(), FormatMismatch> {
        let named = match header {
            "" => None,
            _ => header
                .lines()
                .rev()
                .find_map(|line| line.strip_prefix("#Fields:")),
        };
        let read = match named {
            Some(names) => record(names.trim(), header, text, hint, out),
            None => columns::by_default(text).and_then(|names| record(names, "", text, hint, out)),
        };
        read.ok_or_else(|| self.mismatch("the columns are not those of the #Fields line"))
    }
}

/// Reads one line by the names of its columns; nothing when they do not fit.
fn record<'a>(
    names: &str,
    header: &str,
    text: &'a str,
    hint: &TimeHint,
    out: &mut Parsed<'a>,
) -> Option<()> {
    let commas = names.contains(',');
    let mut values = if commas {
        Columns::at(b',', text)
    } else {
        Columns::new(text)
    };
    let mut record = Record {
        in_seconds: names.contains("x-edge-"),
        ..Record::default()
    };
    for name in names.split(|c: char| c.is_ascii_whitespace() || (commas && c == ',')) {
        if !name.is_empty() {
            let value = values.next()?;
            record.column(name, value, out)?;
        }
    }
    if values.next().is_some() {
        return None;
    }
    record.put_time(header, hint, out)?;
    record.put_message(text, out);
    Some(())
}

/// What several columns make together.
#[derive(Default)]
struct Record<'a> {
    in_seconds: bool,
    date: &'a str,
    time: &'a str,
    method: &'a str,
    stem: &'a str,
    query: &'a str,
    protocol: &'a str,
    action: &'a str,
}

impl<'a> Record<'a> {
    fn column(&mut self, name: &str, value: &'a str, out: &mut Parsed<'a>) -> Option<()> {
        let bare = if value == "-" { "" } else { value };
        match columns::known(name) {
            Is::Date => self.date = value,
            Is::Time => self.time = value,
            Is::Stamp => (self.date, self.time) = value.split_once('T')?,
            Is::Method => {
                self.method = bare;
                out.put("method", value);
            }
            Is::Stem => {
                self.stem = bare;
                out.put("path", value);
            }
            Is::Query => {
                self.query = bare;
                out.put("query", value);
            }
            Is::Protocol => {
                self.protocol = bare;
                out.put("protocol", value);
            }
            Is::Action => {
                self.action = bare;
                out.put("action", value);
            }
            Is::Status => {
                // 000: the client was gone before there was an answer.
                if !bare.is_empty() {
                    out.level = Level::from_http_status(web::status_of(bare)?);
                }
                out.put("status", value);
            }
            Is::User => out.user_id = (!bare.is_empty()).then(|| bare.into()),
            Is::RequestId => out.request_id = (!bare.is_empty()).then(|| bare.into()),
            Is::Taken => {
                if !bare.is_empty() {
                    let number = bare
                        .parse::<f64>()
                        .ok()
                        .filter(|taken| taken.is_finite() && *taken >= 0.0)?;
                    let in_seconds = self.in_seconds || bare.contains('.');
                    out.duration_ms = if in_seconds {
                        web::seconds_to_ms(bare)
                    } else {
                        Some(number)
                    };
                }
            }
            Is::Named(ours) if !web::has(out, ours) => out.put(ours, value),
            Is::Named(_) | Is::Unknown => out.put_cow(name.to_owned(), value),
        }
        Some(())
    }

    /// Date and time; a file that gives the time alone says the date in its head.
    fn put_time(&self, header: &str, hint: &TimeHint, out: &mut Parsed<'a>) -> Option<()> {
        let local = header.lines().any(|line| {
            line.strip_prefix("#Time Format:")
                .is_some_and(|is| is.trim() == "Local")
        });
        let zone = if local { hint.zone } else { SourceZone::Utc };
        let hint = TimeHint {
            reference: hint.reference,
            zone,
        };
        let date = if self.date.is_empty() {
            header
                .lines()
                .rev()
                .find_map(|line| line.strip_prefix("#Date:"))?
                .trim()
                .get(..10)?
        } else {
            self.date
        };
        // One text of both, on the stack: `2024-05-01 08:00:00` and a fraction.
        let mut stamp = [b' '; 40];
        let length = date.len() + 1 + self.time.len();
        stamp
            .get_mut(..date.len())?
            .copy_from_slice(date.as_bytes());
        stamp
            .get_mut(date.len() + 1..length)?
            .copy_from_slice(self.time.as_bytes());
        let cut = time::iso(std::str::from_utf8(stamp.get(..length)?).ok()?, &hint)?;
        if !cut.rest.is_empty() {
            return None;
        }
        out.set_time(cut.instant);
        out.zoned = !local;
        Some(())
    }

    /// The request line, or the whole text where there is none.
    fn put_message(&self, text: &'a str, out: &mut Parsed<'a>) {
        if self.stem.is_empty() && self.method.is_empty() {
            if self.action.is_empty() {
                out.ungraded = !web::has(out, "status");
            } else if self.action.starts_with("DROP") {
                out.level = Level::Warning;
            }
            out.message = text.into();
            return;
        }
        let mut line = String::with_capacity(
            self.method.len() + self.stem.len() + self.query.len() + self.protocol.len() + 3,
        );
        for part in [self.method, self.stem] {
            if !(line.is_empty() || part.is_empty()) {
                line.push(' ');
            }
            line.push_str(part);
        }
        if !self.query.is_empty() {
            line.push('?');
            line.push_str(self.query);
        }
        if !self.protocol.is_empty() {
            line.push(' ');
            line.push_str(self.protocol);
        }
        out.message = line.into();
    }
}

#[cfg(test)]
mod tests;
