//! Android's logcat: `05-01 10:00:00.123  1234  5678 E Tag: text` (`threadtime`, also with a year or a
//! zone), `E/Tag( 123): text` (`brief`), `05-01 10:00:00.123 E/Tag( 123): text` (`time`).
//!
//! Source: <https://developer.android.com/tools/logcat#outputFormat>.

use super::app_line::stamp::{behind_iso, stamp};
use super::app_line::words::is_number;
use super::{
    Begins, Format, FormatMismatch, FormatSpec, Lines, Opens, Parsed, Signs, TimeHint, level,
};
use atalaya_domain::record::{Layer, Level};

/// `logcat`.
#[derive(Clone, Copy, Debug)]
pub struct Logcat;

impl Format for Logcat {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "logcat",
            source: "android",
            layer: Layer::Application,
            begins: Begins::DIGITS.or(Begins::these(b"VDIWEFA")),
            lines: Lines::One,
            traces: false,
            named_ids: true,
        };
        &SPEC
    }

    fn needs(&self) -> Signs {
        Signs::NO_PROSE
    }

    fn opens(&self, line: &str) -> Opens {
        let bytes = line.as_bytes();
        let opens = match bytes {
            [_, b'/', ..] => {
                !bytes[0].is_ascii_digit() && bytes.get(2).is_some_and(|byte| *byte != b' ')
            }
            [_, _, b'-', _, _, b' ', ..] => true,
            // With a year; processes stand behind the stamp.
            [_, _, _, _, b'-', _, _, b'-', ..] => behind_iso(line).is_some_and(|rest| {
                let bare = rest.trim_start_matches(' ');
                bare.len() < rest.len()
                    && bare
                        .bytes()
                        .next()
                        .is_some_and(|byte| byte.is_ascii_digit())
                    && processes(rest).is_some()
            }),
            _ => false,
        };
        if opens { Opens::Parsed } else { Opens::No }
    }

    fn parse<'a>(
        &self,
        text: &'a str,
        hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<(), FormatMismatch> {
        read(text, hint, out).ok_or_else(|| self.mismatch("no priority and tag"))
    }
}

fn priority(letter: u8) -> Option<Level> {
    if letter == b'A' {
        Some(Level::Critical)
    } else {
        level::from_letter(letter)
    }
}

/// Process, thread, priority, and the rest behind it.
fn processes(rest: &str) -> Option<(&str, &str, u8, &str)> {
    let (pid, rest) = rest.trim_start_matches(' ').split_once(' ')?;
    let (thread, rest) = rest.trim_start_matches(' ').split_once(' ')?;
    let (&[letter], rest) = rest
        .split_once(' ')
        .map(|(letter, rest)| (letter.as_bytes(), rest))?
    else {
        return None;
    };
    let known = matches!(letter, b'V' | b'D' | b'I' | b'W' | b'E' | b'F' | b'A');
    (is_number(pid) && is_number(thread) && known).then_some((pid, thread, letter, rest))
}

fn read<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Option<()> {
    let mut rest = text;
    if text.starts_with(|first: char| first.is_ascii_digit()) {
        let cut = stamp(text, hint)?;
        out.set_time(cut.instant);
        rest = cut.rest.strip_prefix(' ')?;
        if let Some((pid, thread, letter, after)) = processes(rest) {
            let (tag, message) = after
                .split_once(": ")
                .or_else(|| Some((after.strip_suffix(':')?, "")))?;
            if tag.len() > 80 {
                return None;
            }
            out.put("pid", pid);
            out.put("thread", thread);
            return finish(letter, tag, message, out);
        }
    }
    // `E/Tag( 123): text`
    let &[letter, b'/', ..] = rest.as_bytes() else {
        return None;
    };
    let (tag, after) = rest.get(2..)?.split_once('(')?;
    let (pid, message) = after.split_once("):")?;
    if !is_number(pid.trim_ascii()) || tag.len() > 80 {
        return None;
    }
    out.put("pid", pid.trim_ascii());
    finish(
        letter,
        tag,
        message.strip_prefix(' ').unwrap_or(message),
        out,
    )
}

fn finish<'a>(letter: u8, tag: &'a str, message: &'a str, out: &mut Parsed<'a>) -> Option<()> {
    out.level = priority(letter)?;
    let tag = tag.trim_ascii();
    if !tag.is_empty() {
        out.logger = Some(tag.into());
    }
    out.message = message.into();
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::app_line::ANY_HINT;
    use super::*;

    #[test]
    fn forms_of_logcat() {
        for (text, level, logger, message) in [
            (
                "11-01 10:00:00.123  1234  5678 E DepotPay: charge failed",
                "ERROR",
                "DepotPay",
                "charge failed",
            ),
            (
                "11-01 10:00:00.123  1234  5678 I Depot   : up: yes",
                "INFO",
                "Depot",
                "up: yes",
            ),
            (
                "2024-11-01 10:00:00.123  1234  5678 W Depot: slow",
                "WARNING",
                "Depot",
                "slow",
            ),
            (
                "E/DepotPay( 123): charge failed",
                "ERROR",
                "DepotPay",
                "charge failed",
            ),
            (
                "11-01 10:00:00.123 F/libc  ( 123): died",
                "CRITICAL",
                "libc",
                "died",
            ),
        ] {
            let mut out = Parsed::default();
            assert_eq!(Logcat.opens(text), Opens::Parsed, "{text}");
            assert!(Logcat.parse(text, &ANY_HINT, &mut out).is_ok(), "{text}");
            assert_eq!(
                (
                    out.level.name(),
                    out.logger.as_deref(),
                    out.message.as_ref()
                ),
                (level, Some(logger), message)
            );
        }
        for text in [
            "I/O error on sda",
            "11-01 lunch",
            "2024-11-01 10:00:00.123 1234 INFO x: y",
            "A/B test (x): y",
        ] {
            let mut out = Parsed::default();
            assert!(
                Logcat.opens(text) == Opens::No || Logcat.parse(text, &ANY_HINT, &mut out).is_err(),
                "{text}"
            );
        }
    }
}
