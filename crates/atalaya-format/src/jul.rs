//! `java.util.logging` as its `SimpleFormatter` and `JULI`'s old default write it, on two lines:
//!
//! ```text
//! Nov 20, 2024 10:00:00 AM com.example.App main
//! INFO: Hello there
//! ```
//!
//! Stamp and level are in the language of the host.
//!
//! Source: <https://docs.oracle.com/en/java/javase/21/docs/api/java.logging/java/util/logging/SimpleFormatter.html>.

use super::app_line::ANY_HINT;
use super::app_line::stamp::stamp;
use super::app_line::words::{is_dotted, is_name, level_of};
use super::fields::keep_severity;
use super::{
    Begins, Format, FormatMismatch, FormatSpec, Joins, Lines, Opens, Parsed, Signs, TimeHint,
};
use atalaya_domain::record::{Layer, Level};

/// `jul`.
#[derive(Clone, Copy, Debug)]
pub struct Jul;

impl Format for Jul {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "jul",
            source: "app/java",
            layer: Layer::Application,
            begins: Begins::DIGITS.or(Begins::LETTERS),
            lines: Lines::Stamped,
            traces: true,
            named_ids: true,
        };
        &SPEC
    }

    fn needs(&self) -> Signs {
        Signs::UNDATED
    }

    fn opens(&self, line: &str) -> Opens {
        let bytes = line.as_bytes();
        // `Nov 20, 2024 …`, `20.11.2024 …`, `20 nov. 2024 …`; and the line ends with a method's name.
        let looks = match bytes {
            [b'A'..=b'Z', b'a'..=b'z', b'a'..=b'z', b' ', b'0'..=b'9', ..] => {
                bytes.iter().take(8).any(|b| *b == b',')
            }
            [b'0'..=b'9', second, ..] => {
                matches!(second, b'0'..=b'9' | b'.' | b' ' | b'/')
                    && !bytes.iter().take(5).any(|b| *b == b'-')
            }
            _ => false,
        };
        if looks && bytes.len() < 300 && first_line(line, &ANY_HINT).is_some() {
            Opens::Unfinished
        } else {
            Opens::No
        }
    }

    fn joins(&self, pending: &str, line: &str) -> Joins {
        if pending.contains('\n') {
            return Joins::Unsaid;
        }
        // Without its second line the first is a text of its own.
        if second_line(line).is_some() {
            Joins::Yes
        } else {
            Joins::No
        }
    }

    fn parse<'a>(
        &self,
        text: &'a str,
        hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<(), FormatMismatch> {
        read(text, hint, out)
            .ok_or_else(|| self.mismatch("no class and method, or no level on the second line"))
    }
}

/// The class and the method behind the stamp.
fn first_line<'a>(
    line: &'a str,
    hint: &TimeHint,
) -> Option<(super::time::Instant, &'a str, &'a str)> {
    // The end is cheaper to look at than a stamp.
    let (head, method) = line.trim_ascii_end().rsplit_once(' ')?;
    let (_, class) = head.rsplit_once(' ')?;
    let is_method = !method.is_empty()
        && method
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'<' | b'>'))
        && method.starts_with(|first: char| {
            first.is_ascii_alphabetic() || matches!(first, '_' | '$' | '<')
        });
    if !is_method || !(is_dotted(class) || class.contains('$') && is_name(class)) {
        return None;
    }
    let cut = stamp(line, hint)?;
    let rest = cut.rest.trim_ascii_end().strip_prefix(' ')?;
    (rest.len() == class.len() + 1 + method.len() && !cut.instant.day_missing).then_some((
        cut.instant,
        class,
        method,
    ))
}

/// The level and what follows its colon.
fn second_line(line: &str) -> Option<(&str, Level, &str)> {
    let (word, message) = line.split_once(':')?;
    let word = word.trim_ascii_end();
    if word.len() > 24 || word.chars().any(char::is_lowercase) {
        return None;
    }
    Some((
        word,
        level_of(word)?,
        message.strip_prefix(' ').unwrap_or(message),
    ))
}

fn read<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Option<()> {
    let (first, rest) = text.split_once('\n')?;
    let (instant, class, method) = first_line(first, hint)?;
    let (word, level, message) = second_line(rest)?;
    out.set_time(instant);
    out.level = level;
    keep_severity(out, word.into());
    out.logger = Some(class.into());
    out.put("function", method);
    out.message = message.into();
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_lines_are_one_record() {
        let first = "Nov 20, 2024 10:00:01 PM com.example.App run";
        assert_eq!(Jul.opens(first), Opens::Unfinished);
        assert_eq!(Jul.joins(first, "SEVERE: it broke"), Joins::Yes);
        assert_eq!(Jul.joins(first, "SCHWERWIEGEND: kaputt"), Joins::Yes);
        assert_eq!(Jul.joins(first, "and so on"), Joins::No);
        let text = format!("{first}\nSEVERE: it broke\njava.lang.Boom: x\n\tat a.B.c(B.java:1)");
        let mut out = Parsed::default();
        assert!(Jul.parse(&text, &ANY_HINT, &mut out).is_ok());
        assert_eq!(
            (out.level.name(), out.logger.as_deref()),
            ("ERROR", Some("com.example.App"))
        );
        assert_eq!(
            out.message,
            "it broke\njava.lang.Boom: x\n\tat a.B.c(B.java:1)"
        );
        assert_eq!(
            out.timestamp
                .map(atalaya_domain::time::Timestamp::to_rfc3339)
                .as_deref(),
            Some("2024-11-20T22:00:01.000000Z")
        );
        assert_eq!(
            Jul.opens("Nov 20, 2024, 10:00:01\u{202f}PM c.e.App lambda$main$0"),
            Opens::Unfinished
        );
        for text in [
            "Nov 20, 2024 10:00:01 PM we went home",
            "Nov 20 10:00:01 web1 sshd[1]: x",
            "2024-11-20 10:00:01 c.e.App run",
            "20 apples c.e.App run",
            "Starting c.e.App run",
        ] {
            assert_eq!(Jul.opens(text), Opens::No, "{text}");
        }
    }
}
