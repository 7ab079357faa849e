//! The files of one crate, and what all of them together amount to.

use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;

use super::items::{self, Function, Struct};
use super::{circles, text};

/// A file past this asks for a name for its second half.
const LONG_FILE: usize = 600;
/// A function past this does not fit a screen.
const LONG_FUNCTION: usize = 60;
const VERY_LONG_FUNCTION: usize = 80;
const MANY_FIELDS: usize = 15;

/// A parsed file.
pub struct Source {
    /// From the tree's folder: `store/engine/page.rs`.
    pub path: String,
    /// Which tree it is of, by its place in the list; `crate::` means different things in two.
    pub of: usize,
    pub text: String,
    pub parsed: syn::File,
}

pub struct Tree {
    pub name: String,
    /// Sorted by path.
    pub files: Vec<Source>,
}

/// Smallest, typical and largest of some lengths in lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Spread {
    pub count: usize,
    pub median: usize,
    pub p90: usize,
    pub p95: usize,
    pub max: usize,
}

/// Something longer than it should be: where, and how long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Long {
    pub name: String,
    pub size: usize,
}

/// The figures of one tree. Shares are of 1.
#[derive(Debug, Serialize)]
pub struct Figures {
    pub tree: String,
    pub files: Spread,
    pub lines: usize,
    pub long_files: Vec<Long>,
    /// Functions and methods outside of tests.
    pub functions: Spread,
    pub test_functions: Spread,
    pub functions_over_60: Vec<Long>,
    pub functions_over_80: usize,
    pub test_functions_over_60: usize,
    pub structs: usize,
    pub large_structs: Vec<Long>,
    pub text: text::Figures,
    pub circles: Vec<Vec<String>>,
}

impl Tree {
    /// Reads and parses every `.rs` below a folder. A file that is no Rust is an error, never left out.
    pub fn read(name: &str, folder: &Path) -> anyhow::Result<Self> {
        let mut files = Vec::new();
        read_into(folder, "", &mut files)?;
        anyhow::ensure!(!files.is_empty(), "no Rust files in {}", folder.display());
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Self {
            name: name.to_owned(),
            files,
        })
    }

    /// All files of some trees, each path behind its tree's name.
    pub fn together(name: &str, trees: Vec<Self>) -> Self {
        let files = trees.into_iter().enumerate().flat_map(|(of, tree)| {
            tree.files.into_iter().map(move |file| Source {
                path: format!("{}/{}", tree.name, file.path),
                of,
                ..file
            })
        });
        Self {
            name: name.to_owned(),
            files: files.collect(),
        }
    }

    pub fn figures(&self) -> Figures {
        let lengths: Vec<Long> = self
            .files
            .iter()
            .map(|file| Long {
                name: file.path.clone(),
                size: file.text.lines().count(),
            })
            .collect();
        let (functions, structs) = items::of(&self.files);
        let (tests, code): (Vec<Function>, Vec<Function>) =
            functions.into_iter().partition(|function| function.in_test);
        Figures {
            tree: self.name.clone(),
            files: Spread::of(lengths.iter().map(|file| file.size)),
            lines: lengths.iter().map(|file| file.size).sum(),
            long_files: longer(lengths.into_iter(), LONG_FILE),
            functions: Spread::of(code.iter().map(|function| function.lines)),
            test_functions: Spread::of(tests.iter().map(|function| function.lines)),
            functions_over_80: code
                .iter()
                .filter(|function| function.lines > VERY_LONG_FUNCTION)
                .count(),
            test_functions_over_60: tests
                .iter()
                .filter(|function| function.lines > LONG_FUNCTION)
                .count(),
            functions_over_60: longer(
                code.into_iter().map(|function| Long {
                    name: function.name,
                    size: function.lines,
                }),
                LONG_FUNCTION,
            ),
            structs: structs.len(),
            large_structs: longer(
                structs
                    .into_iter()
                    .map(|Struct { name, fields }| Long { name, size: fields }),
                MANY_FIELDS,
            ),
            text: text::figures(&self.files),
            circles: circles::of(&self.files),
        }
    }
}

fn read_into(folder: &Path, prefix: &str, files: &mut Vec<Source>) -> anyhow::Result<()> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    for entry in entries {
        let path = entry.with_context(|| folder.display().to_string())?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.is_dir() {
            read_into(&path, &format!("{prefix}{name}/"), files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text =
                std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            files.push(source(&format!("{prefix}{name}"), text)?);
        }
    }
    Ok(())
}

/// A file with this text.
pub fn source(path: &str, text: String) -> anyhow::Result<Source> {
    let parsed = syn::parse_file(&text).with_context(|| path.to_owned())?;
    Ok(Source {
        path: path.to_owned(),
        of: 0,
        text,
        parsed,
    })
}

/// Those over a limit, largest first.
fn longer(all: impl Iterator<Item = Long>, limit: usize) -> Vec<Long> {
    let mut long: Vec<Long> = all.filter(|one| one.size > limit).collect();
    long.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.name.cmp(&b.name)));
    long
}

impl Spread {
    /// Nearest-rank percentiles; all 0 where there is nothing.
    pub fn of(sizes: impl Iterator<Item = usize>) -> Self {
        let mut sizes: Vec<usize> = sizes.collect();
        sizes.sort_unstable();
        let rank = |percent: usize| {
            let rank = (sizes.len() * percent).div_ceil(100);
            rank.checked_sub(1)
                .and_then(|index| sizes.get(index))
                .copied()
                .unwrap_or_default()
        };
        Self {
            count: sizes.len(),
            median: rank(50),
            p90: rank(90),
            p95: rank(95),
            max: rank(100),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let spread = Spread::of((1..=20).rev());
        assert_eq!(
            spread,
            Spread {
                count: 20,
                median: 10,
                p90: 18,
                p95: 19,
                max: 20
            }
        );
        assert_eq!(
            Spread::of([7].into_iter()),
            Spread {
                count: 1,
                median: 7,
                p90: 7,
                p95: 7,
                max: 7
            }
        );
        assert_eq!(Spread::of(std::iter::empty()), Spread::default());
    }

    #[test]
    fn files_below_folders_are_read_and_long_ones_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("a")).unwrap();
        std::fs::write(folder.path().join("lib.rs"), "mod a;\n").unwrap();
        std::fs::write(folder.path().join("a/b.rs"), "\n".repeat(601)).unwrap();
        std::fs::write(folder.path().join("a/notes.txt"), "no Rust").unwrap();
        let figures = Tree::read("x", folder.path()).unwrap().figures();
        assert_eq!((figures.files.count, figures.lines), (2, 602));
        assert_eq!(
            figures.long_files,
            [Long {
                name: "a/b.rs".into(),
                size: 601
            }]
        );
    }

    #[test]
    fn a_file_that_is_no_rust_is_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("odd.rs"), "fn (").unwrap();
        let error = Tree::read("x", folder.path()).err().unwrap();
        assert!(format!("{error:#}").starts_with("odd.rs"), "{error:#}");
    }

    #[test]
    fn trees_together_keep_their_names_apart() {
        let one = |name: &str| Tree {
            name: name.into(),
            files: vec![source("lib.rs", String::new()).unwrap()],
        };
        let both = Tree::together("all", vec![one("src"), one("crates/x/src")]);
        let paths: Vec<&str> = both.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["src/lib.rs", "crates/x/src/lib.rs"]);
    }
}
