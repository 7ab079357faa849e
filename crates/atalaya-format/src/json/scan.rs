//! Reads JSON as a stream of values that borrow from the text.
//!
//! Written by hand because a log line needs something other than a document tree: strings are
//! borrowed whenever they hold no escape, numbers and arrays stay the text they were (`1.50` is
//! not `1.5`), and nothing recurses with the input: what is nested deeper than asked for is
//! skipped by a loop and handed over as text. Lenient where loggers are sloppy (control characters
//! in strings, `NaN`, lone surrogates), strict about the frame: an object that does not end is an
//! error.

use std::borrow::Cow;

use memchr::memchr2;

/// One JSON value. Composite ones are their own source text.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    Null,
    Text(Cow<'a, str>),
    Number(&'a str),
    Bool(bool),
    Array(&'a str),
    Object(&'a str),
}

impl<'a> Value<'a> {
    /// How it stands in metadata: text as it is, the rest in JSON notation; `None` for null and
    /// for what is empty.
    pub fn into_text(self) -> Option<Cow<'a, str>> {
        let text = match self {
            Self::Null => return None,
            Self::Text(text) => text,
            Self::Number(text) => Cow::Borrowed(text),
            Self::Bool(true) => Cow::Borrowed("true"),
            Self::Bool(false) => Cow::Borrowed("false"),
            Self::Array(text) | Self::Object(text) => {
                let inside = text.get(1..text.len().saturating_sub(1)).unwrap_or("");
                if inside.bytes().all(is_space) {
                    return None;
                }
                Cow::Borrowed(text)
            }
        };
        (!text.is_empty()).then_some(text)
    }
}

/// Why a text is not JSON.
pub type Wrong = &'static str;

/// A position in a text.
#[derive(Clone, Debug)]
pub struct Scan<'a> {
    text: &'a str,
    at: usize,
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

impl<'a> Scan<'a> {
    pub const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// What has not been read yet.
    pub fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) -> Option<u8> {
        while let Some(byte) = self.peek() {
            if !is_space(byte) {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    /// Reads one object, nested objects flattened to dotted names down to `depth` levels.
    ///
    /// Calls `each` with every name and value in the order of the text.
    pub fn object(
        &mut self,
        prefix: &str,
        depth: usize,
        each: &mut dyn FnMut(Cow<'a, str>, Value<'a>),
    ) -> Result<(), Wrong> {
        if self.skip_space() != Some(b'{') {
            return Err("no JSON object");
        }
        self.at += 1;
        if self.skip_space() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        self.members(prefix, depth, each)
    }

    /// Reads the rest of an object, from behind one of its members on.
    pub fn object_rest(
        &mut self,
        depth: usize,
        each: &mut dyn FnMut(Cow<'a, str>, Value<'a>),
    ) -> Result<(), Wrong> {
        match self.skip_space() {
            Some(b',') => {
                self.at += 1;
                self.members("", depth, each)
            }
            Some(b'}') => {
                self.at += 1;
                Ok(())
            }
            _ => Err("no `,` between JSON members"),
        }
    }

    /// Members up to the closing bracket.
    fn members(
        &mut self,
        prefix: &str,
        depth: usize,
        each: &mut dyn FnMut(Cow<'a, str>, Value<'a>),
    ) -> Result<(), Wrong> {
        loop {
            if self.skip_space() != Some(b'"') {
                return Err("a JSON key is missing");
            }
            let key = self.string()?;
            if self.skip_space() != Some(b':') {
                return Err("no `:` after a JSON key");
            }
            self.at += 1;
            let name = if prefix.is_empty() {
                key
            } else {
                let mut name = String::with_capacity(prefix.len() + 1 + key.len());
                name.push_str(prefix);
                name.push('.');
                name.push_str(&key);
                Cow::Owned(name)
            };
            if self.skip_space() == Some(b'{') && depth > 0 {
                self.object(&name, depth - 1, each)?;
            } else {
                let value = self.value()?;
                each(name, value);
            }
            match self.skip_space() {
                Some(b',') => {
                    self.at += 1;
                    // A trailing comma is a common slip of hand-made loggers.
                    if self.skip_space() == Some(b'}') {
                        self.at += 1;
                        return Ok(());
                    }
                }
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(_) => return Err("no `,` between JSON members"),
                None => return Err("the JSON object does not end"),
            }
        }
    }

    /// Reads one value of any kind; arrays and objects as text.
    pub fn value(&mut self) -> Result<Value<'a>, Wrong> {
        match self.skip_space() {
            Some(b'"') => self.string().map(Value::Text),
            Some(b'{') => self.composite().map(Value::Object),
            Some(b'[') => self.composite().map(Value::Array),
            Some(_) => {
                let start = self.at;
                while self.peek().is_some_and(|byte| {
                    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')
                }) {
                    self.at += 1;
                }
                match self.text.get(start..self.at).unwrap_or("") {
                    "null" => Ok(Value::Null),
                    "true" => Ok(Value::Bool(true)),
                    "false" => Ok(Value::Bool(false)),
                    word @ ("NaN" | "Infinity" | "-Infinity") => Ok(Value::Number(word)),
                    number
                        if number
                            .trim_start_matches('-')
                            .starts_with(|first: char| first.is_ascii_digit()) =>
                    {
                        Ok(Value::Number(number))
                    }
                    _ => Err("not a JSON value"),
                }
            }
            None => Err("a JSON value is missing"),
        }
    }

    /// The elements of an array of strings that begins here and is all there is; `None` for
    /// anything else.
    pub fn texts(&mut self) -> Option<Vec<Cow<'a, str>>> {
        if self.skip_space() != Some(b'[') {
            return None;
        }
        let mut texts = Vec::new();
        loop {
            self.at += 1;
            match self.skip_space()? {
                b']' if texts.is_empty() => break,
                b'"' => texts.push(self.string().ok()?),
                _ => return None,
            }
            match self.skip_space()? {
                b',' => {}
                b']' => break,
                _ => return None,
            }
        }
        self.at += 1;
        self.skip_space().is_none().then_some(texts)
    }

    /// The text of an array or object, by counting brackets outside of strings.
    fn composite(&mut self) -> Result<&'a str, Wrong> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut open = 0_usize;
        while let Some(&byte) = bytes.get(self.at) {
            match byte {
                b'"' => {
                    self.skip_string()?;
                    continue;
                }
                b'{' | b'[' => open += 1,
                b'}' | b']' => {
                    open -= 1;
                    if open == 0 {
                        self.at += 1;
                        return Ok(self.text.get(start..self.at).unwrap_or(""));
                    }
                }
                _ => {}
            }
            self.at += 1;
        }
        Err("a JSON array or object does not end")
    }

    /// Moves behind the string that begins here; tells whether it holds an escape.
    fn skip_string(&mut self) -> Result<bool, Wrong> {
        let bytes = self.text.as_bytes();
        let mut at = self.at + 1;
        let mut escaped = false;
        loop {
            let Some(found) = bytes.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) else {
                return Err("a JSON string does not end");
            };
            at += found;
            if bytes.get(at) == Some(&b'"') {
                self.at = at + 1;
                return Ok(escaped);
            }
            escaped = true;
            at += 2;
        }
    }

    /// Reads the string that begins here.
    pub fn string(&mut self) -> Result<Cow<'a, str>, Wrong> {
        let start = self.at + 1;
        let escaped = self.skip_string()?;
        let inside = self
            .text
            .get(start..self.at - 1)
            .ok_or("a JSON string does not end")?;
        Ok(if escaped {
            Cow::Owned(unescape(inside))
        } else {
            Cow::Borrowed(inside)
        })
    }
}

/// Resolves the backslash sequences of JSON; an unknown one is kept as it stands.
pub fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let Some(code) = rest.bytes().next() else {
            out.push('\\');
            return out;
        };
        let plain = match code {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'n' => '\n',
            b't' => '\t',
            b'r' => '\r',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'u' => {
                if let Some((character, length)) = unicode(rest) {
                    out.push(character);
                    rest = &rest[length..];
                } else {
                    out.push('\\');
                }
                continue;
            }
            _ => {
                out.push('\\');
                continue;
            }
        };
        out.push(plain);
        rest = &rest[1..];
    }
    out.push_str(rest);
    out
}

/// Reads `uXXXX`, or a surrogate pair, at the start; gives the character and the bytes used.
fn unicode(text: &str) -> Option<(char, usize)> {
    let unit = |from: usize| {
        let digits = text.get(from..from + 4)?;
        if digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            u32::from_str_radix(digits, 16).ok()
        } else {
            None
        }
    };
    let first = unit(1)?;
    if let Some(character) = char::from_u32(first) {
        return Some((character, 5));
    }
    if (0xD800..0xDC00).contains(&first)
        && text.get(5..7) == Some("\\u")
        && let Some(second) = unit(7)
        && (0xDC00..0xE000).contains(&second)
    {
        let code = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
        return char::from_u32(code).map(|character| (character, 11));
    }
    Some((char::REPLACEMENT_CHARACTER, 5))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;
    use serde_json::Value as Tree;

    use super::*;

    fn flat(text: &str) -> Result<Vec<(String, Value<'_>)>, Wrong> {
        let mut scan = Scan::new(text);
        let mut out = Vec::new();
        scan.object("", 8, &mut |name, value| {
            out.push((name.into_owned(), value));
        })?;
        Ok(out)
    }

    #[test]
    fn values_keep_their_notation() {
        let found =
            flat(r#"{"a":1.50,"b":[1, {"c": "]"}],"d":{"e":null,"f":true},"g":"x\ty","h":-0e3,}"#)
                .unwrap();
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a", "b", "d.e", "d.f", "g", "h"]);
        assert_eq!(found[0].1, Value::Number("1.50"));
        assert_eq!(found[1].1, Value::Array(r#"[1, {"c": "]"}]"#));
        assert_eq!(found[4].1, Value::Text("x\ty".into()));
        assert_eq!(found[5].1, Value::Number("-0e3"));
    }

    #[test]
    fn arrays_of_texts() {
        let texts = |text| Scan::new(text).texts().map(|texts| texts.join("|"));
        assert_eq!(texts(r#" [ "a" , "b\n]" ] "#).as_deref(), Some("a|b\n]"));
        assert_eq!(texts("[]").as_deref(), Some(""));
        for text in [
            "",
            "[",
            "[1]",
            r#"["a""#,
            r#"["a" "b"]"#,
            r#"["a"] x"#,
            r#"["a",]"#,
            r#""a""#,
        ] {
            assert_eq!(texts(text), None, "{text}");
        }
    }

    #[test]
    fn broken_frames_are_errors() {
        for text in [
            "",
            "{",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1"#,
            r#"{"a":"b"#,
            r#"{"a":[1,2"#,
            r#"{"a":1 "b":2}"#,
            r#"{"a\"#,
            "[1]",
            r#"{"a":word}"#,
        ] {
            assert!(flat(text).is_err(), "{text}");
        }
    }

    #[test]
    fn escapes() {
        assert_eq!(
            unescape(r#"a\"b\\c\/d\n\u00e9\ud83d\ude00\ud800x\q\u12"#),
            "a\"b\\c/d\né😀\u{fffd}x\\q\\u12"
        );
        assert_eq!(unescape("\\"), "\\");
    }

    #[test]
    fn depth_is_no_recursion() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(flat(&deep).unwrap().len(), 1);
        let deep = format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
        assert_eq!(flat(&deep).unwrap().len(), 1);
    }

    fn tree() -> impl Strategy<Value = Tree> {
        let leaf = prop_oneof![
            Just(Tree::Null),
            any::<bool>().prop_map(Tree::from),
            any::<i64>().prop_map(Tree::from),
            ".*".prop_map(Tree::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Tree::from),
                prop::collection::btree_map("[a-z\"\\\\é]{1,4}", inner, 0..4)
                    .prop_map(|map| Tree::Object(map.into_iter().collect())),
            ]
        })
    }

    fn reference(prefix: &str, tree: &Tree, out: &mut Vec<(String, String)>) {
        match tree {
            Tree::Object(map) => {
                for (key, value) in map {
                    let name = if prefix.is_empty() {
                        key.clone()
                    } else {
                        format!("{prefix}.{key}")
                    };
                    if matches!(value, Tree::Object(_)) {
                        reference(&name, value, out);
                    } else if let Some(text) = match value {
                        Tree::Null => None,
                        Tree::String(text) => Some(text.clone()),
                        Tree::Array(items) if items.is_empty() => None,
                        other => Some(other.to_string()),
                    }
                    .filter(|text| !text.is_empty())
                    {
                        out.push((name, text));
                    }
                }
            }
            _ => unreachable!(),
        }
    }

    proptest! {
        #[test]
        fn agrees_with_a_document_parser(map in prop::collection::btree_map("[a-z]{1,4}", tree(), 0..6)) {
            let tree = Tree::Object(map.into_iter().collect());
            let text = tree.to_string();
            let mut expected = Vec::new();
            reference("", &tree, &mut expected);
            let found: Vec<(String, String)> = flat(&text)
                .unwrap()
                .into_iter()
                .filter_map(|(name, value)| Some((name, value.into_text()?.into_owned())))
                .collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn never_panics(text in ".*", json in r#"[{}\[\]":,\\u0-9a-f -]{0,40}"#) {
            let _ = flat(&text);
            let _ = flat(&json);
            let _ = unescape(&text);
            let _ = unescape(&json);
        }
    }
}
