//! Figures of the text itself: comments, density, repetition.
//!
//! Comments are what stands between the tokens, so that a `//` inside a string is none.

use std::collections::HashMap;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use serde::Serialize;

use super::tree::Source;

/// So many equal lines of code in a row are a repetition; fewer are often only the same shape.
const RUN: usize = 8;

/// Shares are of 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// Lines that are nothing but a comment, of all lines; documentation is counted apart.
    pub comment_share: f64,
    /// Lines of documentation (`///`, `//!`), of all lines.
    pub doc_share: f64,
    /// Characters that are no blanks, per line of code.
    pub chars_per_line: f64,
    /// Lines of code that stand in a run of 8 which occurs elsewhere too, of all lines of code.
    pub repeated_share: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Blank,
    Comment,
    Doc,
    /// Code wins: a comment behind code is part of its line.
    Code,
}

pub fn figures(files: &[Source]) -> Figures {
    let kinds: Vec<Vec<Kind>> = files.iter().map(|file| kinds(&file.text)).collect();
    let count = |kind| kinds.iter().flatten().filter(|&&one| one == kind).count();
    let code: Vec<Vec<&str>> = files
        .iter()
        .zip(&kinds)
        .map(|(file, kinds)| {
            let lines = file.text.lines().zip(kinds);
            lines
                .filter(|&(_, &kind)| kind == Kind::Code)
                .map(|(line, _)| line.trim())
                .collect()
        })
        .collect();
    let characters: usize = code
        .iter()
        .flatten()
        .map(|line| {
            line.chars()
                .filter(|character| !character.is_whitespace())
                .count()
        })
        .sum();
    let lines = kinds.iter().map(Vec::len).sum();
    Figures {
        comment_share: share(count(Kind::Comment), lines),
        doc_share: share(count(Kind::Doc), lines),
        chars_per_line: share(characters, count(Kind::Code)),
        repeated_share: share(repeated(&code), count(Kind::Code)),
    }
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

/// What each line is. Text that is no Rust has no comments.
fn kinds(text: &str) -> Vec<Kind> {
    let starts: Vec<usize> = std::iter::once(0)
        .chain(text.match_indices('\n').map(|(at, _)| at + 1))
        .take(text.lines().count())
        .collect();
    let mut kinds = vec![Kind::Blank; starts.len()];
    let mut mark = |range: std::ops::Range<usize>, kind: Kind| {
        let first = starts
            .partition_point(|&start| start <= range.start)
            .saturating_sub(1);
        let last = starts.partition_point(|&start| start < range.end);
        for (line, found) in kinds.iter_mut().enumerate().take(last).skip(first) {
            let start = starts
                .get(line)
                .copied()
                .unwrap_or_default()
                .max(range.start);
            let end = starts
                .get(line + 1)
                .copied()
                .unwrap_or(text.len())
                .min(range.end);
            if text
                .get(start..end)
                .is_some_and(|part| !part.trim().is_empty())
            {
                *found = kind.max(*found);
            }
        }
    };
    let mut tokens = Vec::new();
    flatten(text.parse::<TokenStream>().unwrap_or_default(), &mut tokens);
    let mut end = 0;
    for range in tokens {
        if range.start < end {
            continue; // the brackets that a documentation comment stands for have its place
        }
        let token = text.get(range.clone()).unwrap_or_default();
        let is_doc = token.starts_with("//") || token.starts_with("/*");
        mark(end..range.start, Kind::Comment);
        mark(range.clone(), if is_doc { Kind::Doc } else { Kind::Code });
        end = end.max(range.end);
    }
    mark(end..text.len(), Kind::Comment);
    kinds
}

/// The places of all tokens, in order. The tokens of a documentation comment all have its place.
fn flatten(tokens: TokenStream, found: &mut Vec<std::ops::Range<usize>>) {
    for token in tokens {
        match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::None => {
                flatten(group.stream(), found);
            }
            TokenTree::Group(group) => {
                found.push(group.span_open().byte_range());
                flatten(group.stream(), found);
                found.push(group.span_close().byte_range());
            }
            other => found.push(other.span().byte_range()),
        }
    }
}

/// How many lines stand in a run that occurs twice, wherever.
fn repeated(files: &[Vec<&str>]) -> usize {
    let mut runs: HashMap<&[&str], usize> = HashMap::new();
    for run in files.iter().flat_map(|lines| lines.windows(RUN)) {
        *runs.entry(run).or_default() += 1;
    }
    let mut count = 0;
    for lines in files {
        let mut counted_to = 0;
        for (at, run) in lines.windows(RUN).enumerate() {
            if runs.get(run).is_some_and(|&times| times > 1) {
                count += at + RUN - counted_to.max(at);
                counted_to = at + RUN;
            }
        }
    }
    count
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::super::tree::source;
    use super::*;

    #[test]
    fn lines_are_what_their_tokens_are() {
        let text = "//! What for.\n\n/// One.\nfn a() {\n    // why\n    b(\"x\n// no comment\"); // behind\n    /* two\n       lines */\n}\n// end";
        assert_eq!(
            kinds(text),
            [
                Kind::Doc,
                Kind::Blank,
                Kind::Doc,
                Kind::Code,
                Kind::Comment,
                Kind::Code,
                Kind::Code,
                Kind::Comment,
                Kind::Comment,
                Kind::Code,
                Kind::Comment
            ]
        );
    }

    #[test]
    fn letters_of_several_bytes_keep_lines_in_place() {
        assert_eq!(
            kinds("// más\nconst A: &str = \"ñandú\";\n// añil\n"),
            [Kind::Comment, Kind::Code, Kind::Comment]
        );
    }

    #[test]
    fn shares_are_of_all_lines_and_density_of_code() {
        let file = source(
            "a.rs",
            "// why\nfn a() {}\n\n/// That.\nconst B: u8 = 1;\n".into(),
        )
        .unwrap();
        let figures = figures(&[file]);
        assert!((figures.comment_share - 0.2).abs() < 1e-9);
        assert!((figures.doc_share - 0.2).abs() < 1e-9);
        assert!((figures.chars_per_line - 9.5).abs() < 1e-9, "{figures:?}"); // `fna(){}` and `constB:u8=1;`
    }

    #[test]
    fn a_run_counts_wherever_it_is_repeated() {
        let numbers: Vec<String> = (0..30).map(|number| number.to_string()).collect();
        let lines: Vec<&str> = numbers.iter().map(String::as_str).collect();
        assert_eq!(repeated(std::slice::from_ref(&lines)), 0);
        // Nine lines shared by two files: both places are counted, each line once.
        assert_eq!(repeated(&[lines[..20].to_vec(), lines[11..].to_vec()]), 18);
        assert_eq!(repeated(&[lines[..20].to_vec(), lines[13..].to_vec()]), 0);
    }
}
