//! What Cisco's devices write: sequence numbers and marks before the stamp, a zone behind it, and
//! `%FACILITY-SEVERITY-MNEMONIC:` before the text.
//!
//! Source: <https://www.cisco.com/c/en/us/td/docs/routers/access/wireless/software/guide/SysMsgLogging.html>.

use std::borrow::Cow;

use super::super::{INNER_TIME_FIELD, Parsed, TimeHint, fields::push_unique, time};
use super::head::{self, all_digits};
use super::stamps::{month, zone_of};
use super::{Found, Read};

/// A line of a device's own log: `000123: *Mar  1 18:48:50.483 UTC: %SYS-5-CONFIG_I: text`.
pub fn line<'a>(line: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Read<'a> {
    let rest = stamp(line, hint, out).ok_or("no time at the start")?;
    let rest = rest.strip_prefix(':').unwrap_or(rest);
    let rest = rest.trim_start_matches(' ');
    let head = head::lenient(rest);
    if severity(head.text).is_none() {
        return Err("no %FACILITY-SEVERITY-MNEMONIC behind the time");
    }
    Ok(Found::of(head, false, out))
}

/// Takes a stamp with what may stand before it; gives what follows.
pub fn stamp<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Option<&'a str> {
    let (sequence, rest) = numbers(text);
    let rest = rest.trim_start_matches([':', ' ']);
    let (mark, rest) = match rest.as_bytes().first()? {
        b'*' | b'.' => rest.split_at(1),
        _ => ("", rest),
    };
    let after = match rest.as_bytes().first()? {
        b'0'..=b'9' => year_first(rest, hint, out)?,
        _ => month(rest, hint, out)?,
    };
    if !sequence.is_empty() {
        push_unique(out, "sequence", sequence);
    }
    if !mark.is_empty() {
        // The clock is not set (`*`), or was and is not any more (`.`).
        push_unique(
            out,
            "clock",
            if mark == "*" {
                "not set"
            } else {
                "not synchronized"
            },
        );
    }
    Some(after)
}

/// `2024 May  1 14:22:01`, as NX-OS has it.
fn year_first<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Option<&'a str> {
    let (year, rest) = text.split_at_checked(4)?;
    let rest = rest.strip_prefix(' ')?;
    if !all_digits(year) {
        return None;
    }
    let clock = rest.bytes().position(|byte| byte == b':')?.checked_sub(2)?;
    let end = clock
        + rest
            .get(clock..)?
            .find(|c: char| !(c.is_ascii_digit() || matches!(c, ':' | '.')))?;
    let end = rest.get(..end)?.trim_end_matches([':', '.']).len();
    let whole = format!(
        "{} {year} {}",
        rest.get(..clock)?.trim_end(),
        rest.get(clock..end)?
    );
    let cut = time::syslog(&whole, hint)?;
    let mut instant = cut.instant;
    let mut after = rest.get(end..)?;
    if let Some((zone, behind)) = after
        .strip_prefix(' ')
        .and_then(|rest| rest.split_once([':', ' ']))
        && let Some(seconds) = zone_of(zone)
    {
        let zone = super::super::SourceZone::Fixed(chrono::FixedOffset::east_opt(seconds)?);
        instant = time::syslog(
            &whole,
            &TimeHint {
                zone,
                ..hint.clone()
            },
        )?
        .instant;
        after = behind;
        out.zoned = true;
    }
    out.set_time(instant);
    Some(after)
}

/// `87117903: 87117909: ` at the start: the numbers, and what follows.
fn numbers(text: &str) -> (&str, &str) {
    let mut rest = text;
    while let Some((number, after)) = rest.split_once(": ")
        && number.len() <= 12
        && all_digits(number)
    {
        rest = after;
    }
    (
        text.get(..text.len() - rest.len())
            .unwrap_or("")
            .trim_end_matches([':', ' ']),
        rest,
    )
}

/// Takes what stands before the mnemonic of a device's message off the text: numbers and a second
/// stamp become metadata, the facility the logger. Gives the severity, 0 to 7.
pub fn put<'a>(text: &mut &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Option<u8> {
    // Nearly no line has a mnemonic: look for its sign near the start.
    let near = text.as_bytes().get(..text.len().min(96))?;
    let percent = memchr::memchr(b'%', near)?;
    let found = severity(text.get(percent..)?)?;
    let (facility, severity) = found;
    let before = text.get(..percent)?;
    if !before.is_empty() {
        let (sequence, rest) = numbers(before);
        let mut inner = Parsed::default();
        let bare = rest.trim_start_matches([':', ' ', '*', '.']);
        let left = if bare.is_empty() {
            Some("")
        } else {
            month(bare, hint, &mut inner)
        };
        if left.is_none_or(|left| !left.trim_matches([':', ' ']).is_empty()) {
            return None;
        }
        if !sequence.is_empty() {
            push_unique(out, "sequence", sequence);
        }
        match (out.timestamp, inner.timestamp) {
            (None, Some(at)) => out.timestamp = Some(at),
            (Some(outer), Some(at)) if outer != at => {
                push_unique(out, INNER_TIME_FIELD, at.to_rfc3339());
            }
            _ => {}
        }
        *text = text.get(percent..)?;
    }
    if out.logger.is_none() {
        out.logger = Some(Cow::Borrowed(facility));
    }
    Some(severity)
}

/// `%LINK-3-UPDOWN:` at the start: the facility, with its subfacility, and the severity.
pub fn severity(text: &str) -> Option<(&str, u8)> {
    let (name, _) = text.strip_prefix('%')?.split_once(':')?;
    let mut parts = name.trim_ascii_end().rsplitn(3, '-');
    let (mnemonic, severity, facility) = (parts.next()?, parts.next()?, parts.next()?);
    let named = |word: &str| {
        !word.is_empty()
            && word
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    };
    let number = match severity.as_bytes() {
        [digit @ b'0'..=b'7'] => digit - b'0',
        _ => return None,
    };
    (named(mnemonic) && named(facility) && facility.starts_with(|c: char| c.is_ascii_uppercase()))
        .then_some((facility, number))
}
