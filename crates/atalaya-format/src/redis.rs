//! Redis and its forks: `1:M 01 May 2024 08:00:00.946 * text`. Before version 5 the stamp has no year;
//! version 2 has the process in brackets and no role.
//!
//! The letter is the role of the process (`X` sentinel, `C` child that writes the file, `S` replica,
//! `M` master), the sign the level: `.` debug, `-` verbose, `*` notice, `#` warning.
//!
//! Source: `serverLogRaw` in <https://github.com/redis/redis/blob/unstable/src/server.c>.

use super::app_line::stamp::stamp;
use super::app_line::words::is_number;
use super::{Begins, Format, FormatMismatch, FormatSpec, Lines, Opens, Parsed, Signs, TimeHint};
use atalaya_domain::record::{Layer, Level};

/// `redis`.
#[derive(Clone, Copy, Debug)]
pub struct Redis;

impl Format for Redis {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "redis",
            source: "redis",
            layer: Layer::Infrastructure,
            begins: Begins::DIGITS.or(Begins::these(b"[")),
            lines: Lines::Stamped,
            traces: false,
            named_ids: false,
        };
        &SPEC
    }

    fn needs(&self) -> Signs {
        Signs::UNDATED
    }

    fn opens(&self, line: &str) -> Opens {
        let bytes = line.as_bytes();
        let from = usize::from(bytes.first() == Some(&b'['));
        let digits = bytes
            .iter()
            .skip(from)
            .take(9)
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let end = from + digits;
        let opens = match (from, bytes.get(end), bytes.get(end + 1), bytes.get(end + 2)) {
            (0, Some(b':'), Some(b'X' | b'C' | b'S' | b'M'), Some(b' '))
            | (1, Some(b']'), Some(b' '), Some(b'0'..=b'3')) => true,
            (0, Some(b':'), Some(b's'), _) => line
                .get(end + 1..)
                .is_some_and(|rest| rest.starts_with(SIGNAL)),
            _ => false,
        };
        if opens && digits > 0 {
            Opens::Parsed
        } else {
            Opens::No
        }
    }

    fn parse<'a>(
        &self,
        text: &'a str,
        hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<(), FormatMismatch> {
        read(text, hint, out).ok_or_else(|| self.mismatch("no process, role, time and sign"))
    }
}

/// What the handler of signals writes has no stamp and sign, but a time in parentheses.
const SIGNAL: &str = "signal-handler (";

fn signal<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Option<()> {
    let (pid, rest) = text.split_once(':')?;
    let (time, message) = rest.strip_prefix(SIGNAL)?.split_once(") ")?;
    out.set_time(stamp(time, hint).filter(|cut| cut.rest.is_empty())?.instant);
    out.put("pid", pid);
    out.put("role", "signal-handler");
    out.level = Level::Warning;
    out.message = message.into();
    Some(())
}

fn read<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Option<()> {
    if text.contains(SIGNAL) && signal(text, hint, out).is_some() {
        return Some(());
    }
    let (process, rest) = text.split_once(' ')?;
    let (pid, role) = match process.strip_prefix('[') {
        Some(pid) => (pid.strip_suffix(']')?, None),
        None => process
            .split_once(':')
            .map(|(pid, role)| (pid, Some(role)))?,
    };
    if !is_number(pid) {
        return None;
    }
    let cut = stamp(rest, hint)?;
    let (sign, message) = cut.rest.strip_prefix(' ')?.split_once(' ')?;
    let (level, word) = match sign {
        "." => (Level::Debug, "debug"),
        "-" => (Level::Debug, "verbose"),
        "*" => (Level::Info, "notice"),
        "#" => (Level::Warning, "warning"),
        _ => return None,
    };
    out.set_time(cut.instant);
    out.level = level;
    out.put("pid", pid);
    if let Some(role) = role {
        out.put(
            "role",
            match role {
                "X" => "sentinel",
                "C" => "child",
                "S" => "replica",
                _ => "master",
            },
        );
    }
    super::fields::keep_severity(out, word.into());
    out.message = message.into();
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::app_line::ANY_HINT;
    use super::*;

    #[test]
    fn releases_of_redis() {
        for (text, level, message, role) in [
            (
                "7:M 01 May 2024 08:00:00.946 # Can't save",
                "WARNING",
                "Can't save",
                Some("master"),
            ),
            (
                "7:C 01 May 2024 08:00:00.946 * DB saved",
                "INFO",
                "DB saved",
                Some("child"),
            ),
            (
                "534:S 28 Oct 11:30:29.988 - Accepted 10.0.0.1:5",
                "DEBUG",
                "Accepted 10.0.0.1:5",
                Some("replica"),
            ),
            (
                "9:X 01 May 2024 08:00:00.946 # +sdown master shop 10.0.0.1 6379",
                "WARNING",
                "+sdown master shop 10.0.0.1 6379",
                Some("sentinel"),
            ),
            (
                "1:signal-handler (1714550400) Received SIGTERM",
                "WARNING",
                "Received SIGTERM",
                Some("signal-handler"),
            ),
            (
                "[4711] 01 Nov 08:00:00.946 . 0 clients",
                "DEBUG",
                "0 clients",
                None,
            ),
        ] {
            let mut out = Parsed::default();
            assert_eq!(Redis.opens(text), Opens::Parsed, "{text}");
            assert!(Redis.parse(text, &ANY_HINT, &mut out).is_ok(), "{text}");
            assert_eq!(
                (out.level.name(), out.message.as_ref()),
                (level, message),
                "{text}"
            );
            assert!(out.timestamp.is_some(), "{text}");
            let found = out
                .metadata
                .iter()
                .find(|(name, _)| name == "role")
                .map(|(_, text)| text.as_ref());
            assert_eq!(found, role, "{text}");
        }
        for text in [
            "7:M text",
            "12:30 lunch",
            "7:M 01 May 2024 08:00:00.946 ! x",
            "[4711] 01 x",
        ] {
            let mut out = Parsed::default();
            assert!(
                Redis.opens(text) == Opens::No || Redis.parse(text, &ANY_HINT, &mut out).is_err(),
                "{text}"
            );
        }
    }
}
