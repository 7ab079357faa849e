//! What holds of any file, asked of mixtures of the samples and of our own cases.

use std::path::Path;

use crate::golden::{cut_lines, data_path};
use crate::mixtures::{self, mixable, own_cases};

/// Our own cases, and up to some hundred lines of each sample that is a log.
fn corpus() -> Vec<Vec<u8>> {
    let mut files = own_cases();
    collect(&data_path(""), &mut files);
    mixable(files)
}

fn collect(folder: &Path, files: &mut Vec<Vec<u8>>) {
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    for path in paths {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.is_dir() {
            if !matches!(name.as_str(), "cases" | "devlake" | "octokit-webhooks") {
                collect(&path, files);
            }
        } else if path.extension().is_some_and(|kind| kind == "log") || name.starts_with("logfile_")
        {
            let bytes = std::fs::read(&path).unwrap();
            let end = cut_lines(&bytes)
                .get(300)
                .map_or(bytes.len(), |line| line.position as usize);
            files.push(bytes[..end].to_vec());
        }
    }
}

#[test]
fn no_word_of_any_mixture_is_lost() {
    mixtures::no_word_of_any_mixture_is_lost(&corpus());
}

#[test]
fn what_follows_changes_nothing_before_it() {
    mixtures::what_follows_changes_nothing_before_it(&corpus());
}

#[test]
fn reading_on_gives_the_same_records() {
    mixtures::reading_on_gives_the_same_records(&corpus());
}

#[test]
fn any_window_of_a_file_says_the_same() {
    mixtures::any_window_of_a_file_says_the_same(&corpus());
}
