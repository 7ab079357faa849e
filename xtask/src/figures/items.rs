//! Functions and structs, as the compiler's grammar sees them.
//!
//! A function's length is from the line of its `fn` to its closing brace; documentation and
//! attributes are not of it. What a macro makes is not seen.

use std::collections::HashSet;

use proc_macro2::Span;
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};

use super::circles::module_of;
use super::tree::Source;

pub struct Function {
    /// `store/engine/page.rs: Pager::next`.
    pub name: String,
    pub lines: usize,
    pub in_test: bool,
}

pub struct Struct {
    pub name: String,
    /// Named fields.
    pub fields: usize,
}

pub fn of(files: &[Source]) -> (Vec<Function>, Vec<Struct>) {
    let tests: HashSet<(usize, Vec<String>)> = files.iter().flat_map(test_modules).collect();
    let (mut functions, mut structs) = (Vec::new(), Vec::new());
    for file in files {
        let module = module_of(&file.path);
        let in_test = (0..=module.len()).any(|length| {
            module
                .get(..length)
                .is_some_and(|outer| tests.contains(&(file.of, outer.to_vec())))
        });
        let mut seen = Seen {
            path: &file.path,
            of: String::new(),
            in_test,
            functions: &mut functions,
            structs: &mut structs,
        };
        seen.visit_file(&file.parsed);
    }
    (functions, structs)
}

/// The modules in files of their own that only tests have (`#[cfg(test)] mod tests;`).
fn test_modules(file: &Source) -> Vec<(usize, Vec<String>)> {
    let module = module_of(&file.path);
    let declared = file.parsed.items.iter().filter_map(|item| match item {
        syn::Item::Mod(inner) if inner.content.is_none() && is_for_tests(&inner.attrs) => Some((
            file.of,
            [module.as_slice(), &[inner.ident.to_string()]].concat(),
        )),
        _ => None,
    });
    declared.collect()
}

/// Whether `#[cfg(test)]` or `#[test]` stands before an item.
pub fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let last = attribute
            .path()
            .segments
            .last()
            .map(|segment| segment.ident.to_string());
        match last.as_deref() {
            Some("test") => true,
            Some("cfg") => attribute
                .parse_args::<syn::Path>()
                .is_ok_and(|path| path.is_ident("test")),
            _ => false,
        }
    })
}

struct Seen<'a> {
    path: &'a str,
    /// The type or trait whose methods are being read.
    of: String,
    in_test: bool,
    functions: &'a mut Vec<Function>,
    structs: &'a mut Vec<Struct>,
}

impl Seen<'_> {
    fn function(
        &mut self,
        attributes: &[syn::Attribute],
        signature: &syn::Signature,
        body: &syn::Block,
    ) {
        let line = |span: Span| span.start().line;
        let (from, to) = (
            line(signature.fn_token.span),
            line(body.brace_token.span.close()),
        );
        let of = if self.of.is_empty() {
            String::new()
        } else {
            format!("{}::", self.of)
        };
        self.functions.push(Function {
            name: format!("{}: {of}{}", self.path, signature.ident),
            lines: to + 1 - from,
            in_test: self.in_test || is_for_tests(attributes),
        });
    }

    fn within(&mut self, of: String, attributes: &[syn::Attribute], visit: impl FnOnce(&mut Self)) {
        let outer = (std::mem::replace(&mut self.of, of), self.in_test);
        self.in_test |= is_for_tests(attributes);
        visit(self);
        (self.of, self.in_test) = outer;
    }
}

impl<'ast> Visit<'ast> for Seen<'_> {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.attrs, &item.sig, &item.block);
        self.within(String::new(), &item.attrs, |seen| {
            visit::visit_item_fn(seen, item);
        });
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.attrs, &item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(body) = &item.default {
            self.function(&item.attrs, &item.sig, body);
        }
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let of = item.self_ty.span().source_text().unwrap_or_default();
        let of = of.split('<').next().unwrap_or_default().to_owned();
        self.within(of, &item.attrs, |seen| visit::visit_item_impl(seen, item));
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.within(item.ident.to_string(), &item.attrs, |seen| {
            visit::visit_item_trait(seen, item);
        });
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.within(String::new(), &item.attrs, |seen| {
            visit::visit_item_mod(seen, item);
        });
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        let fields = match &item.fields {
            syn::Fields::Named(fields) => fields.named.len(),
            syn::Fields::Unnamed(_) | syn::Fields::Unit => 0,
        };
        self.structs.push(Struct {
            name: format!("{}: {}", self.path, item.ident),
            fields,
        });
        visit::visit_item_struct(self, item);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::super::tree::source;
    use super::*;

    fn functions(files: &[(&str, &str)]) -> Vec<(String, usize, bool)> {
        let files: Vec<Source> = files
            .iter()
            .map(|(path, text)| source(path, (*text).to_owned()).unwrap())
            .collect();
        of(&files)
            .0
            .into_iter()
            .map(|found| (found.name, found.lines, found.in_test))
            .collect()
    }

    #[test]
    fn a_function_is_as_long_as_from_its_fn_to_its_brace() {
        let text = "/// Documented.\n#[inline]\npub fn a(\n    b: u8,\n) -> u8 {\n    fn c() {}\n    b\n}\n";
        assert_eq!(
            functions(&[("x.rs", text)]),
            [
                ("x.rs: a".to_owned(), 6, false),
                ("x.rs: c".to_owned(), 1, false)
            ]
        );
    }

    #[test]
    fn methods_are_named_with_their_type() {
        let text = "impl<T> Display for Pair<T> {\n    fn fmt(&self) {\n    }\n}\ntrait Way {\n    fn here();\n    fn there() {}\n}\n";
        assert_eq!(
            functions(&[("x.rs", text)]),
            [
                ("x.rs: Pair::fmt".to_owned(), 2, false),
                ("x.rs: Way::there".to_owned(), 1, false)
            ]
        );
    }

    #[test]
    fn tests_are_known_in_place_and_in_files_of_their_own() {
        let found = functions(&[
            (
                "a.rs",
                "fn code() {}\n#[cfg(test)]\nmod tests {\n    fn helper() {}\n}\n",
            ),
            (
                "b.rs",
                "#[cfg(test)]\nmod testing;\n#[cfg(unix)]\nfn here() {}\n",
            ),
            ("b/testing.rs", "fn sample() {}\n"),
            ("c.rs", "#[tokio::test]\nasync fn it() {}\n"),
        ]);
        let in_tests: Vec<(&str, bool)> = found
            .iter()
            .map(|(name, _, test)| (name.as_str(), *test))
            .collect();
        assert_eq!(
            in_tests,
            [
                ("a.rs: code", false),
                ("a.rs: helper", true),
                ("b.rs: here", false),
                ("b/testing.rs: sample", true),
                ("c.rs: it", true)
            ]
        );
    }

    #[test]
    fn only_named_fields_are_counted() {
        let file = source(
            "x.rs",
            "struct A { a: u8, b: u8 }\nstruct B(u8, u8, u8);\nstruct C;\n".into(),
        );
        let fields: Vec<(String, usize)> = of(&[file.unwrap()])
            .1
            .into_iter()
            .map(|found| (found.name, found.fields))
            .collect();
        assert_eq!(
            fields,
            [
                ("x.rs: A".into(), 2),
                ("x.rs: B".into(), 0),
                ("x.rs: C".into(), 0)
            ]
        );
    }
}
