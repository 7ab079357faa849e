//! Stack traces of Python, Java, Go and Rust in plain lines: which lines belong to one, and where
//! it begins in the text of a record.

/// A line that continues the one before it whatever the format: indented, or the words with which
/// the run-times begin the parts of a trace.
pub fn continues(line: &str) -> bool {
    let Some(&first) = line.as_bytes().first() else { return false };
    match first {
        b' ' | b'\t' => true,
        b'T' => line.starts_with(PYTHON_HEAD) || line.starts_with("The above exception was the direct cause"),
        b'D' => line.starts_with("During handling of the above exception"),
        b'C' => line.starts_with("Caused by: "),
        b'S' => line.starts_with("Suppressed: "),
        b'.' => line.starts_with("... ") && line.ends_with(" more"),
        b'g' => goroutine(line),
        b's' => line == "stack backtrace:",
        b'n' => {
            line.starts_with("note: run with `RUST_BACKTRACE")
                || line.starts_with("note: Some details are omitted")
        }
        b'[' => line.starts_with("[signal SIG"),
        _ => false,
    }
}

/// [`continues`], with a look at the record so far: the last line of a Python traceback, the
/// function lines of a Go one and the message line of a Rust panic stand at the left margin.
pub fn continues_after(pending: &str, line: &str) -> bool {
    if continues(line) {
        return true;
    }
    let last = pending.rsplit('\n').find(|line| !line.is_empty()).unwrap_or("");
    let indented = last.starts_with([' ', '\t']);
    if indented && exception_head(line) && has_line(pending, PYTHON_HEAD) {
        return true;
    }
    if last.starts_with("thread '") && last.contains("' panicked at ") && last.ends_with(':') {
        return true;
    }
    (goroutine(last) || indented) && go_call(line) && pending.contains("goroutine ")
}

/// Where the stack trace begins in the text of a record: the byte after the `\n` that ends the
/// message. `None` when there is no trace, or the text is nothing else.
pub fn begin(text: &str) -> Option<usize> {
    let mut start = memchr::memchr(b'\n', text.as_bytes())? + 1;
    let mut previous = None;
    loop {
        let end = memchr::memchr(b'\n', &text.as_bytes()[start..]).map(|found| start + found);
        let line = &text[start..end.unwrap_or(text.len())];
        if part_head(line) {
            return Some(start);
        }
        if frame(line) {
            // The exception's own line stands above the first frame.
            return Some(
                previous.filter(|&(at, end)| exception_head(&text[at..end])).map_or(start, |(at, _)| at),
            );
        }
        previous = Some((start, end.unwrap_or(text.len())));
        start = end? + 1;
    }
}

/// Whether a line begins a stack trace, or a part of one.
pub fn is_head(line: &str) -> bool {
    part_head(line)
}

/// Whether a line is a frame: indented, and `at …` or `File "…", line`.
pub fn is_frame(line: &str) -> bool {
    frame(line)
}

const PYTHON_HEAD: &str = "Traceback (most recent call last):";

fn has_line(text: &str, head: &str) -> bool {
    memchr::memmem::find(text.as_bytes(), head.as_bytes()).is_some()
}

/// Lines that begin a trace by themselves.
fn part_head(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with(PYTHON_HEAD)
        || line.starts_with("Caused by: ")
        || line == "stack backtrace:"
        || line.starts_with("panic: ")
        || goroutine(line)
}

/// A frame of Java or Node (`at x.y(…)`), or of Python without its head (`File "…", line 7`).
fn frame(line: &str) -> bool {
    let bare = line.trim_start();
    if bare.len() == line.len() {
        return false;
    }
    (bare.starts_with("at ") && bare.contains(['(', ':']))
        || (bare.starts_with("File \"") && bare.contains(", line "))
}

fn goroutine(line: &str) -> bool {
    line.strip_prefix("goroutine ")
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()) && rest.contains('['))
}

/// `package.Function(…)`, or `created by package.Function`.
fn go_call(line: &str) -> bool {
    (line.ends_with(')') && line.contains('.') && line.contains('(') && !line.contains(' '))
        || line.starts_with("created by ")
        || line.starts_with("exit status ")
}

/// `ValueError`, `pkg.mod.Error: text`, `java.lang.Exception: text`: a dotted name, then nothing
/// or a colon.
fn exception_head(line: &str) -> bool {
    let name = line
        .find(|c: char| !(c.is_alphanumeric() || matches!(c, '.' | '_' | '$')))
        .map_or(line, |end| &line[..end]);
    let after = &line[name.len()..];
    let last = name.rsplit('.').next().unwrap_or(name);
    last.starts_with(|c: char| c.is_uppercase()) && (after.is_empty() || after.starts_with(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Joins lines as a decoder does, and gives the records.
    fn records(text: &str) -> Vec<String> {
        let mut out: Vec<String> = Vec::new();
        for line in text.lines() {
            match out.last_mut() {
                Some(last) if continues_after(last, line) => {
                    last.push('\n');
                    last.push_str(line);
                }
                _ => out.push(line.to_owned()),
            }
        }
        out
    }

    #[test]
    fn traces_of_four_languages_are_one_record_each() {
        let texts = [
            "ERROR failed\nTraceback (most recent call last):\n  File \"a.py\", line 1, in <module>\n    f()\nValueError: bad\nnext line",
            "ERROR failed\njava.lang.IllegalStateException: x\n\tat a.B.c(B.java:1)\n\t... 12 more\nCaused by: java.io.IOException: y\n\tat d.E.f(E.java:2)\nnext line",
            "panic: boom\ngoroutine 1 [running]:\nmain.main()\n\t/x/main.go:8 +0x1d\nnext line",
            "thread 'main' panicked at src/main.rs:2:5:\nindex out of bounds\nstack backtrace:\n   0: main\n             at ./main.rs:2:5\nnext line",
        ];
        let counts: Vec<usize> = texts.iter().map(|text| records(text).len()).collect();
        // Java's exception line stands at the margin without a sign: only a format with a header
        // joins it.
        assert_eq!(counts, [2, 3, 2, 2]);
    }

    #[test]
    fn a_trace_begins_at_the_exception_line_or_its_head() {
        let begin_of = |text: &str| begin(text).map(|at| text[at..].lines().next().unwrap_or("").to_owned());
        assert_eq!(begin_of("m\njava.lang.Boom: x\n\tat a.B.c(B.java:1)"), Some("java.lang.Boom: x".into()));
        assert_eq!(begin_of("m\nmore text\n\tat a.B.c(B.java:1)"), Some("\tat a.B.c(B.java:1)".into()));
        assert_eq!(begin_of("m\nTraceback (most recent call last):\n  File"), Some(PYTHON_HEAD.into()));
        assert_eq!(begin_of("m\n\tticketStore=<x\n\t>"), None);
        assert_eq!(begin_of("one line"), None);
    }
}
