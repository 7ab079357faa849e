//! How subcommands write: to locked streams, quietly when the reader has gone.

use std::io::{self, Write};

use crate::service::advice::advice;

/// Whether the error is only that the reader of our output went away (`atalaya logs … | head`).
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

/// `atalaya: what failed: because: because`.
pub fn print_error(error: &anyhow::Error) {
    let mut stderr = io::stderr().lock();
    let mut text = format!("{error:#}");
    if let Some(advice) = advice(error.as_ref()) {
        text.push_str("; ");
        text.push_str(advice);
    }
    for (index, line) in text.lines().enumerate() {
        let prefix = if index == 0 { "atalaya: " } else { "" };
        // Nowhere is left to say that standard error is closed.
        let _ = writeln!(stderr, "{prefix}{line}");
    }
}

/// Writes text to standard output.
pub fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Says something beside the output: on standard error, where it does not disturb a script.
pub fn note(text: &str) {
    // Nowhere is left to say that standard error is closed.
    let _ = writeln!(io::stderr().lock(), "atalaya: {text}");
}
