//! `atalaya ingest --explain`: why the lines of a file are read as they are. Nothing is stored.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use crate::service;
use crate::shown::Shown;
use atalaya_format::explain::Explanation;
use atalaya_ingest::IngestInput;

use super::super::{UsageError, output};

/// As much of a line that fits nothing as a screen has room for.
const SHOWN_WIDTH: usize = 160;

pub async fn run(inputs: Vec<IngestInput>, json: bool) -> anyhow::Result<ExitCode> {
    let mut all = Vec::new();
    for input in inputs {
        let path = input.pattern.clone();
        if path == "-" {
            return Err(
                UsageError("--explain reads files, and `-` is standard input".into()).into(),
            );
        }
        let explanation =
            tokio::task::spawn_blocking(move || service::ingest::explain(&input)).await??;
        all.push((path, explanation));
    }
    let text = if json {
        let documents: Vec<serde_json::Value> = all
            .iter()
            .map(|(path, explanation)| {
                let mut document = serde_json::to_value(explanation)?;
                if let Some(fields) = document.as_object_mut() {
                    fields.insert("file".into(), path.as_str().into());
                }
                Ok(document)
            })
            .collect::<Result<_, serde_json::Error>>()?;
        format!("{}\n", serde_json::to_string(&documents)?)
    } else {
        let texts: Vec<String> = all
            .iter()
            .map(|(path, found)| as_text(Path::new(path), found))
            .collect();
        texts.join("\n")
    };
    output::print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn as_text(path: &Path, found: &Explanation) -> String {
    let name = path.to_string_lossy();
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "{}: {} (source {}, layer {}); {} lines looked at, {} records",
        Shown::line(&name),
        found.format,
        Shown::line(&found.source),
        found.layer,
        found.lines,
        found.records,
    );
    if !found.considered.is_empty() {
        let _ = writeln!(
            text,
            "  {:<20} {:>14} {:>14}",
            "format", "reads strictly", "records"
        );
    }
    for one in &found.considered {
        let kind = if one.is_envelope { "  (envelope)" } else { "" };
        let _ = writeln!(
            text,
            "  {:<20} {:>14} {:>14}{kind}",
            one.name, one.strict, one.won
        );
    }
    let _ = writeln!(text, "  read no line: {}", found.read_nothing.join(", "));
    if found.unread_lines == 0 {
        let _ = writeln!(
            text,
            "  every record begins with a line that some format reads"
        );
        return text;
    }
    let _ = writeln!(
        text,
        "  {} lines fit no format and are kept as plain text:",
        found.unread_lines
    );
    for line in &found.unread {
        let _ = writeln!(
            text,
            "    {:>6}: {}",
            line.number,
            Shown::line_within(&line.text, SHOWN_WIDTH)
        );
        if let Some(why) = &line.why {
            let _ = writeln!(text, "            {}", Shown::line(why));
        }
    }
    text
}
