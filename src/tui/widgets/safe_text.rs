//! The only way from a stored string to a cell: [`crate::shown`] neutralises, this cuts to columns.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use crate::shown::Shown;

/// Untrusted text as one safe line; line breaks within it become visible marks.
pub fn line(text: &str) -> String {
    Shown::line(text.trim_end_matches(['\n', '\r']))
        .into_text()
        .into_owned()
}

/// The first line of untrusted text, made safe, as far as `columns` show it, with `…` for a rest
/// that does not fit; a long line is not read to its end.
pub fn first_line(text: &str, columns: usize) -> String {
    let first = text
        .trim_start_matches('\n')
        .split('\n')
        .next()
        .unwrap_or_default();
    Shown::line_within(first.trim_end_matches('\r'), columns)
        .into_text()
        .into_owned()
}

/// Columns that safe text takes.
pub fn width(text: &str) -> usize {
    text.width()
}

/// The first `columns` of safe text; a cut is marked with `…`.
pub fn cut(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    if columns == 0 {
        return String::new();
    }
    let mut kept = String::new();
    let mut used = 0;
    for grapheme in text.graphemes(true) {
        used += grapheme.width();
        if used > columns - 1 {
            break;
        }
        kept.push_str(grapheme);
    }
    kept.push('…');
    kept
}

/// The columns `from .. from + columns` of safe text. A wide character cut by an edge becomes blanks.
pub fn window(text: &str, from: usize, columns: usize) -> String {
    let mut out = String::new();
    let (mut at, end) = (0, from + columns);
    for grapheme in text.graphemes(true) {
        let wide = grapheme.width();
        if at >= end {
            break;
        }
        if at >= from && at + wide <= end {
            out.push_str(grapheme);
        } else if at + wide > from {
            let visible = (at + wide).min(end) - at.max(from);
            out.extend(std::iter::repeat_n(' ', visible));
        }
        at += wide;
    }
    out
}

/// Cut or filled with blanks to exactly `columns`.
pub fn fit(text: &str, columns: usize) -> String {
    let mut out = cut(text, columns);
    let missing = columns.saturating_sub(out.width());
    out.extend(std::iter::repeat_n(' ', missing));
    out
}

/// Cut between words where that is possible; at least one row. `text` is safe
/// text.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut rows = Vec::new();
    let mut row = String::new();
    for word in text.split(' ') {
        if !row.is_empty() && width(&row) + 1 + width(word) > columns {
            rows.push(std::mem::take(&mut row));
        }
        if !row.is_empty() {
            row.push(' ');
        }
        row.push_str(word);
        // A word that is longer than a row.
        while columns > 0 && width(&row) > columns {
            let head = window(&row, 0, columns);
            row = window(&row, columns, usize::from(u16::MAX));
            rows.push(head);
        }
    }
    rows.push(row);
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_by_columns_and_never_through_a_character() {
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("abcd", 4), "abcd");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(window("日本語", 1, 3), " 本");
        assert_eq!(fit("日", 4), "日  ");
        assert_eq!(window("abc", 5, 3), "");
    }
}
