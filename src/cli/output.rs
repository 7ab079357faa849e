//! How subcommands write: to locked streams, quietly when the reader has gone.

use std::borrow::Cow;
use std::io::{self, Write};

use atalaya_store::error::causes;

use crate::service::advice::advice;
use crate::shown::{self, Shown};

/// Whether the error is only that the reader of our output went away (`atalaya logs … | head`).
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

/// What a text is made of, and therefore what may be in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people: what could act on their terminal becomes visible.
    Text,
    /// For programs: the same values exactly, what could act on a terminal in `\u` escapes.
    Json,
    /// Made of our own words and of parts that are safe already: colours, a manual page.
    Own,
}

impl Form {
    /// Of a command that prints text, or JSON when that is asked for.
    pub const fn of(json: bool) -> Self {
        if json { Self::Json } else { Self::Text }
    }

    fn write(self, text: &str) -> Cow<'_, str> {
        match self {
            Self::Text => Cow::Owned(safe_lines(text)),
            Self::Json => shown::json(text),
            Self::Own => Cow::Borrowed(text),
        }
    }
}

/// Each line made safe; the line breaks stay.
fn safe_lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        match line.strip_suffix('\n') {
            Some(line) => {
                out.push_str(Shown::line(line).as_str());
                out.push('\n');
            }
            None => out.push_str(Shown::line(line).as_str()),
        }
    }
    out
}

/// `atalaya: what failed: because: because`.
pub fn print_error(error: &anyhow::Error) {
    let mut text = causes(error.as_ref());
    if let Some(advice) = advice(error.as_ref()) {
        text.push_str("; ");
        text.push_str(advice);
    }
    note(&text);
}

/// Writes text to standard output.
pub fn print(form: Form, text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(form.write(text).as_bytes())?;
    stdout.flush()
}

/// Says something beside the output: on standard error, where it does not disturb a script.
pub fn note(text: &str) {
    aside(&format!("atalaya: {text}"));
}

/// The same without our name before it.
pub fn aside(text: &str) {
    // Nowhere is left to say that standard error is closed.
    let _ = writeln!(
        io::stderr().lock(),
        "{}",
        safe_lines(text.trim_end_matches('\n'))
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R30: what comes from outside cannot act.
    #[test]
    fn lines_stay_and_what_acts_in_them_becomes_visible() {
        assert_eq!(
            Form::Text.write("a\x1b[2J\nb\u{202e}\n\nc"),
            "a␛[2J\nb⟨202E⟩\n\nc"
        );
        assert_eq!(Form::Text.write("one\n"), "one\n");
        assert_eq!(Form::Own.write("\x1b[31m"), "\x1b[31m");
    }

    /// R31: shown, not dropped.
    #[test]
    fn json_says_the_same_without_what_acts() {
        let value = "\u{9b}2J \u{202e} \u{e0041} \u{7f} größe 日本 👍";
        let text = serde_json::json!({ "key": value }).to_string();
        let written = Form::Json.write(&text);
        assert!(
            written.contains("\\u009b2J \\u202e \\udb40\\udc41 \\u007f größe 日本 👍"),
            "{written}"
        );
        let back: serde_json::Value = serde_json::from_str(&written).unwrap_or_default();
        assert_eq!(back["key"], value);
    }
}
