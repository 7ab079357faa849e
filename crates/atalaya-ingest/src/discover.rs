//! What there is to read on this machine when nothing is configured.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::IngestInput;
use super::content::open_file;
use super::rotation::RotatedName;

/// Directories below the start.
const MOST_DEPTH: usize = 3;
/// Files offered at most; a machine with more needs a configuration.
const MOST_FILES: usize = 400;

/// Who was logged in, in the binary records of utmp(5) and faillog(5).
const LOGIN_ACCOUNTS: [&str; 5] = ["wtmp", "btmp", "utmp", "lastlog", "faillog"];

/// The logs of this machine, and what was passed over.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Discovered {
    pub inputs: Vec<IngestInput>,
    /// Files and directories that are not read, and why; only those that a person may wonder about.
    pub passed_over: Vec<(PathBuf, String)>,
}

/// The text files under `root` (`/var/log`) that this user may read. Rotated siblings of a file
/// are left out: the ingest finds those itself when they come into being.
pub fn discover(root: &Path) -> Discovered {
    let mut found = Discovered::default();
    walk(root, MOST_DEPTH, &mut found);
    found
        .inputs
        .sort_by(|one, other| one.pattern.cmp(&other.pattern));
    found
}

fn walk(dir: &Path, depth: usize, found: &mut Discovered) {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) => {
            found
                .passed_over
                .push((dir.to_path_buf(), error.to_string()));
            return;
        }
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        // Links lead out of the tree, or round in it.
        let Ok(metadata) = path.symlink_metadata() else {
            continue;
        };
        if metadata.is_dir() {
            if depth > 0 {
                walk(&path, depth - 1, found);
            } else {
                found
                    .passed_over
                    .push((path, format!("more than {MOST_DEPTH} directories deep")));
            }
            continue;
        }
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let rotated = RotatedName::of(&name);
        let is_sibling = rotated.rotated && path.with_file_name(&rotated.base).exists();
        if !metadata.is_file() || rotated.packing.is_some() || is_sibling {
            continue;
        }
        // Binary when filled; while empty they look like any text.
        if LOGIN_ACCOUNTS.contains(&rotated.base.as_str()) {
            found.passed_over.push((path, "is not text".to_owned()));
            continue;
        }
        let mut first = vec![0; 4096];
        match open_file(&path).and_then(|mut file| file.read(&mut first)) {
            Err(error) => found.passed_over.push((path, error.to_string())),
            Ok(size) if looks_binary(&first[..size]) => {
                found.passed_over.push((path, "is not text".to_owned()));
            }
            Ok(_) if found.inputs.len() == MOST_FILES => {
                found.passed_over.push((
                    path,
                    format!("more than {MOST_FILES} files; name it in the configuration"),
                ));
            }
            Ok(_) => found
                .inputs
                .push(IngestInput::detected(path.to_string_lossy())),
        }
    }
}

/// Whether these first bytes of a file are no text. Zeros at the beginning do not count: a log
/// that was truncated under a writer that does not append begins with them.
pub fn looks_binary(first: &[u8]) -> bool {
    if is_utf16(first) {
        return false;
    }
    let start = first
        .iter()
        .position(|byte| *byte != 0)
        .unwrap_or(first.len());
    let rest = &first[start..];
    if rest.is_empty() {
        // Only zeros: `btmp`, `lastlog` and the like before their first entry.
        return !first.is_empty();
    }
    let controls = rest
        .iter()
        .filter(|byte| matches!(byte, 0..=8 | 14..=26 | 28..=31))
        .count();
    rest.starts_with(b"LPKSHHRH") || controls * 20 > rest.len()
}

/// Whether these first bytes of a file carry the mark of UTF-16.
pub fn is_utf16(first: &[u8]) -> bool {
    first.starts_with(&[0xff, 0xfe]) || first.starts_with(&[0xfe, 0xff])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn text_is_found_and_the_rest_is_explained() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir_all(root.join("nginx/a/b/c")).unwrap();
        fs::write(root.join("syslog"), "Nov 22 10:00:00 host app: hello\n").unwrap();
        fs::write(root.join("syslog.1"), "older\n").unwrap();
        fs::write(root.join("syslog.2.gz"), [0x1f, 0x8b, 8]).unwrap();
        fs::write(root.join("empty.log"), "").unwrap();
        fs::write(root.join("nginx/access.log"), "x\n").unwrap();
        fs::write(root.join("nginx/a/b/deep.log"), "x\n").unwrap();
        fs::write(root.join("nginx/a/b/c/deeper.log"), "x\n").unwrap();
        fs::write(root.join("wtmp"), [7, 0, 0, 0, b't', 0, 0, 0].repeat(48)).unwrap();
        fs::write(root.join("lastlog"), [0; 600]).unwrap();
        fs::write(root.join("btmp"), "").unwrap();
        fs::write(
            root.join("system.journal"),
            b"LPKSHHRH text that follows is long enough to look like text",
        )
        .unwrap();
        std::os::unix::fs::symlink(root, root.join("loop")).unwrap();

        let found = discover(root);
        let names: Vec<_> = found
            .inputs
            .iter()
            .map(|input| {
                Path::new(&input.pattern)
                    .strip_prefix(root)
                    .unwrap()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        assert_eq!(
            names,
            [
                "empty.log",
                "nginx/a/b/deep.log",
                "nginx/access.log",
                "syslog"
            ]
        );
        let mut passed: Vec<_> = found
            .passed_over
            .iter()
            .map(|(path, reason)| {
                (
                    path.file_name().unwrap().to_string_lossy().into_owned(),
                    reason.as_str(),
                )
            })
            .collect();
        passed.sort();
        assert_eq!(
            passed,
            [
                ("btmp".to_owned(), "is not text"),
                ("c".to_owned(), "more than 3 directories deep"),
                ("lastlog".to_owned(), "is not text"),
                ("system.journal".to_owned(), "is not text"),
                ("wtmp".to_owned(), "is not text"),
            ]
        );
    }

    #[test]
    fn a_truncated_log_that_begins_with_zeros_is_text() {
        let mut bytes = vec![0; 100];
        bytes.extend_from_slice(b"2026-11-22 ERROR it is still a log\n");
        assert!(!looks_binary(&bytes));
        assert!(!looks_binary(b""));
        assert!(!looks_binary("ñandú \u{1b}[31mred\n".as_bytes()));
    }
}
