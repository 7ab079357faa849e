//! PHP's own error log (`[15-Sep-2021 00:24:29 UTC] PHP Fatal error:  Uncaught …`, also without the
//! stamp) and that of its process manager (`[01-May-2024 10:00:00] WARNING: [pool www] child 7 …`).
//!
//! Sources: `php_error_cb` and `php_log_err_with_severity` in
//! <https://github.com/php/php-src/blob/master/main/main.c>, and `sapi/fpm/fpm/zlog.c` there.

use super::app_line::words::{is_name, level_of};
use super::fields::push_unique;
use super::{Begins, Format, FormatMismatch, FormatSpec, Lines, Opens, Parsed, TimeHint, time};
use atalaya_domain::record::{Layer, Level};

/// `php`.
#[derive(Clone, Copy, Debug)]
pub struct Php;

impl Format for Php {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "php",
            source: "app/php",
            layer: Layer::Application,
            begins: Begins::these(b"[P"),
            lines: Lines::Stamped,
            traces: true,
            named_ids: true,
        };
        &SPEC
    }

    fn opens(&self, line: &str) -> Opens {
        let opens = match line.as_bytes() {
            [b'[', b'0'..=b'3', b'0'..=b'9', b'-', month, ..] => month.is_ascii_alphabetic(),
            [b'P', b'H', b'P', b' ', ..] => true,
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
        read(text, hint, out).ok_or_else(|| self.mismatch("no level of PHP"))
    }
}

/// The names that PHP gives to its levels.
fn level(word: &str) -> Option<Level> {
    Some(match word {
        "Fatal error" | "Parse error" | "Core error" | "Compile error" => Level::Critical,
        "Recoverable fatal error" | "Catchable fatal error" | "Exception" => Level::Error,
        "Warning" | "Core warning" | "Compile warning" | "Deprecated" => Level::Warning,
        "Notice" | "Strict Standards" | "Strict standards" => Level::Info,
        _ => return None,
    })
}

fn read<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Option<()> {
    let rest = match text.strip_prefix('[') {
        Some(inside) => {
            let (stamp, rest) = inside.split_once("] ")?;
            let cut = time::any(stamp, hint)?;
            // `Europe/Berlin`: the zone's name is kept where it is not read.
            let zone = cut.rest.trim_ascii();
            if !(zone.is_empty() || is_name(zone)) {
                return None;
            }
            out.set_time(cut.instant);
            out.put("zone", zone);
            rest
        }
        None => text,
    };
    if let Some(rest) = rest.strip_prefix("PHP ") {
        let (word, message) = rest.split_once(':').filter(|(word, _)| word.len() < 30)?;
        out.level = level(word)?;
        out.put("severity", word);
        out.message = message.trim_ascii().into();
        place(message.lines().next().unwrap_or(""), out);
        return Some(());
    }
    // The process manager; it always has a stamp.
    out.timestamp?;
    let (word, rest) = rest.split_once(": ")?;
    if !matches!(word, "DEBUG" | "NOTICE" | "WARNING" | "ERROR" | "ALERT") {
        return None;
    }
    out.set_level(word);
    out.level = level_of(word)?;
    let mut message = rest;
    if let Some((pool, after)) = rest
        .strip_prefix("[pool ")
        .and_then(|inside| inside.split_once("] "))
        && !pool.contains(' ')
    {
        out.put("pool", pool);
        message = after;
    }
    out.message = message.into();
    Some(())
}

/// ` in /srv/cart.php on line 4` or ` in /srv/cart.php:4` at the end of the first line, which stays in
/// the message.
fn place<'a>(line: &'a str, out: &mut Parsed<'a>) {
    let Some((_, place)) = line.trim_ascii_end().rsplit_once(" in ") else {
        return;
    };
    let found = place
        .split_once(" on line ")
        .or_else(|| place.rsplit_once(':'));
    if let Some((file, number)) = found
        && !file.contains(' ')
        && number.bytes().all(|byte| byte.is_ascii_digit())
    {
        push_unique(out, "file", file);
        push_unique(out, "line", number);
    }
}

#[cfg(test)]
mod tests {
    use super::super::app_line::ANY_HINT;
    use super::*;

    #[test]
    fn errors_and_the_process_manager() {
        for (text, level, message, name, value) in [
            (
                "[15-Sep-2021 00:24:29 UTC] PHP Fatal error:  Uncaught Boom: x in /srv/Stock.php:12\nStack trace:\n#0 {main}",
                "CRITICAL",
                "Uncaught Boom: x in /srv/Stock.php:12\nStack trace:\n#0 {main}",
                "file",
                "/srv/Stock.php",
            ),
            (
                "[15-Sep-2021 00:24:30 UTC] PHP Warning:  Undefined variable $q in /srv/Cart.php on line 4",
                "WARNING",
                "Undefined variable $q in /srv/Cart.php on line 4",
                "line",
                "4",
            ),
            (
                "PHP Deprecated:  old call in /srv/a.php on line 2",
                "WARNING",
                "old call in /srv/a.php on line 2",
                "severity",
                "Deprecated",
            ),
            (
                "[01-May-2024 10:00:00] WARNING: [pool www] child 7 exited",
                "WARNING",
                "child 7 exited",
                "pool",
                "www",
            ),
            (
                "[01-May-2024 10:00:00] NOTICE: ready to handle connections",
                "INFO",
                "ready to handle connections",
                "severity",
                "NOTICE",
            ),
        ] {
            let mut out = Parsed::default();
            assert_eq!(Php.opens(text), Opens::Parsed, "{text}");
            assert!(Php.parse(text, &ANY_HINT, &mut out).is_ok(), "{text}");
            assert_eq!(
                (out.level.name(), out.message.as_ref()),
                (level, message),
                "{text}"
            );
            let found = out
                .metadata
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, text)| text.as_ref());
            assert_eq!(found, Some(value), "{text}");
        }
        for text in [
            "[01-May-2024 10:00:00] text of error_log()",
            "PHP is a language: so it is",
            "[01/May/2024 10:00:00] x",
        ] {
            let mut out = Parsed::default();
            assert!(
                Php.opens(text) == Opens::No || Php.parse(text, &ANY_HINT, &mut out).is_err(),
                "{text}"
            );
        }
    }
}
