//! The logs of apt: `history.log`, a stanza for each run, and `term.log`, what dpkg printed in it.
//!
//! ```text
//! Start-Date: 2024-05-01  10:00:00
//! Commandline: apt-get install jq
//! Install: jq:amd64 (1.7-1)
//! End-Date: 2024-05-01  10:00:04
//! ```
//!
//! Source: <https://manpages.debian.org/bookworm/apt/apt.conf.5.en.html>, `Dir::Log`.

use super::split;
use super::{
    Begins, Format, FormatMismatch, FormatSpec, Joins, Lines, Opens, Parsed, TimeHint, fields, time,
};
use atalaya_domain::record::{Layer, Level};

/// `apt-history`.
#[derive(Clone, Copy, Debug)]
pub struct AptHistory;

const START: &str = "Start-Date: ";
const END: &str = "End-Date: ";
const TERM_START: &str = "Log started: ";
const TERM_END: &str = "Log ended: ";

/// The actions of a run, as apt names them, and our names.
const ACTIONS: [(&str, &str); 7] = [
    ("Install", "install"),
    ("Upgrade", "upgrade"),
    ("Downgrade", "downgrade"),
    ("Reinstall", "reinstall"),
    ("Remove", "remove"),
    ("Purge", "purge"),
    ("Error", "error"),
];

impl Format for AptHistory {
    fn spec(&self) -> &'static FormatSpec {
        static SPEC: FormatSpec = FormatSpec {
            name: "apt-history",
            source: "apt",
            layer: Layer::Infrastructure,
            begins: Begins::these(b"SL"),
            lines: Lines::Stamped,
            traces: false,
            named_ids: true,
        };
        &SPEC
    }

    fn opens(&self, line: &str) -> Opens {
        let stamp = line
            .strip_prefix(START)
            .or_else(|| line.strip_prefix(TERM_START));
        let opens =
            stamp.is_some_and(|stamp| stamp.starts_with(|first: char| first.is_ascii_digit()));
        if opens { Opens::Parsed } else { Opens::No }
    }

    fn joins(&self, pending: &str, line: &str) -> Joins {
        let last = pending.rsplit('\n').next().unwrap_or("");
        if last.starts_with(END) || last.starts_with(TERM_END) {
            return Joins::No;
        }
        if pending.starts_with(TERM_START) {
            // What dpkg printed: any text but the next run.
            return if self.opens(line) == Opens::Parsed {
                Joins::No
            } else {
                Joins::Yes
            };
        }
        let known = line.split_once(": ").is_some_and(|(name, _)| {
            matches!(
                name,
                "End-Date" | "Commandline" | "Requested-By" | "Comment"
            ) || ACTIONS.iter().any(|(known, _)| *known == name)
        });
        if known { Joins::Yes } else { Joins::Unsaid }
    }

    fn parse<'a>(
        &self,
        text: &'a str,
        hint: &TimeHint,
        out: &mut Parsed<'a>,
    ) -> Result<(), FormatMismatch> {
        let read = if text.starts_with(TERM_START) {
            term(text, hint, out)
        } else {
            stanza(text, hint, out)
        };
        read.ok_or_else(|| self.mismatch("no time behind `Start-Date`"))
    }
}

/// `2024-05-01  10:00:00`: two blanks, in local time.
fn instant(stamp: &str, hint: &TimeHint) -> Option<time::Instant> {
    let (date, clock) = stamp.trim_ascii().split_once(' ')?;
    let whole = format!("{date} {}", clock.trim_ascii_start());
    time::iso(&whole, hint)
        .filter(|cut| cut.rest.is_empty())
        .map(|cut| cut.instant)
}

fn set_times(start: &str, end: &str, hint: &TimeHint, out: &mut Parsed<'_>) -> Option<()> {
    let start = instant(start, hint)?;
    out.set_time(start);
    if let Some(end) = instant(end, hint)
        && end.at >= start.at
    {
        out.duration_ms = Some((end.at.micros() - start.at.micros()) as f64 / 1_000.0);
    }
    Some(())
}

fn stanza<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Option<()> {
    let (mut start, mut end, mut command) = ("", "", "");
    let mut actions: Vec<&'a str> = Vec::new();
    for line in text.split('\n') {
        let (name, value) = line.split_once(": ").unwrap_or(("", line));
        match name {
            "Start-Date" => start = value,
            "End-Date" => end = value,
            "Commandline" => command = value,
            // `ana (1000)`
            "Requested-By" => match value
                .strip_suffix(')')
                .and_then(|value| value.rsplit_once(" ("))
            {
                Some((user, uid)) => {
                    out.user_id = Some(user.into());
                    out.put("uid", uid);
                }
                None => out.user_id = Some(value.into()),
            },
            "Comment" => out.put("comment", value),
            _ => {
                actions.push(line);
                let known = ACTIONS.iter().find(|(known, _)| *known == name);
                if let Some((_, ours)) = known {
                    fields::push_unique(out, *ours, value);
                }
                if name == "Error" {
                    out.level = Level::Error;
                }
            }
        }
    }
    set_times(start, end, hint, out)?;
    out.message = match (command, actions.as_slice()) {
        ("", []) => start.into(),
        ("", [one]) => (*one).into(),
        ("", several) => several.join("\n").into(),
        (command, _) => command.into(),
    };
    // Lines that have no name are nowhere else.
    if !command.is_empty() {
        let unnamed: Vec<&str> = actions
            .into_iter()
            .filter(|line| !ACTIONS.iter().any(|(known, _)| line.starts_with(known)))
            .collect();
        if !unnamed.is_empty() {
            fields::push_unique(out, "text", unnamed.join("\n"));
        }
    }
    Some(())
}

/// All that was printed in a run.
fn term<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Option<()> {
    let (first, rest) = split::line(text);
    let start = first.strip_prefix(TERM_START)?;
    let (printed, last) = rest.rsplit_once('\n').unwrap_or(("", rest));
    let (printed, end) = match last.strip_prefix(TERM_END) {
        Some(end) => (printed, end),
        None => (rest, ""),
    };
    set_times(start, end, hint, out)?;
    let failed = printed
        .lines()
        .any(|line| line.starts_with("dpkg: error") || line.starts_with("E: "));
    out.level = if failed { Level::Error } else { Level::Info };
    out.ungraded = !failed;
    out.message = if printed.is_empty() { first } else { printed }.into();
    Some(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::super::python::ANY_HINT;
    use super::*;
    use atalaya_domain::record::Entry;

    fn decode(text: &str) -> Vec<Entry> {
        crate::testing::decoded(text, ANY_HINT).0
    }

    #[test]
    fn a_stanza_is_a_record() {
        let entries = decode(
            "\nStart-Date: 2024-05-01  10:00:00\nCommandline: apt-get install jq\nRequested-By: ana (1000)\nInstall: libjq1:amd64 (1.7-1, automatic), jq:amd64 (1.7-1)\nEnd-Date: 2024-05-01  10:00:04\n\nStart-Date: 2024-05-02  06:00:00\nUpgrade: vim:amd64 (9.0, 9.1)\nRemove: nano:amd64 (7.2)\nError: Sub-process /usr/bin/dpkg returned an error code (1)\nEnd-Date: 2024-05-02  06:00:00\n",
        );
        assert_eq!(entries.len(), 2);
        assert_eq!(
            (&*entries[0].message, entries[0].level),
            ("apt-get install jq", Level::Info)
        );
        assert_eq!(
            entries[0].timestamp.to_rfc3339(),
            "2024-05-01T10:00:00.000000Z"
        );
        assert_eq!(
            (entries[0].duration_ms, entries[0].user_id.as_deref()),
            (Some(4000.0), Some("ana"))
        );
        assert_eq!(
            entries[0].metadata("install"),
            Some("libjq1:amd64 (1.7-1, automatic), jq:amd64 (1.7-1)")
        );
        assert_eq!(entries[1].level, Level::Error);
        assert!(
            entries[1]
                .message
                .starts_with("Upgrade: vim:amd64 (9.0, 9.1)\nRemove: ")
        );
    }

    #[test]
    fn what_a_run_printed_is_a_record() {
        let entries = decode(
            "Log started: 2024-05-01  10:00:00\nSelecting previously unselected package jq.\nUnpacking jq (1.7-1) ...\nLog ended: 2024-05-01  10:00:02\n\nLog started: 2024-05-02  10:00:00\ndpkg: error processing package x\n",
        );
        assert_eq!(entries.len(), 2);
        assert_eq!(
            &*entries[0].message,
            "Selecting previously unselected package jq.\nUnpacking jq (1.7-1) ..."
        );
        assert_eq!(
            (entries[0].duration_ms, entries[0].level),
            (Some(2000.0), Level::Info)
        );
        assert_eq!(
            (&*entries[1].message, entries[1].level),
            ("dpkg: error processing package x", Level::Error)
        );
        assert_eq!(AptHistory.opens("Start-Date: soon"), Opens::No);
        assert!(
            AptHistory
                .parse("Start-Date: 2024-05-01", &ANY_HINT, &mut Parsed::default())
                .is_err()
        );
    }
}
