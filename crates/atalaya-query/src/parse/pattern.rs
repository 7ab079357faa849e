//! Regular expressions between slashes: compiled within limits, with the texts that every match
//! contains.

use regex::{Regex, RegexBuilder};
use regex_syntax::hir::{Hir, HirKind};

use crate::QueryError;
use crate::ast::RegexTerm;

use super::error;

/// Largest compiled form of one regular expression, in bytes.
const REGEX_SIZE_LIMIT: usize = 1 << 20;
/// Deepest nesting of one.
const NEST_LIMIT: u32 = 64;

/// Compiles a regular expression; its errors point into the query text.
pub(super) fn compile(
    source: &str,
    offset: usize,
    ignore_case: bool,
) -> Result<RegexTerm, QueryError> {
    let parsed = regex_syntax::ParserBuilder::new()
        .nest_limit(NEST_LIMIT)
        .case_insensitive(ignore_case)
        .build()
        .parse(source);
    let hir = parsed.map_err(|syntax| {
        let (span, reason) = match &syntax {
            regex_syntax::Error::Parse(wrong) => (*wrong.span(), wrong.kind().to_string()),
            regex_syntax::Error::Translate(wrong) => (*wrong.span(), wrong.kind().to_string()),
            _ => {
                return error(
                    offset..offset + source.len(),
                    "not a regular expression",
                    "one in the syntax of the regex crate",
                );
            }
        };
        let at = offset + span.start.offset..offset + span.end.offset;
        error(
            at,
            format!("not a regular expression: {reason}"),
            "a regular expression between slashes, or quotes for plain text",
        )
    })?;
    let regex: Result<Regex, _> = RegexBuilder::new(source)
        .case_insensitive(ignore_case)
        .nest_limit(NEST_LIMIT)
        .size_limit(REGEX_SIZE_LIMIT)
        .dfa_size_limit(REGEX_SIZE_LIMIT)
        .build();
    let at = offset..offset + source.len();
    let regex = regex.map_err(|_| {
        error(
            at,
            "this regular expression is too large",
            "a smaller one (counted repetitions such as {1000} are costly)",
        )
    })?;
    let mut literals = Vec::new();
    required(&hir, &mut literals, 16);
    Ok(RegexTerm {
        source: source.to_owned(),
        ignore_case,
        regex,
        literals,
    })
}

/// Collects texts that are in everything the expression matches, ASCII only and lower-cased.
fn required(hir: &Hir, out: &mut Vec<String>, depth: usize) {
    if depth == 0 {
        return;
    }
    match hir.kind() {
        HirKind::Literal(literal) => {
            if let Ok(text) = std::str::from_utf8(&literal.0)
                && text.is_ascii()
            {
                out.push(text.to_ascii_lowercase());
            }
        }
        HirKind::Concat(children) => children
            .iter()
            .for_each(|child| required(child, out, depth - 1)),
        HirKind::Capture(capture) => required(&capture.sub, out, depth - 1),
        HirKind::Repetition(repetition) if repetition.min > 0 => {
            required(&repetition.sub, out, depth - 1);
        }
        _ => {}
    }
}
