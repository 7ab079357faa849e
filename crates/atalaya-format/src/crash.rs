//! What run-times print when a program ends by an error, with no logger in between: panics of Go and
//! Rust, tracebacks of Python, uncaught exceptions of Java, .NET, Node, Ruby and Elixir.
//!
//! The message is what happened; the trace below it is the traceback. A trace behind the line of a
//! logger belongs to that line (see [`super::trace`]), so only those that stand for themselves come
//! here.

use super::{
    Begins, Format, FormatMismatch, FormatSpec, Joins, Lines, Opens, Parsed, TimeHint, trace,
};
use atalaya_domain::record::{Layer, Level};

/// `crash`.
#[derive(Clone, Copy, Debug)]
pub struct Crash;

impl Format for Crash {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "crash",
            source: "app/crash",
            layer: Layer::Application,
            begins: Begins::LETTERS.or(Begins::these(b"*/.=(")),
            lines: Lines::Trace,
            traces: true,
            named_ids: true,
        };
        &SPEC
    }

    fn opens(&self, line: &str) -> Opens {
        if Kind::of(line).is_some() {
            Opens::Parsed
        } else {
            Opens::No
        }
    }

    fn joins(&self, pending: &str, line: &str) -> Joins {
        // Node shows the line of the source, a caret below it, and then says what it is about.
        let last = pending
            .trim_end_matches('\n')
            .rsplit('\n')
            .next()
            .unwrap_or("");
        let caret = last.starts_with(' ')
            && last.trim_ascii().bytes().all(|byte| byte == b'^')
            && !last.trim_ascii().is_empty();
        if caret
            && trace::exception_head(line)
            && Kind::of(pending.lines().next().unwrap_or("")) == Some(Kind::Node)
        {
            return Joins::Yes;
        }
        Joins::Unsaid
    }

    fn parse<'a>(
        &self,
        text: &'a str,
        _: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<(), FormatMismatch> {
        let line = text.lines().next().unwrap_or("");
        let kind = Kind::of(line).ok_or_else(|| self.mismatch("no first line of a crash"))?;
        out.level = kind.level();
        let (message, traceback) = kind.split(text);
        out.message = message.trim_ascii_end().into();
        if !traceback.trim_ascii().is_empty() {
            out.traceback = Some(traceback.into());
        }
        Ok(())
    }
}

/// Whose crash it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Go,
    Rust,
    Python,
    Java,
    Dotnet,
    Node,
    Ruby,
    Elixir,
    Native,
}

impl Kind {
    fn of(line: &str) -> Option<Self> {
        let starts = |begin: &str| line.starts_with(begin);
        let kind = match line.as_bytes().first()? {
            b'p' if starts("panic: ") => Self::Go,
            b'f' if starts("fatal error: ") || starts("file:///") && is_node_place(line) => {
                if starts("fatal") {
                    Self::Go
                } else {
                    Self::Node
                }
            }
            b't' if trace::rust_panic(line) => Self::Rust,
            b't' if starts("terminate called ") => Self::Native,
            b'T' if line == "Traceback (most recent call last):" => Self::Python,
            b'E' if starts("Exception in thread \"") => Self::Java,
            b'U' if starts("Unhandled exception. ") || starts("Unhandled Exception: ") => {
                Self::Dotnet
            }
            b'*' if starts("** (") => Self::Elixir,
            b'=' if starts("==") && line.contains("==ERROR: ") && line.contains("Sanitizer: ") => {
                Self::Native
            }
            b'/' | b'n' if is_node_place(line) => Self::Node,
            b'/' | b'.' | b'a'..=b'z' | b'A'..=b'Z' if is_ruby_head(line) => Self::Ruby,
            _ => return None,
        };
        Some(kind)
    }

    /// A panic ends the process; an exception may end one thread only.
    const fn level(self) -> Level {
        match self {
            Self::Go | Self::Dotnet | Self::Native => Level::Critical,
            _ => Level::Error,
        }
    }

    /// The message and the trace.
    fn split(self, text: &str) -> (&str, &str) {
        let first_end = memchr::memchr(b'\n', text.as_bytes()).unwrap_or(text.len());
        let after_first = text.get(first_end + 1..).unwrap_or("");
        match self {
            // What is above the first goroutine is all said about it.
            Self::Go => {
                let at = text
                    .lines()
                    .take(20)
                    .take_while(|line| !line.starts_with("goroutine "))
                    .map(|line| line.len() + 1);
                let at: usize = at.sum();
                (
                    text.get(..at.min(text.len())).unwrap_or(text),
                    text.get(at..).unwrap_or(""),
                )
            }
            Self::Rust
                if text
                    .get(..first_end)
                    .is_some_and(|line| line.ends_with(':')) =>
            {
                let end = memchr::memchr(b'\n', after_first.as_bytes())
                    .map_or(text.len(), |end| first_end + 1 + end);
                (
                    text.get(..end).unwrap_or(text),
                    text.get(end + 1..).unwrap_or(""),
                )
            }
            // The last line at the margin says what it was.
            Self::Python => {
                let last = text
                    .lines()
                    .rfind(|line| !line.is_empty() && !line.starts_with([' ', '\t']));
                match last {
                    Some(last) if !after_first.is_empty() && !last.starts_with("Traceback ") => {
                        (last, text)
                    }
                    _ => (text, ""),
                }
            }
            Self::Node => match text
                .lines()
                .take(12)
                .find(|line| trace::exception_head(line))
            {
                Some(line) => (line, text),
                None => (text, ""),
            },
            _ => (text.get(..first_end).unwrap_or(text), after_first),
        }
    }
}

/// `/srv/pay.js:10`, `node:internal/process/promises:288`, `file:///srv/pay.mjs:3`.
fn is_node_place(line: &str) -> bool {
    if !line.ends_with(|last: char| last.is_ascii_digit()) {
        return false;
    }
    let Some((path, number)) = line.rsplit_once(':') else {
        return false;
    };
    let is_script = [".js", ".mjs", ".cjs", ".ts"]
        .iter()
        .any(|end| path.ends_with(end))
        || path.starts_with("node:");
    is_script
        && !path.contains(' ')
        && !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// `pay.rb:3:in 'charge': no route (RuntimeError)`.
fn is_ruby_head(line: &str) -> bool {
    const NEAR: usize = 200;
    if !line.ends_with(')') {
        return false;
    }
    let near = line.as_bytes().get(..NEAR.min(line.len())).unwrap_or(&[]);
    // The path has no blank: the first word is looked through only.
    let word = memchr::memchr(b' ', near).unwrap_or(near.len());
    let Some(at) = memchr::memmem::find(&near[..word], b".rb:") else {
        return false;
    };
    let Some((number, rest)) = line.get(at + 4..).and_then(|rest| rest.split_once(":in ")) else {
        return false;
    };
    number.bytes().all(|byte| byte.is_ascii_digit())
        && rest.starts_with(['\'', '`'])
        && rest.contains("': ")
}

#[cfg(test)]
mod tests {
    use super::super::app_line::ANY_HINT;
    use super::*;

    #[test]
    fn crashes_say_what_happened() {
        for (text, level, message) in [
            (
                "panic: boom\n\ngoroutine 1 [running]:\nmain.main()\n\t/m.go:8 +0x1d",
                "CRITICAL",
                "panic: boom",
            ),
            (
                "panic: boom\n[signal SIGSEGV: x]\n\ngoroutine 1 [running]:",
                "CRITICAL",
                "panic: boom\n[signal SIGSEGV: x]",
            ),
            (
                "fatal error: all goroutines are asleep - deadlock!",
                "CRITICAL",
                "fatal error: all goroutines are asleep - deadlock!",
            ),
            (
                "thread 'main' panicked at src/main.rs:2:5:\nout of bounds\nnote: run with `RUST_BACKTRACE=1`",
                "ERROR",
                "thread 'main' panicked at src/main.rs:2:5:\nout of bounds",
            ),
            (
                "Traceback (most recent call last):\n  File \"a.py\", line 1, in f\n    g()\nValueError: bad",
                "ERROR",
                "ValueError: bad",
            ),
            (
                "Exception in thread \"main\" java.lang.Boom: x\n\tat a.B.c(B.java:1)",
                "ERROR",
                "Exception in thread \"main\" java.lang.Boom: x",
            ),
            (
                "Unhandled exception. System.Boom: x\n   at A.B()",
                "CRITICAL",
                "Unhandled exception. System.Boom: x",
            ),
            (
                "/srv/pay.js:10\n    throw new Error('x');\n    ^\n\nTypeError: x\n    at f (/srv/pay.js:10:11)",
                "ERROR",
                "TypeError: x",
            ),
            (
                "pay.rb:3:in 'charge': no route (RuntimeError)\n\tfrom a.rb:1:in 'f'",
                "ERROR",
                "pay.rb:3:in 'charge': no route (RuntimeError)",
            ),
            (
                "** (RuntimeError) no route\n    lib/a.ex:1: A.f/1",
                "ERROR",
                "** (RuntimeError) no route",
            ),
        ] {
            let mut out = Parsed::default();
            assert_eq!(
                Crash.opens(text.lines().next().unwrap_or("")),
                Opens::Parsed,
                "{text}"
            );
            assert!(Crash.parse(text, &ANY_HINT, &mut out).is_ok(), "{text}");
            assert_eq!(
                (out.level.name(), out.message.as_ref()),
                (level, message),
                "{text}"
            );
        }
        assert_eq!(
            Crash.joins("/srv/a.js:1\nx()\n    ^\n", "Error: x"),
            Joins::Yes
        );
        for text in [
            "panicking",
            "/srv/a.js",
            "a.rb:3 is here",
            "node: 7",
            "Traceback of it",
            "see /srv/a.js:10",
        ] {
            assert_eq!(Crash.opens(text), Opens::No, "{text}");
        }
    }
}
