//! System logs: BSD syslog (RFC 3164), the same with an ISO time, RFC 5424, what Cisco's devices and
//! `journalctl` make of them, each with or without the priority in front.
//!
//! The program is the logger; the host stands in the metadata. RFC 3164 carries neither year nor
//! zone; both come from the hint. Without a priority nothing says a level: that of the text counts.
//! With a priority a line is one of these for sure, whatever follows; without one it must have the
//! shape of one: `stamp host program: text`.
//!
//! Source: <https://www.rfc-editor.org/rfc/rfc3164>, <https://www.rfc-editor.org/rfc/rfc5424>.

use std::borrow::Cow;

use atalaya_domain::record::{HOST_FIELD, Layer, Level};

use super::postgresql;
use super::{
    Begins, Envelope, FormatMismatch, FormatSpec, Inside, Lines, Parsed, Piece, TimeHint, auth,
    stream_of,
};

mod cisco;
mod head;
mod priority;
mod rfc5424;
mod stamps;
mod vmware;

use head::{Head, Tag};

pub use vmware::Vmware;

#[derive(Clone, Copy, Debug)]
pub struct Syslog;

impl Envelope for Syslog {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "syslog",
            source: "syslog",
            layer: Layer::Infrastructure,
            // A priority, a stamp (digits, months, weekdays), Cisco's marks before one, or the
            // journal's own lines.
            begins: Begins::DIGITS.or(Begins::these(b"<*.-JFMASONDTW")),
            lines: Lines::OnlyTraces,
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
        let found = read(line, hint, out).map_err(|reason| self.mismatch(reason))?;
        let program = match found.tag {
            Some(tag) => {
                out.logger = Some(Cow::Borrowed(tag.program));
                out.put("pid", tag.pid);
                tag
            }
            None => Tag::default(),
        };
        let mut graded = found.graded;
        let mut text = found.text;
        if let Some(word) = program.level.and_then(Level::from_word)
            && !graded
        {
            out.level = word;
            graded = true;
        }
        if let Some(severity) = cisco::put(&mut text, hint, out)
            && !graded
        {
            out.level = Level::from_syslog_severity(severity);
            graded = true;
        }
        if let Some((id, words, rest)) = head::numbered(text) {
            out.put("msgid", id);
            if !graded {
                priority::put_named(words, out);
                graded = true;
            }
            text = rest;
        }
        let piece = put_message(program.program, text, out);
        let parts = [found.host, program.program, program.pid];
        Ok(Inside {
            stream: stream_of(&parts),
            piece,
            graded,
        })
    }

    /// Programs print several lines at once, and only the first gets the daemon's head.
    fn takes_bare_lines(&self) -> bool {
        true
    }
}

/// What stands before the text of the program.
#[derive(Clone, Copy, Debug, Default)]
struct Found<'a> {
    /// Empty when there is none.
    host: &'a str,
    tag: Option<Tag<'a>>,
    text: &'a str,
    graded: bool,
}

impl<'a> Found<'a> {
    fn of(head: Head<'a>, graded: bool, out: &mut Parsed<'a>) -> Self {
        out.put(HOST_FIELD, head.host);
        Self {
            host: head.host,
            tag: head.tag,
            text: head.text,
            graded: graded || head.graded(out),
        }
    }
}

type Read<'a> = Result<Found<'a>, &'static str>;

fn read<'a>(line: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Read<'a> {
    let bytes = line.as_bytes();
    match bytes.first() {
        Some(b'<') => with_priority(line, hint, out),
        Some(b'0'..=b'9') if bytes.get(4) == Some(&b'-') => stamps::iso_line(line, hint, out),
        Some(b'0'..=b'9') => numbered(line, hint, out),
        Some(b'*' | b'.') => cisco::line(line, hint, out),
        Some(b'A'..=b'Z') if bytes.get(3) == Some(&b' ') => match bytes.get(4) {
            Some(b'A'..=b'Z') => stamps::ctime_line(line, hint, out),
            Some(b'0'..=b'9') if bytes.get(8) == Some(&b'-') => {
                stamps::weekday_line(line, hint, out)
            }
            _ => stamps::bsd_line(line, hint, out),
        },
        Some(b'-') if is_of_journal(line) => Ok(Found {
            text: line,
            ..Found::default()
        }),
        _ => Err("neither a priority nor a time at the start"),
    }
}

/// `-- Boot 5b8e… --` and the like, which `journalctl` puts between the entries.
fn is_of_journal(line: &str) -> bool {
    line.strip_prefix("-- ").is_some_and(|rest| {
        rest.ends_with(" --")
            && [
                "Boot ",
                "Reboot ",
                "Logs begin ",
                "Journal begins ",
                "No entries ",
            ]
            .iter()
            .any(|head| rest.starts_with(head))
    })
}

/// A line that begins with a number: the length that RFC 6587 puts before a message (`83 <34>1 …`),
/// the version of RFC 5424, a sequence number or a year of Cisco, seconds since 1970.
fn numbered<'a>(line: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Read<'a> {
    let digits = line.bytes().take(13).take_while(u8::is_ascii_digit).count();
    let rest = line.get(digits..).unwrap_or("");
    match rest.as_bytes() {
        [b' ', b'<', ..] if digits < 7 => with_priority(rest.get(1..).unwrap_or(""), hint, out),
        [b' ', b'2', ..] if line.starts_with('1') && digits == 1 => {
            rfc5424::without_priority(rest.get(1..).unwrap_or(""), hint, out).ok_or("no columns")
        }
        [b':', b' ', ..] if digits < 13 => cisco::line(line, hint, out),
        [b' ', b'A'..=b'Z', ..] if digits == 4 => cisco::line(line, hint, out),
        [b'.', ..] if digits == 10 => stamps::epoch_line(line, hint, out),
        _ => Err("neither a priority nor a time at the start"),
    }
}

/// `<27>…`: whatever follows, it is a message of syslog.
fn with_priority<'a>(line: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Read<'a> {
    let (number, rest) = priority::number(line).ok_or("no priority between < and >")?;
    let rest = rest.trim_start_matches(' ').trim_start_matches('\u{feff}');
    if rest.is_empty() {
        return Err("nothing behind the priority");
    }
    priority::put(number, out);
    if let Some(columns) = rest.strip_prefix("1 ")
        && let Some(found) = rfc5424::columns(columns, hint, out)
    {
        return Ok(found);
    }
    let (stamped, rest) = stamps::any(rest, hint, out);
    let head = if stamped {
        head::lenient(rest)
    } else {
        head::undated(rest)
    };
    Ok(Found::of(head, true, out))
}

/// The text of the program as message, and how it goes on from the last one of its stream.
fn put_message<'a>(program: &'a str, text: &'a str, out: &mut Parsed<'a>) -> Piece {
    if text.trim_ascii().is_empty() {
        // What the head says is all there is. Blank lines of a program that names itself are the
        // blank lines of its text.
        return if program.is_empty() {
            Piece::Whole
        } else {
            Piece::Line
        };
    }
    if program.starts_with("postgres")
        && let Some((sequence, piece, rest)) = piece_number(text)
    {
        let rest = unescaped(rest);
        if piece > 1 {
            // PostgreSQL marks a further line with a tab on stderr, and by its number here.
            out.message = if postgresql::begins_part(&rest) {
                rest
            } else {
                format!("\t{rest}").into()
            };
            return Piece::Further;
        }
        out.put("sequence", sequence);
        out.message = rest;
        return Piece::Line;
    }
    let text = text
        .strip_prefix("@cee:")
        .map_or(text, str::trim_ascii_start);
    let process = program.split('(').next().unwrap_or(program);
    auth::put(process, not_repeated(text), out);
    out.typed = auth::is_typed(process);
    out.message = unescaped(text);
    Piece::Line
}

/// `message repeated 2 times: [ Failed password …]` (rsyslog): what was repeated.
fn not_repeated(text: &str) -> &str {
    text.strip_prefix("message repeated ")
        .and_then(|rest| rest.split_once(" times: [ "))
        .map_or(text, |(_, rest)| rest.strip_suffix(']').unwrap_or(rest))
}

/// `[7-1] text`, or `[7] text` of a server that does not split: sequence, piece, text.
fn piece_number(text: &str) -> Option<(&str, u32, &str)> {
    let (numbers, rest) = text.strip_prefix('[')?.split_once(']')?;
    let rest = if rest.is_empty() {
        rest
    } else {
        rest.strip_prefix(' ')?
    };
    let (sequence, piece) = match numbers.split_once('-') {
        Some((sequence, piece)) => (sequence, piece.parse().ok()?),
        None => (numbers, 1),
    };
    head::all_digits(sequence).then_some((sequence, piece, rest))
}

/// Tabs and line feeds as rsyslog writes them into a file of lines: `#011`, `#012`.
fn unescaped(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut out = String::new();
    let mut done = 0;
    for found in memchr::memchr_iter(b'#', bytes) {
        let control = match bytes.get(found + 1..found + 4) {
            Some(b"011") => '\t',
            Some(b"012") => '\n',
            _ => continue,
        };
        // `ticket #0123` is a number: it stands behind a blank, and goes on.
        let is_number = bytes.get(found + 4).is_some_and(u8::is_ascii_digit)
            && found
                .checked_sub(1)
                .is_some_and(|before| bytes.get(before) == Some(&b' '));
        if !is_number {
            out.push_str(text.get(done..found).unwrap_or(""));
            out.push(control);
            done = found + 4;
        }
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(text.get(done..).unwrap_or(""));
    Cow::Owned(out)
}

#[cfg(test)]
mod tests;
