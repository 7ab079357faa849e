//! structlog's console renderer: `2026-01-01 00:00:00 [info     ] event   key=value`, with or
//! without a logger (`[app.views]`) behind the event, and with a JSON tail as some set-ups have it.

use super::fields::{Fields, worded};
use super::humanlog;
use super::json::scan::Scan;
use super::split;
use super::{
    Begins, Format, FormatMismatch, FormatSpec, Lines, Opens, Parsed, Signs, TimeHint, time,
};
use atalaya_domain::record::Layer;

/// `structlog`.
#[derive(Clone, Copy, Debug)]
pub struct Structlog;

impl Format for Structlog {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "structlog",
            source: "app/structlog",
            layer: Layer::Application,
            begins: Begins::DIGITS.or(Begins::these(b"[")),
            lines: Lines::Stamped,
            traces: true,
            named_ids: true,
        };
        &SPEC
    }

    fn needs(&self) -> Signs {
        Signs::these(b"[")
    }

    fn opens(&self, line: &str) -> Opens {
        const NEAR: usize = 40;
        let bytes = line.as_bytes();
        let near = bytes.get(..NEAR.min(bytes.len())).unwrap_or(bytes);
        let open = if bytes.first() == Some(&b'[') {
            Some(0)
        } else {
            memchr::memchr(b'[', near).filter(|at| *at > 0 && near.get(at - 1) == Some(&b' '))
        };
        // The renderer fills the word up to eight or nine characters.
        let padded = |word: &[u8]| {
            word.first().is_some_and(u8::is_ascii_lowercase)
                && word
                    .iter()
                    .all(|byte| byte.is_ascii_lowercase() || *byte == b' ')
        };
        match open.and_then(|open| bytes.get(open + 1..open + 9)) {
            Some(word) if padded(word) => Opens::Parsed,
            _ => Opens::No,
        }
    }

    fn parse<'a>(
        &self,
        text: &'a str,
        hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<(), FormatMismatch> {
        let (line, more) = split::line(text);
        let rest = match time::any(line, hint) {
            Some(cut) => {
                out.set_time(cut.instant);
                cut.rest.trim_ascii_start()
            }
            None => line,
        };
        let (word, rest) = rest
            .strip_prefix('[')
            .and_then(|rest| rest.split_once(']'))
            .ok_or_else(|| self.mismatch("no [level]"))?;
        if word.len() < 8 || worded(word).is_none() {
            return Err(self.mismatch("no [level    ]"));
        }
        let word = word.trim_ascii_end();
        let rest = rest.trim_ascii();
        let mut fields = Fields::new(out, hint);
        fields.default_level(word);
        let message = match memchr::memmem::find(rest.as_bytes(), b"{\"") {
            Some(at) if rest.ends_with('}') => {
                let mut scan = Scan::new(rest.get(at..).unwrap_or(""));
                let read = scan.object("", 8, &mut |name, value| fields.value(name, value));
                read.map_err(|reason| self.mismatch(reason))?;
                rest.get(..at).unwrap_or("").trim_ascii_end()
            }
            _ => humanlog::tail(rest, &mut fields),
        };
        let (message, logger) = match message
            .strip_suffix(']')
            .and_then(|head| head.rsplit_once('['))
        {
            Some((head, logger)) if !logger.contains(' ') && head.ends_with(' ') => {
                (head.trim_ascii_end(), Some(logger))
            }
            _ => (message, None),
        };
        if !message.is_empty() {
            fields.default_message(message);
        }
        fields.finish(rest);
        if out.logger.is_none() {
            out.logger = logger.map(Into::into);
        }
        if !more.is_empty() {
            out.traceback = Some(more.into());
        }
        Ok(())
    }
}
