//! Ruby: its standard `Logger` (`E, [2024-05-01T10:00:00.123456 #4711] ERROR -- depot: text`), and the
//! tags that Rails puts before a message (`[6ad1…] [10.0.0.1] text`), of which an id is the request's.
//!
//! Sources: <https://docs.ruby-lang.org/en/master/Logger.html>,
//! <https://guides.rubyonrails.org/debugging_rails_applications.html#tagged-logging>.

use super::app_line::words::{is_id, is_number, level_of};
use super::app_line::{self, stamp::behind_iso};
use super::fields::durations::milliseconds;
use super::fields::{Fields, keep_severity};
use super::json::scan::Value;
use super::{
    Begins, Format, FormatMismatch, FormatSpec, Lines, Opens, Parsed, TimeHint, level, time,
};
use atalaya_domain::record::{Layer, Level};

/// `ruby`.
#[derive(Clone, Copy, Debug)]
pub struct Ruby;

impl Format for Ruby {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "ruby",
            source: "app/ruby",
            layer: Layer::Application,
            begins: Begins::these(b"DIWEFUA"),
            lines: Lines::Stamped,
            traces: true,
            named_ids: true,
        };
        &SPEC
    }

    fn opens(&self, line: &str) -> Opens {
        if line.get(1..4) == Some(", [") {
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
        read(text, hint, out).ok_or_else(|| self.mismatch("no header of Ruby's Logger"))
    }
}

fn read<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Option<()> {
    let cut = time::iso(text.get(4..)?, hint)?;
    let (pid, rest) = cut.rest.strip_prefix(" #")?.split_once(']')?;
    let (word, rest) = rest.trim_start_matches(' ').split_once(" -- ")?;
    if !is_number(pid) || text.as_bytes().first() != word.as_bytes().first() {
        return None;
    }
    // Without a program the colon follows at once.
    let (program, message) = match rest.strip_prefix(": ") {
        Some(message) => ("", message),
        None => rest
            .split_once(": ")
            .or_else(|| rest.strip_suffix(':').map(|name| (name, "")))?,
    };
    if program.contains('\n') {
        return None;
    }
    out.set_time(cut.instant);
    out.level = level_of(word).or_else(|| (word == "ANY").then_some(Level::Info))?;
    keep_severity(out, word.into());
    out.put("pid", pid);
    if !program.is_empty() {
        out.logger = Some(program.into());
    }
    let message = take_tags(message, out);
    out.duration_ms = completed(message);
    out.message = message.trim_ascii_end().into();
    Some(())
}

/// `Completed 200 OK in 12ms (…)`: what the request took.
fn completed(message: &str) -> Option<f64> {
    let (_, rest) = message.strip_prefix("Completed ")?.split_once(" in ")?;
    rest.split_once("ms")?.0.parse().ok()
}

/// Takes tags off the start of a message when one of them is an id.
fn take_tags<'a>(message: &'a str, out: &mut Parsed<'a>) -> &'a str {
    let mut rest = message;
    let mut tags: [Option<&str>; 6] = [None; 6];
    for slot in &mut tags {
        match rest
            .strip_prefix('[')
            .and_then(|inside| inside.split_once("] "))
        {
            Some((tag, after)) if tag.len() <= 100 && !tag.contains(['[', '\n']) => {
                *slot = Some(tag);
                rest = after;
            }
            _ => break,
        }
    }
    if !tags.iter().flatten().any(|tag| is_id(tag)) {
        return message;
    }
    for tag in tags.into_iter().flatten() {
        if out.request_id.is_none() && is_id(tag) {
            out.request_id = Some(tag.into());
        } else {
            super::fields::push_unique(out, "tag", tag);
        }
    }
    rest
}

/// `sidekiq`: `2024-05-01T10:00:00.123Z pid=1 tid=x class=Pay jid=y INFO: text`, and before version 6
/// `2024-05-01T10:00:00.123Z 1 TID-x Pay JID-y INFO: text`.
///
/// Source: `Sidekiq::Logger::Formatters` in <https://github.com/sidekiq/sidekiq>.
#[derive(Clone, Copy, Debug)]
pub struct Sidekiq;

impl Format for Sidekiq {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "sidekiq",
            source: "app/sidekiq",
            layer: Layer::Application,
            begins: Begins::DIGITS,
            lines: Lines::Stamped,
            traces: true,
            named_ids: true,
        };
        &SPEC
    }

    fn opens(&self, line: &str) -> Opens {
        let is_iso = line.as_bytes().get(10) == Some(&b'T');
        let opens = is_iso
            && behind_iso(line)
                .and_then(|rest| rest.strip_prefix(' '))
                .is_some_and(|rest| {
                    let pid = rest.split(' ').next().unwrap_or("");
                    rest.starts_with("pid=")
                        || is_number(pid)
                            && rest
                                .get(pid.len()..)
                                .is_some_and(|rest| rest.starts_with(" TID-"))
                });
        if opens { Opens::Parsed } else { Opens::No }
    }

    fn parse<'a>(
        &self,
        text: &'a str,
        hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<(), FormatMismatch> {
        let read = match behind_iso(text).and_then(|rest| rest.strip_prefix(' ')) {
            Some(rest) if rest.starts_with("pid=") => context(text, rest, hint, out),
            _ => app_line::read(text, hint, out),
        };
        read.ok_or_else(|| self.mismatch("no level behind the process"))
    }
}

/// `pid=1 tid=x class=Pay jid=y elapsed=1.041 INFO: text`: any number of pairs up to the level, of
/// which `elapsed` is in seconds.
fn context<'a>(
    text: &'a str,
    behind: &'a str,
    hint: &TimeHint,
    out: &mut Parsed<'a>,
) -> Option<()> {
    out.set_time(time::iso(text, hint)?.instant);
    let mut rest = behind;
    let mut fields = Fields::new(out, hint);
    let mut elapsed = None;
    loop {
        let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
        if let Some(level) = word.strip_suffix(':') {
            level_of(level)?;
            fields.default_level(level);
            fields.default_message(after);
            fields.finish(after);
            out.duration_ms = elapsed.or(out.duration_ms);
            return Some(());
        }
        let (name, value) = word.split_once('=').filter(|_| !word.contains('\n'))?;
        match value.parse::<f64>() {
            Ok(seconds) if name == "elapsed" && seconds.is_finite() => {
                elapsed = Some(milliseconds(seconds, 1_000.0));
            }
            _ => fields.value(name.into(), Value::Text(value.into())),
        }
        rest = after;
    }
}

/// `rails-tagged`: tags and a message, without a stamp.
#[derive(Clone, Copy, Debug)]
pub struct RailsTagged;

impl Format for RailsTagged {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "rails-tagged",
            source: "app/rails",
            layer: Layer::Application,
            begins: Begins::these(b"["),
            lines: Lines::Trace,
            traces: true,
            named_ids: true,
        };
        &SPEC
    }

    fn opens(&self, line: &str) -> Opens {
        let end = line
            .as_bytes()
            .get(..40.min(line.len()))
            .and_then(|near| memchr::memchr(b']', near));
        let opens = end
            .and_then(|end| line.get(1..end))
            .is_some_and(|tag| tag.len() >= 32 && is_id(tag));
        if opens { Opens::Parsed } else { Opens::No }
    }

    fn parse<'a>(
        &self,
        text: &'a str,
        _: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<(), FormatMismatch> {
        let message = take_tags(text, out);
        if out.request_id.is_none() {
            return Err(self.mismatch("no id in brackets"));
        }
        out.level = failed(message).unwrap_or_else(|| level::guess(message));
        out.ungraded = true;
        out.duration_ms = completed(message);
        out.message = message.into();
        Ok(())
    }
}

/// `ActiveRecord::RecordNotFound (Couldn't find …):`, with which Rails begins the report of an exception.
fn failed(message: &str) -> Option<Level> {
    let (class, _) = message.split_once(" (")?;
    let is_class = class.starts_with(|first: char| first.is_ascii_uppercase())
        && class
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b':')
        && (class.contains("::") || class.ends_with("Error"));
    let first = message.lines().next().unwrap_or("");
    (is_class && first.trim_ascii_end().ends_with(':')).then_some(Level::Error)
}

#[cfg(test)]
mod tests {
    use super::super::app_line::ANY_HINT;
    use super::*;

    #[test]
    fn loggers_of_ruby() {
        let id = "6ad1e5c4-0817-4d5c-9f37-7ed2755a72e1";
        let mut out = Parsed::default();
        let text = "E, [2024-05-01T10:00:00.123456 #4711] ERROR -- depot: it broke";
        assert_eq!(Ruby.opens(text), Opens::Parsed);
        assert!(Ruby.parse(text, &ANY_HINT, &mut out).is_ok());
        assert_eq!(
            (
                out.level.name(),
                out.logger.as_deref(),
                out.message.as_ref()
            ),
            ("ERROR", Some("depot"), "it broke")
        );
        assert_eq!(out.metadata, [("pid".into(), "4711".into())]);
        let mut out = Parsed::default();
        let text = format!(
            "I, [2024-05-01T10:00:00.123456 #4711]  INFO -- : [{id}] Completed 200 OK in 12ms (x)"
        );
        assert!(Ruby.parse(&text, &ANY_HINT, &mut out).is_ok());
        assert_eq!(
            (out.request_id.as_deref(), out.duration_ms),
            (Some(id), Some(12.0))
        );
        assert_eq!(
            (out.logger.as_deref(), out.message.as_ref()),
            (None, "Completed 200 OK in 12ms (x)")
        );
        for text in [
            "E, it broke",
            "E, [2024-05-01T10:00:00.123456 #4711] INFO -- x: y",
            "I, [now #1] INFO -- : x",
        ] {
            assert!(
                Ruby.parse(text, &ANY_HINT, &mut Parsed::default()).is_err(),
                "{text}"
            );
        }
    }

    #[test]
    fn tags_of_rails() {
        let id = "6ad1e5c4-0817-4d5c-9f37-7ed2755a72e1";
        for (text, level, message) in [
            (
                format!("[{id}] [10.0.0.1] Processing by CartController#show"),
                "INFO",
                "Processing by CartController#show",
            ),
            (
                format!("[{id}] ActiveRecord::RecordNotFound (no order):"),
                "ERROR",
                "ActiveRecord::RecordNotFound (no order):",
            ),
        ] {
            let mut out = Parsed::default();
            assert_eq!(RailsTagged.opens(&text), Opens::Parsed, "{text}");
            assert!(
                RailsTagged.parse(&text, &ANY_HINT, &mut out).is_ok(),
                "{text}"
            );
            assert_eq!(
                (
                    out.request_id.as_deref(),
                    out.level.name(),
                    out.message.as_ref()
                ),
                (Some(id), level, message)
            );
        }
        for text in ["[depot] text", "[2824573f069cb79b] text", "[a"] {
            assert_eq!(RailsTagged.opens(text), Opens::No, "{text}");
        }
    }
}
