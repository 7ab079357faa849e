//! Stack traces in plain lines, as the run-times of Python, Java, .NET, Go, Rust, Node, PHP, Ruby and
//! Elixir print them: which lines belong to one, and where it begins in the text of a record.
//!
//! Nothing here looks at more than the end of a record: a trace may have thousands of lines.

/// How much of a record's end is looked at for each further line.
const END_BYTES: usize = 4 * 1024;
const END_LINES: usize = 24;
/// An exception's text may have lines of its own before the first frame.
const MOST_TEXT_LINES: usize = 20;

const PYTHON_HEAD: &str = "Traceback (most recent call last):";

/// A line that continues the one before it whatever the format: indented, or the words with which
/// the run-times begin the parts of a trace.
pub fn continues(line: &str) -> bool {
    let Some(&first) = line.as_bytes().first() else {
        return false;
    };
    match first {
        b' ' | b'\t' => true,
        b'T' => {
            line.starts_with(PYTHON_HEAD)
                || line.starts_with("The above exception was the direct cause")
        }
        b'D' => line.starts_with("During handling of the above exception"),
        b'C' => line.starts_with("Caused by: "),
        b'S' => line.starts_with("Suppressed: ") || line == "Stack trace:",
        b'W' => line.starts_with("Wrapped by: "),
        b'.' => omitted(line),
        b'g' => goroutine(line),
        b's' => line == "stack backtrace:",
        b'n' => {
            line.starts_with("note: run with `RUST_BACKTRACE")
                || line.starts_with("note: Some details are omitted")
        }
        b'[' => {
            line.starts_with("[signal SIG")
                || line == "[stacktrace]"
                || line.starts_with("[previous exception]")
        }
        b'a' => margin_frame(line),
        b'-' => line.starts_with("--- End of ") || line.starts_with("---> "),
        b'#' => numbered_frame(line),
        b'*' => line.starts_with("** ("),
        b'r' => line == "runtime stack:",
        _ => false,
    }
}

/// [`continues`], with a look at the end of the record so far: what stands at the left margin without a
/// sign of its own belongs to a trace by what is above it.
pub fn continues_after(pending: &str, line: &str) -> bool {
    if continues(line) {
        return true;
    }
    let Some(&first) = line.as_bytes().first() else {
        return false;
    };
    let stands_out = first.is_ascii_digit() || matches!(first, b'[' | b'{' | b'<');
    // Nothing but the text of a panic, whose head ends with a colon, goes on with such a line.
    if stands_out && !pending.trim_ascii_end().ends_with(':') {
        return false;
    }
    let last = last_line(pending);
    let from = last.as_bytes().first().copied().unwrap_or(0);
    if from == b't' && rust_panic(last) && last.ends_with(':') && !is_level(line) {
        return true;
    }
    // Nearly all lines of a log begin with a stamp or a bracket; the rest of a trace does not.
    if stands_out || is_level(line) {
        return false;
    }
    match from {
        b' ' | b'\t' => {
            // The last line of a Python traceback.
            if (raised(line) || exception_head(line)) && end_has(pending, is_python_frame) {
                return true;
            }
            if go_place(last) && below_go(line) {
                return true;
            }
            // Node closes the fields of an error at the margin.
            if matches!(line, "}" | "})" | "]") && end_has(pending, at_frame) {
                return true;
            }
            if last.contains(" from ") && line.contains(".rb:") {
                return true;
            }
        }
        b'g' if goroutine(last) => return below_go(line),
        b'r' if last == "runtime stack:" => return below_go(line),
        b'#' if first == b'N' => return line.starts_with("Next ") && numbered_frame(last),
        _ => {}
    }
    match first {
        b'N' => line.starts_with("Node.js v") && end_has(pending, at_frame),
        b'r' | b'e' if register(last) => register(line) || line.starts_with("exit status "),
        b'c' | b'f' | b'g' | b's' if register(last) => register(line),
        // Ruby, in Rails' log.
        _ => {
            line.ends_with('\'')
                && ruby_frame(line)
                && (ruby_frame(last) || exception_head(last) || last.ends_with("):"))
        }
    }
}

/// What stands below a goroutine's head or a place in its source.
fn below_go(line: &str) -> bool {
    go_call(line) || line.starts_with("exit status ") || register(line)
}

/// Where the stack trace begins in the text of a record: the byte after the `\n` that ends the
/// message. `None` when there is no trace, or the text is nothing else.
pub fn begin(text: &str) -> Option<usize> {
    let mut start = memchr::memchr(b'\n', text.as_bytes())? + 1;
    // The line above, and the last one that is an exception's for sure, with the lines since.
    let mut above: Option<(usize, &str)> = None;
    let mut head: Option<(usize, usize)> = None;
    loop {
        let end = memchr::memchr(b'\n', text.as_bytes().get(start..)?).map(|found| start + found);
        let line = text.get(start..end.unwrap_or(text.len()))?;
        if part_head(line) || frame(line) {
            if let Some((at, _)) = head {
                return Some(at);
            }
            let is_head = |line: &str| {
                exception_head(line)
                    || line.strip_prefix('\t').is_some_and(exception_head)
                    || (go_place_of(text, start) && (go_call(line) || go_function(line)))
            };
            return Some(
                above
                    .filter(|(_, line)| is_head(line))
                    .map_or(start, |(at, _)| at),
            );
        }
        head = match head {
            _ if surely_exception(line) && head.is_none() => Some((start, 0)),
            Some((at, lines)) if lines < MOST_TEXT_LINES => Some((at, lines + 1)),
            _ => None,
        };
        above = Some((start, line));
        start = end? + 1;
    }
}

/// Whether a line begins a stack trace, or a part of one.
pub fn is_head(line: &str) -> bool {
    part_head(line)
}

/// Whether a line is a frame, whatever stands around it.
pub fn is_frame(line: &str) -> bool {
    frame(line)
}

/// The last line of a record that is not blank.
fn last_line(pending: &str) -> &str {
    let bytes = pending.as_bytes();
    match memchr::memrchr(b'\n', bytes) {
        None => pending,
        Some(at)
            if bytes
                .get(at + 1..)
                .is_some_and(|line| !line.trim_ascii().is_empty()) =>
        {
            pending.get(at + 1..).unwrap_or("")
        }
        Some(_) => lines_back(pending)
            .find(|line| !line.trim_ascii().is_empty())
            .unwrap_or(""),
    }
}

fn end_has(pending: &str, test: fn(&str) -> bool) -> bool {
    lines_back(pending).any(test)
}

/// The last lines of a text, the last first.
fn lines_back(pending: &str) -> impl Iterator<Item = &str> {
    let mut from = pending.len().saturating_sub(END_BYTES);
    while !pending.is_char_boundary(from) {
        from += 1;
    }
    pending
        .get(from..)
        .unwrap_or("")
        .rsplit('\n')
        .take(END_LINES)
}

/// Lines that begin a trace by themselves.
fn part_head(line: &str) -> bool {
    let line = line.trim_start();
    let line = line.strip_prefix("+ ").unwrap_or(line);
    match line.as_bytes().first() {
        Some(b'T') => line.starts_with(PYTHON_HEAD),
        Some(b'E') => line.starts_with("Exception Group Traceback"),
        Some(b'C') => line.starts_with("Caused by: "),
        Some(b's') => line == "stack backtrace:",
        Some(b'S') => line == "Stack trace:",
        Some(b'p') => line.starts_with("panic: "),
        Some(b'g') => goroutine(line),
        Some(b't') => rust_panic(line),
        Some(b'[') => line == "[stacktrace]",
        Some(b'*') => line.starts_with("** ("),
        _ => false,
    }
}

/// A frame of any of the run-times.
fn frame(line: &str) -> bool {
    match line.as_bytes().first() {
        None => return false,
        Some(b'a') if margin_frame(line) => return true,
        Some(b'#') if numbered_frame(line) => return true,
        // Most lines begin with a letter, a digit or a bracket: only Ruby's frames do too.
        Some(first) if first.is_ascii_graphic() && !matches!(first, b'|' | b'+') => {}
        Some(_) => {
            if at_frame(line)
                || is_python_frame(line)
                || go_place(line)
                || numbered_frame(line)
                || elixir_frame(line)
            {
                return true;
            }
        }
    }
    ruby_frame(line)
}

/// A frame of Java, .NET or Node: indented, `at x.y(…)`, `at X.Y() in …:line 7`, `at file:///x.js:1:2`.
fn at_frame(line: &str) -> bool {
    let bare = line.trim_start();
    bare.len() < line.len()
        && bare
            .strip_prefix("at ")
            .is_some_and(|place| place.contains(['(', ':']) || place == "<anonymous>")
}

/// A frame of Java that a collector has taken the indent from.
fn margin_frame(line: &str) -> bool {
    line.strip_prefix("at ").is_some_and(|place| {
        place.ends_with(')')
            && [
                ".java:",
                ".kt:",
                ".scala:",
                "(Native Method)",
                "(Unknown Source)",
            ]
            .iter()
            .any(|mark| place.contains(mark))
    })
}

/// `  File "a.py", line 7, in f`, also in the frames of an exception group.
fn is_python_frame(line: &str) -> bool {
    let bare = line.trim_start_matches([' ', '\t', '|', '+']);
    bare.len() < line.len() && bare.starts_with("File \"") && bare.contains(", line ")
}

/// `#0 /srv/a.php(12): f()`, `#1 {main}`, `#2 main (a.dart:1:2)`.
fn numbered_frame(line: &str) -> bool {
    let Some(rest) = line.trim_start().strip_prefix('#') else {
        return false;
    };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let Some(place) = rest.get(digits..).and_then(|rest| rest.strip_prefix(' ')) else {
        return false;
    };
    (1..=4).contains(&digits)
        && (place.contains('(') || place.starts_with("{main}") || place.contains(" in "))
}

/// `a.rb:12:in 'f'` and `\tfrom a.rb:12:in 'f'`.
fn ruby_frame(line: &str) -> bool {
    if !line.ends_with('\'') {
        return false;
    }
    let bare = line.trim_start();
    let Some(at) = memchr::memmem::find(bare.as_bytes(), b":in ") else {
        return false;
    };
    let (place, method) = bare.split_at(at);
    let numbered = place.rsplit_once(':').is_some_and(|(_, line)| {
        !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_digit())
    });
    // Behind the method the first line of a report has the message.
    let ends = method
        .get(4..)
        .is_some_and(|name| name.starts_with(['\'', '`']) && name.ends_with('\''));
    let place = place.rsplit_once(' ').map_or(place, |(_, path)| path);
    numbered && ends && !place.is_empty()
}

/// `    (depot 1.0.0) lib/pay.ex:12: Depot.Pay.charge/2`.
fn elixir_frame(line: &str) -> bool {
    line.starts_with("    ")
        && [".ex:", ".exs:", ".erl:"].iter().any(|mark| {
            memchr::memmem::find(line.as_bytes(), mark.as_bytes())
                .and_then(|at| line.as_bytes().get(at + mark.len()))
                .is_some_and(u8::is_ascii_digit)
        })
}

/// `... 12 more`, `... 40 common frames omitted`.
fn omitted(line: &str) -> bool {
    line.strip_prefix("... ").is_some_and(|rest| {
        rest.starts_with(|first: char| first.is_ascii_digit())
            && (rest.ends_with(" more") || rest.ends_with(" omitted"))
    }) || (line.starts_with("...") && line.ends_with(" frames elided..."))
}

fn goroutine(line: &str) -> bool {
    line.strip_prefix("goroutine ")
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()) && rest.contains('['))
}

/// `\t/src/app/main.go:21 +0x1d`.
fn go_place(line: &str) -> bool {
    line.starts_with('\t')
        && memchr::memmem::find(line.as_bytes(), b".go:")
            .and_then(|at| line.as_bytes().get(at + 4))
            .is_some_and(u8::is_ascii_digit)
}

fn go_place_of(text: &str, start: usize) -> bool {
    text.get(start..)
        .and_then(|rest| rest.lines().next())
        .is_some_and(go_place)
}

/// `package.Function(…)`, `main.(*pool).wait({0x1, 0x2})`, `panic({…})`, `created by main.run in …`.
fn go_call(line: &str) -> bool {
    if line.starts_with("created by ") {
        return true;
    }
    let Some((name, _)) = line.split_once('(') else {
        return line.starts_with("...");
    };
    line.ends_with(')') && (name.contains('.') || name == "panic") && !name.contains(' ')
}

/// A function without its arguments, as zap prints stacks.
fn go_function(line: &str) -> bool {
    line.contains('.') && !line.contains([' ', '\t']) && !line.ends_with('.')
}

/// `rax    0xca`: what Go prints of the processor after a signal.
fn register(line: &str) -> bool {
    // Most lines have a longer word first.
    let begin = line.trim_ascii_start().as_bytes();
    let begin = begin.get(..7).unwrap_or(begin);
    if !begin.iter().any(u8::is_ascii_whitespace) {
        return false;
    }
    let mut parts = line.split_ascii_whitespace();
    matches!(
        (parts.next(), parts.next(), parts.next()),
        (Some(name), Some(value), None) if name.len() <= 6 && value.starts_with("0x")
    )
}

/// `thread 'main' panicked at src/main.rs:2:5:`.
pub fn rust_panic(line: &str) -> bool {
    line.starts_with("thread '") && line.contains(" panicked at ")
}

/// The name at the start of a line, and what follows it.
fn dotted_name(line: &str) -> (&str, &str) {
    let bytes = line.as_bytes();
    let sign = |byte: &u8| !(byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'$'));
    let mut end = bytes.iter().position(sign).unwrap_or(line.len());
    if bytes.get(end).is_some_and(|byte| !byte.is_ascii()) {
        end = line
            .find(|c: char| !(c.is_alphanumeric() || matches!(c, '.' | '_' | '$')))
            .unwrap_or(line.len());
    }
    line.split_at(end)
}

/// `ValueError`, `pkg.mod.Error: text`, `java.lang.Exception: text`, `Error [ERR_X]: text`: a dotted
/// name of a class, then nothing or a sign.
pub fn exception_head(line: &str) -> bool {
    let line = line.strip_prefix("Uncaught ").unwrap_or(line);
    let (name, after) = dotted_name(line);
    let ends = after.is_empty()
        || after.starts_with(':')
        || (after.starts_with(" [") && after.contains("]: "));
    ends && {
        let last = name.rsplit('.').next().unwrap_or(name);
        last.starts_with(|c: char| c.is_uppercase()) && last.contains(|c: char| c.is_lowercase())
    }
}

fn named_like_one(class: &str) -> bool {
    ["Error", "Exception", "Throwable", "Failure", "Panic"]
        .iter()
        .any(|end| class.ends_with(end))
}

/// An exception by its name, and not by its place.
pub fn surely_exception(line: &str) -> bool {
    exception_head(line) && {
        let (name, after) = dotted_name(line.strip_prefix("Uncaught ").unwrap_or(line));
        named_like_one(name.rsplit('.').next().unwrap_or(name)) && !after.is_empty()
    }
}

/// What a Python traceback ends with may be named in any way: `socket.gaierror: …`.
fn raised(line: &str) -> bool {
    let (name, after) = dotted_name(line);
    name.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && (after.is_empty() || after.starts_with(": "))
}

/// A level word at the start: a line of a logger.
fn is_level(line: &str) -> bool {
    let end = line
        .bytes()
        .take(12)
        .take_while(u8::is_ascii_uppercase)
        .count();
    matches!(
        line.get(..end),
        Some("DEBUG" | "INFO" | "WARN" | "WARNING" | "ERROR" | "CRITICAL" | "FATAL" | "TRACE")
    ) && !line
        .as_bytes()
        .get(end)
        .is_some_and(u8::is_ascii_alphanumeric)
}

#[cfg(test)]
mod tests;
