//! Google's glog (`I20210131 14:48:54.411655 15520 main.cc:9] text`) and Kubernetes' klog (the
//! same without a year: `I0131 14:48:54.411655 …`), whose structured form is a quoted message and pairs:
//! `I0131 14:48:54.411655       1 pods.go:84] "Pod updated" pod="shop/api" status="ready"`.
//!
//! Sources: <https://github.com/google/glog#log-line-prefix>,
//! <https://github.com/kubernetes/klog/blob/main/internal/serialize/keyvalues.go>.

use atalaya_domain::record::Layer;

use super::app_line::tail;
use super::fields::Fields;
use super::json::scan::unescape;
use super::split;
use super::{
    Begins, Format, FormatMismatch, FormatSpec, Lines, Opens, Parsed, TimeHint, level, time,
};

#[derive(Clone, Copy, Debug)]
pub struct Glog;

impl Format for Glog {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "glog",
            source: "glog",
            layer: Layer::Application,
            begins: Begins::these(b"IWEF"),
            lines: Lines::Stamped,
            traces: true,
            named_ids: true,
        };
        &SPEC
    }

    fn opens(&self, line: &str) -> Opens {
        if line.as_bytes().get(1).is_some_and(u8::is_ascii_digit) {
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
        parse(text, hint, out).map_err(|reason| self.mismatch(reason))
    }
}

fn parse<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Result<(), &'static str> {
    let letter = *text.as_bytes().first().ok_or("empty")?;
    if !matches!(letter, b'I' | b'W' | b'E' | b'F') {
        return Err("no level letter at the start");
    }
    let cut = time::packed(&text[1..], hint).ok_or("no time after the level letter")?;
    let (head, message) =
        split_head(cut.rest.trim_start_matches(' ')).ok_or("no ] before the text")?;
    let (thread, place) = split::once(head, b' ').ok_or("no thread and place")?;
    thread
        .parse::<u64>()
        .map_err(|_| "the thread is not a number")?;
    let (file, line) = split::last(place, b':').ok_or("no line number")?;
    if !structured(message, hint, out) {
        out.message = message.into();
    }
    out.set_time(cut.instant);
    out.level = level::from_letter(letter).unwrap_or_default();
    out.put("thread", thread);
    out.put("file", file);
    out.put("line", line);
    Ok(())
}

/// What stands before the first bracket with a blank behind it, and what follows them.
fn split_head(text: &str) -> Option<(&str, &str)> {
    let bytes = text.as_bytes();
    let at = memchr::memchr_iter(b']', bytes).find(|at| bytes.get(at + 1) == Some(&b' '))?;
    Some((text.get(..at)?, text.get(at + 2..)?))
}

/// `"message" key="value"`: false when it is something else.
fn structured<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> bool {
    if !text.starts_with('"') {
        return false;
    }
    let (line, more) = split::line(text);
    let Some(inside) = line.strip_prefix('"') else {
        return false;
    };
    let mut end = 0;
    let bytes = inside.as_bytes();
    while let Some(found) = bytes
        .get(end..)
        .and_then(|rest| memchr::memchr2(b'"', b'\\', rest))
    {
        end += found;
        if bytes.get(end) == Some(&b'"') {
            break;
        }
        end += 2;
    }
    let (Some(message), Some(rest)) = (inside.get(..end), inside.get(end + 1..)) else {
        return false;
    };
    let pairs = rest.trim_ascii_start();
    if !(pairs.is_empty() || tail::start(pairs) == Some(0)) {
        return false;
    }
    let mut fields = Fields::new(out, hint);
    tail::read(pairs, &mut fields);
    fields.default_message(message);
    fields.finish(message);
    out.message = if message.contains('\\') {
        unescape(message).into()
    } else {
        message.into()
    };
    if !more.is_empty() {
        out.traceback = Some(match out.traceback.take() {
            Some(first) => format!("{first}\n{more}").into(),
            None => more.into(),
        });
    }
    true
}

#[cfg(test)]
mod tests {
    use super::super::app_line::ANY_HINT;
    use super::*;

    #[test]
    fn plain_and_structured() {
        for (text, level, message, name, value) in [
            (
                "I20240131 14:48:54.411655 15520 main.cc:9] up: yes",
                "INFO",
                "up: yes",
                "file",
                "main.cc",
            ),
            (
                "W0131 14:48:54.411655       1 pods.go:84] \"Pod \\\"a\\\" slow\" pod=\"shop/api\" n=3",
                "WARNING",
                "Pod \"a\" slow",
                "pod",
                "shop/api",
            ),
            (
                "E0131 14:48:54.411655       1 pods.go:84] \"quoted\" and more",
                "ERROR",
                "\"quoted\" and more",
                "line",
                "84",
            ),
            (
                "F0131 14:48:54.411655 140123 main.py:12] died",
                "CRITICAL",
                "died",
                "thread",
                "140123",
            ),
        ] {
            let mut out = Parsed::default();
            assert_eq!(Glog.opens(text), Opens::Parsed, "{text}");
            assert!(Glog.parse(text, &ANY_HINT, &mut out).is_ok(), "{text}");
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
        for text in ["I am here", "E0131 lunch", "I0131 14:48:54.411655 text"] {
            assert!(
                Glog.parse(text, &ANY_HINT, &mut Parsed::default()).is_err(),
                "{text}"
            );
        }
    }
}
