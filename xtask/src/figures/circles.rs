//! Circles: files of which each can be reached from each other by the paths that they name.
//!
//! An arrow goes from a file to the file of the module that a `crate::…` or `super::…` path names,
//! in `use` lines, in code and inside of macros; tests are left out. A file and its own inside
//! (`mod child;`) make no arrow by themselves. A name that is handed on by `pub use` counts for the
//! module that the path names, since that is what a reader opens.

use std::collections::{BTreeSet, HashMap};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};

use super::items::is_for_tests;
use super::tree::Source;

/// Circles of at least two files, largest first.
pub fn of(files: &[Source]) -> Vec<Vec<String>> {
    let modules: Vec<Vec<String>> = files.iter().map(|file| module_of(&file.path)).collect();
    let place: HashMap<(usize, &[String]), usize> = files
        .iter()
        .zip(&modules)
        .enumerate()
        .map(|(index, (file, module))| ((file.of, module.as_slice()), index))
        .collect();
    let arrows: Vec<BTreeSet<usize>> = files
        .iter()
        .zip(&modules)
        .enumerate()
        .map(|(index, (file, module))| {
            let mut paths = Paths {
                module: module.clone(),
                found: Vec::new(),
            };
            paths.visit_file(&file.parsed);
            let named = paths.found.iter().filter_map(|path| {
                (0..=path.len())
                    .rev()
                    .find_map(|length| place.get(&(file.of, path.get(..length)?)).copied())
            });
            named.filter(|&target| target != index).collect()
        })
        .collect();
    let reached: Vec<BTreeSet<usize>> = (0..files.len()).map(|from| reach(&arrows, from)).collect();
    let mut circles: Vec<Vec<String>> = Vec::new();
    for (index, there) in reached.iter().enumerate() {
        let circle: Vec<usize> = there
            .iter()
            .copied()
            .filter(|&other| reached.get(other).is_some_and(|back| back.contains(&index)))
            .collect();
        // Each circle is met once for each of its files: its first one stands for it.
        if circle.len() > 1 && circle.first() == Some(&index) {
            circles.push(
                circle
                    .iter()
                    .filter_map(|&at| Some(files.get(at)?.path.clone()))
                    .collect(),
            );
        }
    }
    circles.sort_by_key(|circle| std::cmp::Reverse(circle.len()));
    circles
}

/// Everything that can be reached from a file, itself only by a circle.
fn reach(arrows: &[BTreeSet<usize>], from: usize) -> BTreeSet<usize> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from];
    while let Some(at) = open.pop() {
        for &next in arrows.get(at).into_iter().flatten() {
            if reached.insert(next) {
                open.push(next);
            }
        }
    }
    reached
}

/// The module that a file is: `a/b.rs` and `a/b/mod.rs` are `a::b`, `lib.rs` is the root. In front of
/// `src/` stands the crate's folder when trees are looked at together. A program of its own
/// (`main.rs`, `bin/…`) is no module of the library.
pub fn module_of(path: &str) -> Vec<String> {
    let within = path.rsplit_once("src/").map_or(path, |(_, within)| within);
    let mut parts: Vec<String> = within
        .trim_end_matches(".rs")
        .split('/')
        .map(str::to_owned)
        .collect();
    match parts.last().map(String::as_str) {
        Some("lib") if parts.len() == 1 => parts.clear(),
        Some("main") if parts.len() == 1 => parts = vec!["(program)".into()],
        Some("mod") => _ = parts.pop(),
        _ => {}
    }
    parts
}

/// Collects paths, made absolute within the crate.
struct Paths {
    module: Vec<String>,
    found: Vec<Vec<String>>,
}

impl Paths {
    /// A path as written, when it begins with `crate` or `super`.
    fn add(&mut self, written: &[String]) {
        let mut absolute = match written.first().map(String::as_str) {
            Some("crate") => Vec::new(),
            Some("super") => self.module.clone(),
            Some("self") if written.get(1).is_some_and(|second| second == "super") => {
                self.module.clone()
            }
            _ => return,
        };
        for part in written {
            match part.as_str() {
                "crate" | "self" => {}
                "super" => _ = absolute.pop(),
                name => absolute.push(name.to_owned()),
            }
        }
        self.found.push(absolute);
    }

    fn add_tree(&mut self, before: &mut Vec<String>, tree: &syn::UseTree) {
        match tree {
            syn::UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.add_tree(before, &path.tree);
                before.pop();
            }
            syn::UseTree::Name(name) => self.add_last(before, &name.ident),
            syn::UseTree::Rename(name) => self.add_last(before, &name.ident),
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.add_tree(before, tree);
                }
            }
            syn::UseTree::Glob(_) => self.add(before),
        }
    }

    fn add_last(&mut self, before: &mut Vec<String>, name: &syn::Ident) {
        before.push(name.to_string());
        self.add(before);
        before.pop();
    }

    /// Paths in the tokens of a macro, of which nothing is known but their order.
    fn add_tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(name) => {
                    if colons != 2 {
                        self.add(&std::mem::take(&mut path));
                    }
                    path.push(name.to_string());
                    colons = 0;
                }
                TokenTree::Punct(sign) if sign.as_char() == ':' => colons += 1,
                other => {
                    self.add(&std::mem::take(&mut path));
                    if let TokenTree::Group(group) = other {
                        self.add_tokens(group.stream());
                    }
                }
            }
        }
        self.add(&path);
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if !is_for_tests(&item.attrs) {
            self.add_tree(&mut Vec::new(), &item.tree);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let written: Vec<String> = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        self.add(&written);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        self.visit_path(&item.path);
        self.add_tokens(item.tokens.clone());
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_for_tests(&item.attrs) {
            self.module.push(item.ident.to_string());
            visit::visit_item_mod(self, item);
            self.module.pop();
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if !is_for_tests(&item.attrs) {
            visit::visit_item_fn(self, item);
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::super::tree::{Tree, source};
    use super::*;

    fn files(texts: &[(&str, &str)]) -> Vec<Source> {
        texts
            .iter()
            .map(|(path, text)| source(path, (*text).to_owned()).unwrap())
            .collect()
    }

    #[test]
    fn a_file_is_the_module_that_its_path_says() {
        for (path, module) in [
            ("lib.rs", ""),
            ("a.rs", "a"),
            ("a/mod.rs", "a"),
            ("a/b.rs", "a::b"),
            ("a/lib.rs", "a::lib"),
            ("crates/x/src/a/b.rs", "a::b"),
            ("main.rs", "(program)"),
        ] {
            assert_eq!(module_of(path).join("::"), module, "{path}");
        }
    }

    #[test]
    fn files_that_use_each_other_are_a_circle() {
        let files = files(&[
            ("lib.rs", "mod a; mod b; mod c; mod d;"),
            ("a.rs", "use crate::b::{B, other::Thing};"),
            ("b.rs", "fn f() { crate::c::g(); }"),
            ("c.rs", "fn g() { println!(\"{}\", super::a::A); }"),
            ("d.rs", "use super::{a, b};"),
        ]);
        assert_eq!(of(&files), [["a.rs", "b.rs", "c.rs"]]);
    }

    #[test]
    fn tests_make_no_arrow() {
        let files = files(&[
            ("a.rs", "use crate::b::B;"),
            (
                "b.rs",
                "#[cfg(test)]\nmod tests { use crate::a::A; use super::*; }\n#[test]\nfn t() { crate::a::x() }",
            ),
        ]);
        assert!(of(&files).is_empty());
    }

    #[test]
    fn a_path_goes_to_the_innermost_file_that_it_names() {
        let files = files(&[
            ("a.rs", "use crate::b::c::Thing;"),
            ("b.rs", "use crate::a::A;"),
            ("b/c.rs", "use super::super::a::A; use self::super::B;"),
        ]);
        assert_eq!(
            of(&files),
            [["a.rs", "b.rs", "b/c.rs"]],
            "c uses b, b uses a, a uses c"
        );
    }

    #[test]
    fn modules_of_two_crates_are_not_the_same() {
        let tree = |name: &str, texts| Tree {
            name: name.into(),
            files: files(texts),
        };
        let all = Tree::together(
            "all",
            vec![
                tree("src", &[("a.rs", "use crate::b::B;")][..]),
                tree("crates/x/src", &[("b.rs", "use crate::a::A;")][..]),
            ],
        );
        assert!(of(&all.files).is_empty());
    }
}
