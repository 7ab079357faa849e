//! The only way from a stored string to a cell: [`crate::shown`] neutralises, this cuts to columns.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Untrusted text as one safe line; line breaks become visible marks.
pub fn line(text: &str) -> String {
    let first = text.trim_end_matches(['\n', '\r']);
    first.chars().map(visible).collect()
}

/// Stand-in until the neutraliser is there: the controls as their pictures, marks as a lozenge.
fn visible(character: char) -> char {
    match character {
        '\u{0}'..='\u{1f}' => char::from_u32(0x2400 + u32::from(character)).unwrap_or('\u{fffd}'),
        '\u{7f}' => '\u{2421}',
        '\u{80}'..='\u{9f}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{61c}'
        | '\u{e000}'..='\u{f8ff}'
        | '\u{e0000}'..='\u{10ffff}' => '\u{fffd}',
        other => other,
    }
}

/// The first line of untrusted text, made safe, as far as `columns` can show; a long line is not
/// read to its end.
pub fn first_line(text: &str, columns: usize) -> String {
    let first = text.trim_start_matches('\n').split('\n').next().unwrap_or_default();
    // A cell takes a character and a few marks; a generous multiple bounds the work on a hostile line.
    let most = columns.saturating_mul(8).saturating_add(64);
    let end = (0..=most.min(first.len())).rev().find(|at| first.is_char_boundary(*at)).unwrap_or(0);
    line(&first[..end])
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
    let mut kept = window(text, 0, columns - 1);
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
