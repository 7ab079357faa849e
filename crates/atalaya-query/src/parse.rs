//! From text to a checked expression.
//!
//! ```text
//! query  = or
//! or     = and ("or" and)*
//! and    = unary (["and"] unary)*
//! unary  = ("-" | "not")* primary
//! primary= "(" or ")" | phrase | regex | field | word | "*"
//! phrase = '"' … '"'            with \" \\ \n \t \r
//! regex  = "/" … "/" ["i"]      the first unescaped / that ends a word closes it; else it is a word
//! field  = NAME (":" | "=" | "!=" | ">=" | "<=" | ">" | "<") value ("," value)*
//! value  = (phrase | characters | "*")+
//! ```
//!
//! A name that is not a field is an error, so that a slip of the finger never searches for
//! something else in silence; `http://…` and `a::b` are words nevertheless. Length, terms and
//! nesting are limited, which also bounds the recursion of everything that walks an expression.

use std::ops::Range;

use super::ast::{Compare, Expr, Field, RegexTerm, Term};
use super::fields::{self, Target};
use super::text::Needle;
use super::{QueryClock, QueryError, print, time};

mod pattern;
mod term;

use term::{FieldTerm, FieldValue};

/// Longest query text in bytes.
pub const MAX_LENGTH: usize = 8 * 1024;
/// Most terms and values together.
pub const MAX_TERMS: usize = 256;
/// Deepest nesting of parentheses.
pub const MAX_DEPTH: usize = 32;

pub(super) fn parse(text: &str, clock: &QueryClock) -> Result<Expr, QueryError> {
    if text.len() > MAX_LENGTH {
        return Err(QueryError {
            offset: (0..=MAX_LENGTH)
                .rev()
                .find(|&at| text.is_char_boundary(at))
                .unwrap_or(0),
            length: 1,
            message: format!("the query is {} bytes long", text.len()),
            expected: format!("at most {MAX_LENGTH} bytes"),
        });
    }
    let mut parser = Parser {
        text,
        at: 0,
        terms: 0,
        clock,
    };
    parser.skip_space();
    if parser.rest().is_empty() {
        return Ok(Expr::default());
    }
    let mut expr = parser.any(0)?;
    parser.skip_space();
    if !parser.rest().is_empty() {
        // Only a closing parenthesis ends an expression early.
        return Err(error(
            parser.at..parser.at + 1,
            "`)` without a `(` before it",
            "a term or the end",
        ));
    }
    time::join_bounds(&mut expr, clock);
    Ok(expr)
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    terms: usize,
    clock: &'a QueryClock,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operator {
    Compare(Compare),
    NotEqual,
}

fn error(at: Range<usize>, message: impl Into<String>, expected: impl Into<String>) -> QueryError {
    QueryError {
        offset: at.start,
        length: at.len().max(1),
        message: message.into(),
        expected: expected.into(),
    }
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// The end of the word that begins at `from`: white space or a parenthesis that it did not open.
    fn word_end(&self, from: usize) -> usize {
        let mut open = 0_usize;
        for (index, character) in self.text[from..].char_indices() {
            match character {
                '(' => open += 1,
                ')' if open == 0 => return from + index,
                ')' => open -= 1,
                other if other.is_whitespace() => return from + index,
                _ => {}
            }
        }
        self.text.len()
    }

    fn keyword(&self, keyword: &str) -> bool {
        let rest = self.rest();
        let Some(word) = rest.get(..keyword.len()) else {
            return false;
        };
        word.eq_ignore_ascii_case(keyword)
            && rest[keyword.len()..]
                .chars()
                .next()
                .is_none_or(|next| next.is_whitespace() || next == '(' || next == ')')
    }

    /// One more term or value; refuses when there are too many.
    fn count(&mut self, at: Range<usize>) -> Result<(), QueryError> {
        self.terms += 1;
        if self.terms > MAX_TERMS {
            return Err(error(
                at,
                "too many terms",
                format!("at most {MAX_TERMS} terms and values"),
            ));
        }
        Ok(())
    }

    fn any(&mut self, depth: usize) -> Result<Expr, QueryError> {
        let mut children = vec![self.all(depth)?];
        loop {
            self.skip_space();
            if !self.keyword("or") {
                return Ok(Expr::any_of(children));
            }
            let at = self.at..self.at + 2;
            self.at += 2;
            self.skip_space();
            if self.rest().is_empty() || self.peek() == Some(')') {
                return Err(error(at, "nothing after `or`", "a term after `or`"));
            }
            children.push(self.all(depth)?);
        }
    }

    fn all(&mut self, depth: usize) -> Result<Expr, QueryError> {
        let mut children = Vec::new();
        loop {
            self.skip_space();
            let here = self.at;
            if self.rest().is_empty() || self.peek() == Some(')') {
                if children.is_empty() {
                    let at = here..(here + 1).min(self.text.len().max(here));
                    return Err(error(
                        at,
                        "nothing to look for",
                        "a term such as `level>=warning` or a word",
                    ));
                }
                return Ok(Expr::all_of(children));
            }
            if self.keyword("or") {
                if children.is_empty() {
                    return Err(error(
                        here..here + 2,
                        "nothing before `or`",
                        "a term before `or`, or \"or\" in quotes",
                    ));
                }
                return Ok(Expr::all_of(children));
            }
            if self.keyword("and") {
                self.at += 3;
                self.skip_space();
                let ends = self.rest().is_empty() || self.peek() == Some(')') || self.keyword("or");
                if children.is_empty() || ends {
                    return Err(error(
                        here..here + 3,
                        "`and` without a term on both sides",
                        "a term before and after it",
                    ));
                }
            }
            children.push(self.unary(depth)?);
        }
    }

    fn unary(&mut self, depth: usize) -> Result<Expr, QueryError> {
        let mut negated = false;
        loop {
            let here = self.at;
            if self.peek() == Some('-') {
                self.at += 1;
                if self
                    .peek()
                    .is_none_or(|next| next.is_whitespace() || next == ')')
                {
                    return Err(error(
                        here..here + 1,
                        "nothing after `-`",
                        "a term right after it, or \"-\" in quotes",
                    ));
                }
            } else if self.keyword("not") {
                self.at += 3;
                self.skip_space();
                let ends = self.peek().is_none_or(|next| next == ')')
                    || self.keyword("or")
                    || self.keyword("and");
                if ends {
                    return Err(error(
                        here..here + 3,
                        "nothing after `not`",
                        "a term after it, or \"not\" in quotes",
                    ));
                }
            } else {
                break;
            }
            negated = !negated;
        }
        let expr = self.primary(depth)?;
        Ok(if negated { expr.negated() } else { expr })
    }

    fn primary(&mut self, depth: usize) -> Result<Expr, QueryError> {
        let here = self.at;
        match self.peek() {
            Some('(') => {
                if depth >= MAX_DEPTH {
                    return Err(error(
                        here..here + 1,
                        "too many parentheses inside each other",
                        format!("at most {MAX_DEPTH}"),
                    ));
                }
                self.at += 1;
                let expr = self.any(depth + 1)?;
                self.skip_space();
                if self.peek() != Some(')') {
                    return Err(error(
                        here..here + 1,
                        "this `(` is not closed",
                        "a `)` at the end",
                    ));
                }
                self.at += 1;
                Ok(expr)
            }
            Some('"') => {
                let phrase = self.phrase()?;
                self.boundary()?;
                self.text_term(phrase, here)
            }
            Some('/') => match self.regex()? {
                Some(term) => Ok(Expr::Term(Term::Regex(term))),
                None => self.word(),
            },
            _ => match self.field()? {
                Some(expr) => Ok(expr),
                None => self.word(),
            },
        }
    }

    /// A word stands alone: what follows a closing quote must be a space or a `)`.
    fn boundary(&self) -> Result<(), QueryError> {
        match self.peek() {
            Some(next) if !next.is_whitespace() && next != ')' => Err(error(
                self.at..self.word_end(self.at),
                "text right after a closing quote",
                "a space after the quote, or \\\" for a quote inside the phrase",
            )),
            _ => Ok(()),
        }
    }

    fn word(&mut self) -> Result<Expr, QueryError> {
        let here = self.at;
        self.at = self.word_end(here);
        let word = &self.text[here..self.at];
        if word == "*" {
            return Ok(Expr::default());
        }
        self.text_term(word.to_owned(), here)
    }

    fn text_term(&mut self, text: String, from: usize) -> Result<Expr, QueryError> {
        let at = from..self.at;
        self.count(at.clone())?;
        if text.is_empty() {
            return Err(error(at, "an empty phrase", "text between the quotes"));
        }
        let needle = Needle::new(text).map_err(|_| {
            error(
                at,
                "this text is too long to be searched for",
                "a shorter text",
            )
        })?;
        Ok(Expr::Term(Term::Text(needle)))
    }

    /// From an opening quote to just behind the closing one.
    fn phrase(&mut self) -> Result<String, QueryError> {
        let open = self.at;
        let mut out = String::new();
        let mut characters = self.text[open + 1..].char_indices();
        while let Some((index, character)) = characters.next() {
            match character {
                '"' => {
                    self.at = open + 1 + index + 1;
                    return Ok(out);
                }
                '\\' => match characters.next() {
                    Some((_, escaped @ ('"' | '\\'))) => out.push(escaped),
                    Some((_, 'n')) => out.push('\n'),
                    Some((_, 't')) => out.push('\t'),
                    Some((_, 'r')) => out.push('\r'),
                    // Paths of other systems and regular expressions are pasted with single ones.
                    Some((_, other)) => out.extend(['\\', other]),
                    None => break,
                },
                other => out.push(other),
            }
        }
        Err(error(
            open..self.text.len(),
            "this quote is not closed",
            "a closing `\"`",
        ))
    }

    /// `/…/` or `/…/i`; `None` when it is a word that begins with a slash, such as a path.
    fn regex(&mut self) -> Result<Option<RegexTerm>, QueryError> {
        let open = self.at;
        let body = open + 1;
        let mut escaped = false;
        let close = self.text[body..]
            .char_indices()
            .find_map(|(index, character)| {
                let closes = character == '/' && !escaped;
                escaped = character == '\\' && !escaped;
                closes.then_some(body + index)
            });
        let Some(close) = close else {
            let word = &self.text[open..self.word_end(open)];
            if word.contains(['\\', '[', '|', '^', '$'])
                || word.contains(".*")
                || word.contains(".+")
            {
                return Err(error(
                    open..self.text.len(),
                    "this regular expression is not closed",
                    "a closing `/`, or quotes for plain text",
                ));
            }
            return Ok(None);
        };
        let after = &self.text[close + 1..];
        let ignore_case = after.starts_with('i');
        let rest = if ignore_case { &after[1..] } else { after };
        if close == body || rest.starts_with(|next: char| !next.is_whitespace() && next != ')') {
            return Ok(None);
        }
        self.at = close + 1 + usize::from(ignore_case);
        self.count(open..self.at)?;
        pattern::compile(&self.text[body..close], body, ignore_case).map(Some)
    }

    /// `name operator values`; `None` when the word is not of that form.
    fn field(&mut self) -> Result<Option<Expr>, QueryError> {
        let from = self.at;
        let Some((name, quoted_name, name_end)) = self.name()? else {
            return Ok(None);
        };
        let name_at = from..name_end;
        let rest = &self.text[name_end..];
        let known = quoted_name
            || fields::target(&name).is_some()
            || fields::metadata_name(&name).is_some();
        if !known && (rest.starts_with("::") || rest.starts_with("://")) {
            return Ok(None);
        }
        let Some((operator, width)) = operator(rest) else {
            if quoted_name {
                return Err(error(
                    name_at,
                    "a metadata name without a comparison",
                    "`:` and a value behind it",
                ));
            }
            return Ok(None);
        };
        let operator_at = name_end..name_end + width;
        let metadata = if quoted_name {
            Some(name.as_str())
        } else {
            fields::metadata_name(&name)
        };
        let target = match (metadata, fields::target(&name)) {
            (Some(""), _) => {
                return Err(error(
                    name_at,
                    "no name behind `meta.`",
                    "a metadata name such as `meta.status`",
                ));
            }
            (Some(metadata), _) => Target::Field(Field::Meta(metadata.to_owned())),
            (None, Some(target)) => target,
            (None, None) => return Err(self.unknown_field(&name, name_at, operator_at.end)),
        };
        self.at = operator_at.end;
        let values = self.values(&name_at)?;
        let (compare, negated) = match operator {
            Operator::Compare(compare) => (compare, false),
            Operator::NotEqual => (Compare::Equal, true),
        };
        let written = FieldTerm {
            name: &self.text[name_at],
            compare,
            operator_at,
            values,
        };
        let term = term::term(target, written, self.clock)?;
        let expr = Expr::Term(term);
        Ok(Some(if negated { expr.negated() } else { expr }))
    }

    /// A name at the present place, whether it was `meta."…"`, and where it ends.
    fn name(&mut self) -> Result<Option<(String, bool, usize)>, QueryError> {
        let from = self.at;
        let rest = self.rest();
        if !rest
            .starts_with(|first: char| first.is_ascii_alphabetic() || first == '_' || first == '@')
        {
            return Ok(None);
        }
        let plain = |character: char| {
            character.is_ascii_alphanumeric() || matches!(character, '_' | '.' | '@')
        };
        let end = rest
            .find(|character| !plain(character))
            .unwrap_or(rest.len());
        let prefix = rest[..end].to_ascii_lowercase();
        if !["meta.", "m.", "metadata."]
            .iter()
            .any(|known| prefix.starts_with(known))
        {
            return Ok(Some((rest[..end].to_owned(), false, from + end)));
        }
        if prefix.ends_with('.') && rest[end..].starts_with('"') && prefix.matches('.').count() == 1
        {
            self.at = from + end;
            let name = self.phrase()?;
            let name_end = self.at;
            self.at = from;
            if name.is_empty() {
                return Err(error(
                    from..name_end,
                    "an empty metadata name",
                    "a name between the quotes",
                ));
            }
            return Ok(Some((name, true, name_end)));
        }
        let end = rest
            .find(|character| !print::is_name(character))
            .unwrap_or(rest.len());
        Ok(Some((rest[..end].to_owned(), false, from + end)))
    }

    fn unknown_field(&self, name: &str, at: Range<usize>, value_from: usize) -> QueryError {
        let word = &self.text[at.start..self.word_end(value_from)];
        let hint = match fields::nearest(name) {
            Some(known) => format!("did you mean `{known}`? "),
            None => String::new(),
        };
        error(
            at,
            format!("unknown field `{name}`"),
            format!(
                "{hint}one of {}; `meta.{name}` for metadata, or quotes to search for the text \"{word}\"",
                fields::list()
            ),
        )
    }

    fn values(&mut self, name_at: &Range<usize>) -> Result<Vec<FieldValue>, QueryError> {
        let mut values = Vec::new();
        loop {
            let from = self.at;
            let value = self.value()?;
            if value.at.is_empty() {
                let name = &self.text[name_at.clone()];
                let after = if values.is_empty() {
                    "the operator"
                } else {
                    "the comma"
                };
                return Err(error(
                    from.saturating_sub(1)..from,
                    format!("no value for `{name}`"),
                    format!("a value right after {after} (\"\" for an empty one)"),
                ));
            }
            self.count(value.at.clone())?;
            values.push(value);
            if self.peek() != Some(',') {
                return Ok(values);
            }
            self.at += 1;
        }
    }

    fn value(&mut self) -> Result<FieldValue, QueryError> {
        let from = self.at;
        let mut pieces = vec![String::new()];
        let mut open = 0_usize;
        while let Some(character) = self.peek() {
            match character {
                '"' => {
                    let phrase = self.phrase()?;
                    if let Some(piece) = pieces.last_mut() {
                        piece.push_str(&phrase);
                    }
                    continue;
                }
                ',' => break,
                '(' => open += 1,
                ')' if open == 0 => break,
                ')' => open -= 1,
                other if other.is_whitespace() => break,
                _ => {}
            }
            self.at += character.len_utf8();
            if character == '*' {
                // `**` is `*`.
                if pieces.len() == 1 || pieces.last().is_some_and(|piece| !piece.is_empty()) {
                    pieces.push(String::new());
                }
            } else if let Some(piece) = pieces.last_mut() {
                piece.push(character);
            }
        }
        Ok(FieldValue {
            pieces,
            at: from..self.at,
        })
    }
}

/// The operator at the start of `text` and its width.
fn operator(text: &str) -> Option<(Operator, usize)> {
    const OPERATORS: [(&str, Operator); 11] = [
        (":>=", Operator::Compare(Compare::GreaterOrEqual)),
        (":<=", Operator::Compare(Compare::LessOrEqual)),
        (":>", Operator::Compare(Compare::Greater)),
        (":<", Operator::Compare(Compare::Less)),
        (">=", Operator::Compare(Compare::GreaterOrEqual)),
        ("<=", Operator::Compare(Compare::LessOrEqual)),
        ("!=", Operator::NotEqual),
        (">", Operator::Compare(Compare::Greater)),
        ("<", Operator::Compare(Compare::Less)),
        (":", Operator::Compare(Compare::Equal)),
        ("=", Operator::Compare(Compare::Equal)),
    ];
    OPERATORS
        .iter()
        .find(|(sign, _)| text.starts_with(sign))
        .map(|(sign, operator)| (*operator, sign.len()))
}
