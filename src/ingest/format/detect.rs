//! Which format a file has, from its first lines.

use std::path::Path;

use super::{Format, LineRole, Parsed, SourceZone, TimeHint, all, by_name};
use crate::domain::time::Timestamp;

/// How many lines are looked at.
pub const DETECT_LINES: usize = 64;

/// The format that reads most of these first lines; plain text when none does.
pub fn detect(lines: &[&str]) -> &'static dyn Format {
    let lines = &lines[..lines.len().min(DETECT_LINES)];
    let mut best: (&'static dyn Format, usize) = (&super::plain::Plain, 0);
    for &format in all() {
        if format.name() == super::plain::NAME {
            continue;
        }
        let read = lines_read(format, lines);
        if read > best.1 {
            best = (format, read);
        }
    }
    // A format must read at least half of what it could: one line that looks like JSON does not
    // make a text file JSON.
    let filled = lines.iter().filter(|line| !line.trim().is_empty()).count();
    if best.1 * 2 >= filled { best.0 } else { &super::plain::Plain }
}

/// [`detect`], with what the path says where the text leaves it open: nginx and Apache write the
/// same combined log.
pub fn detect_for(path: &Path, lines: &[&str]) -> &'static dyn Format {
    let found = detect(lines);
    let path = path.to_string_lossy().to_ascii_lowercase();
    let says_apache = path.contains("apache") || path.contains("httpd");
    let by_path = match found.name() {
        "nginx-access" if says_apache => by_name("apache-access"),
        "apache-access" if path.contains("nginx") => by_name("nginx-access"),
        _ => None,
    };
    by_path.filter(|format| lines_read(*format, lines) >= lines_read(found, lines)).unwrap_or(found)
}

/// How many of the lines stand in records that the format reads.
fn lines_read(format: &'static dyn Format, lines: &[&str]) -> usize {
    let hint = TimeHint { reference: Timestamp::from_seconds(1_700_000_000), zone: SourceZone::Utc };
    let mut read = 0;
    let mut record = String::new();
    let mut joined = 0;
    let mut finish = |record: &mut String, joined: &mut usize| {
        if *joined > 0 && format.parse(record, &hint, &mut Parsed::default()).is_ok() {
            read += *joined;
        }
        record.clear();
        *joined = 0;
    };
    for &line in lines.iter().take(DETECT_LINES) {
        if line.trim().is_empty() {
            continue;
        }
        let role = match joined {
            _ if format.single_line() => LineRole::Starts,
            0 => format.role(line),
            _ => format.role_after(&record, line),
        };
        match role {
            LineRole::Skip => {}
            LineRole::Continues if joined > 0 => {
                record.push('\n');
                record.push_str(line);
                joined += 1;
            }
            LineRole::Starts | LineRole::Continues => {
                finish(&mut record, &mut joined);
                record.push_str(line);
                joined = 1;
            }
        }
    }
    finish(&mut record, &mut joined);
    read
}
