//! Lines without a priority, by their stamps; and any stamp behind a priority.

use chrono::FixedOffset;

use super::super::fields::worded;
use super::super::split;
use super::super::{Parsed, SourceZone, TimeHint, time};
use super::head::{self, Stamp, all_digits};
use super::{Found, Read, cisco, rfc5424};

/// `May  1 12:34:56 host program[pid]: text`. Host and program may be missing.
pub fn bsd_line<'a>(line: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Read<'a> {
    let rest = month(line, hint, out).ok_or("no time at the start")?;
    // humanlog: `May  1 12:34:56 |INFO| text`.
    if rest
        .strip_prefix('|')
        .and_then(|rest| rest.split_once("| "))
        .is_some_and(|(word, _)| worded(word).is_some())
    {
        return Err("a level in bars behind the time");
    }
    let head = head::lenient(rest);
    // Programs that write such stamps themselves go on with a level.
    let begins_with_level =
        || head::is_level(split::once(head.text, b' ').map_or(head.text, |(word, _)| word));
    if head.tag.is_none() && head.host.is_empty() && head.priority.is_none() && begins_with_level()
    {
        return Err("a level behind the time");
    }
    if head.tag.is_none() && head.text.is_empty() && !head::is_named_host(head.host) {
        return Err("one word behind the time");
    }
    Ok(Found::of(head, false, out))
}

/// `Wed May  1 16:55:01 2024 daemon.info dnsmasq[1]: text`, as `OpenWrt` prints its log.
pub fn ctime_line<'a>(line: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Read<'a> {
    let cut = time::ctime(line, hint).ok_or("no time at the start")?;
    let head = head::lenient(cut.rest.strip_prefix(' ').ok_or("nothing after the time")?);
    if head.priority.is_none() || head.tag.is_none() {
        return Err("neither facility nor program behind the time");
    }
    out.set_time(cut.instant);
    Ok(Found::of(head, false, out))
}

/// `Wed 2024-05-01 10:40:20 CEST host program[pid]: text`: `journalctl -o short-full`.
pub fn weekday_line<'a>(line: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Read<'a> {
    let rest = line.get(4..).ok_or("no time at the start")?;
    let cut = time::iso_named(rest, hint).ok_or("no time at the start")?;
    let used = rest.len() - cut.rest.len();
    let zoned = rest
        .get(19..used)
        .is_some_and(|tail| !tail.trim_start_matches(['.', ',']).is_empty());
    let rest = cut.rest.strip_prefix(' ').ok_or("nothing after the time")?;
    let head = head::strict(rest, Stamp::Daemon).or_else(|| {
        // A zone that has no offset of its own.
        let (zone, rest) = split::once(rest, b' ')?;
        let named = zone
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'/'));
        if named {
            head::strict(rest, Stamp::Daemon)
        } else {
            None
        }
    });
    let head = head.ok_or("no host and program behind the time")?;
    out.set_time(cut.instant);
    out.zoned |= zoned;
    Ok(Found::of(head, false, out))
}

/// `1714550400.123456 host program[pid]: text`: `journalctl -o short-unix`.
pub fn epoch_line<'a>(line: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Read<'a> {
    let (stamp, rest) = split::once(line, b' ').ok_or("no time at the start")?;
    let decimals = stamp.split_once('.').ok_or("no time at the start")?.1;
    if decimals.len() < 3 {
        return Err("no time at the start");
    }
    let cut = time::epoch(stamp, hint)
        .filter(|cut| cut.rest.is_empty())
        .ok_or("no time at the start")?;
    let head = head::strict(rest, Stamp::Daemon).ok_or("no host and program behind the time")?;
    out.set_time(cut.instant);
    out.zoned = true;
    Ok(Found::of(head, false, out))
}

/// Seconds since 1970, with decimals where they have them; gives what follows.
fn seconds<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Option<&'a str> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let cut = time::epoch(text, hint).filter(|cut| digits == 10 && cut.rest.starts_with(' '))?;
    out.set_time(cut.instant);
    out.zoned = true;
    Some(cut.rest)
}

/// An ISO stamp as text: what it says of its zone, and what follows it.
struct Iso<'a> {
    stamp: Stamp,
    rest: &'a str,
}

/// Where the stamp ends, without reading it: most lines that begin with one are not syslog's.
fn iso_shape(line: &str) -> Option<Iso<'_>> {
    let bytes = line.as_bytes();
    let between = *bytes.get(10)?;
    if bytes.get(7) != Some(&b'-')
        || !matches!(between, b'T' | b' ')
        || bytes.get(13) != Some(&b':')
        || bytes.get(16) != Some(&b':')
    {
        return None;
    }
    let mut at = 19;
    let mut fraction = 0;
    if bytes.get(at) == Some(&b'.') {
        fraction = bytes
            .get(at + 1..)?
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        at += 1 + fraction;
    }
    let zone = match bytes.get(at)? {
        b'Z' => 1,
        b'+' | b'-' => bytes
            .get(at..)?
            .iter()
            .take_while(|byte| byte.is_ascii_digit() || matches!(byte, b':' | b'+' | b'-'))
            .count(),
        _ => 0,
    };
    let stamp = match (between, zone) {
        (b'T', _) if fraction == 6 => Stamp::Daemon,
        (_, 1..) => Stamp::Zoned,
        _ => Stamp::Local,
    };
    let rest = line.get(at + zone..)?.strip_prefix(' ')?;
    Some(Iso {
        stamp,
        // macOS' `log show --style syslog` pads the zone.
        rest: rest.strip_prefix(' ').unwrap_or(rest),
    })
}

/// `2024-05-01T10:40:20.912134+02:00 host program[pid]: text`, and RFC 5424 without its priority.
pub fn iso_line<'a>(line: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Read<'a> {
    const NO_TIME: &str = "no time at the start";
    let iso = iso_shape(line).ok_or("no time and text of a daemon")?;
    if let Some(head) = head::strict(iso.rest, iso.stamp) {
        set_iso(line, hint, out).ok_or(NO_TIME)?;
        return Ok(Found::of(head, false, out));
    }
    let first = split::once(iso.rest, b' ').map_or(iso.rest, |(first, _)| first);
    if iso.stamp != Stamp::Local
        && !head::is_level(first)
        && let Some(found) = rfc5424::without_priority(line, hint, out)
    {
        return Ok(found);
    }
    Err("no host and program behind the time")
}

fn set_iso<'a>(line: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Option<&'a str> {
    let cut = time::iso(line, hint)?;
    let used = line.get(19..line.len() - cut.rest.len())?;
    out.set_time(cut.instant);
    out.zoned |= used.contains(['Z', '+', '-']);
    Some(cut.rest)
}

/// Takes any stamp at the start of what follows a priority; false when there is none.
pub fn any<'a>(rest: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> (bool, &'a str) {
    let found = match rest.as_bytes().first() {
        Some(b'0'..=b'9') if rest.as_bytes().get(4) == Some(&b'-') => set_iso(rest, hint, out),
        Some(b'A'..=b'Z') => month(rest, hint, out).or_else(|| {
            let cut = time::ctime(rest, hint)?;
            out.set_time(cut.instant);
            Some(cut.rest)
        }),
        Some(b'0'..=b'9' | b'*' | b'.' | b':') => {
            cisco::stamp(rest, hint, out).or_else(|| seconds(rest, hint, out))
        }
        _ => None,
    };
    match found {
        // Cisco ends the stamp with a colon.
        Some(after) => {
            let after = after.strip_prefix(':').unwrap_or(after);
            (true, after.strip_prefix(' ').unwrap_or(after))
        }
        None => (false, rest),
    }
}

/// `May  1 12:34:56`, with a year before or behind the time and a zone behind it where it has them;
/// gives what follows, without the blank.
pub fn month<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Option<&'a str> {
    let cut = time::syslog(text, hint)?;
    let mut instant = cut.instant;
    let mut rest = cut.rest;
    let mut zoned = false;
    if let Some((word, after)) = rest
        .strip_prefix(' ')
        .and_then(|rest| rest.split_once([' ', ':']))
    {
        let colon = rest.as_bytes().get(1 + word.len()) == Some(&b':');
        if word.len() == 4 && all_digits(word) && word.starts_with(['1', '2']) && !colon {
            // Juniper writes the year behind the time.
            let (date, clock) = text.get(..text.len() - rest.len())?.rsplit_once(' ')?;
            let whole = format!("{date} {word} {clock}");
            instant = time::syslog(&whole, hint)?.instant;
            rest = after;
        } else if let Some(seconds) = zone_of(word)
            && (colon || head::strict(after, Stamp::Daemon).is_some())
        {
            let zone = SourceZone::Fixed(FixedOffset::east_opt(seconds)?);
            instant = time::syslog(
                text,
                &TimeHint {
                    zone,
                    ..hint.clone()
                },
            )?
            .instant;
            (rest, zoned) = (after, true);
        }
    }
    out.set_time(instant);
    out.zoned |= zoned;
    let rest = rest.strip_prefix(':').unwrap_or(rest);
    match rest.strip_prefix(' ') {
        // Two blanks stand where a host is missing.
        Some(bare) => Some(bare),
        None if rest.len() < cut.rest.len() => Some(rest),
        None => None,
    }
}

/// A zone's name in capitals.
pub fn zone_of(word: &str) -> Option<i32> {
    if !(2..=5).contains(&word.len()) || !word.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    time::zone_seconds(word)
}
