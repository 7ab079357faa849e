//! The one door from a string to a cell: [`put`] and [`put_within`] write a text's
//! [`Shown`] form, whatever it is, and nothing outside of the buffer. `Buffer::set_string` is
//! forbidden by clippy. What measures and cuts here is [`Shown`]'s own, for texts that go on as
//! strings.

use ratatui::buffer::Buffer;
use ratatui::style::Style;

use crate::shown::Shown;

/// Writes a text from a cell on; returns the column after it.
pub fn put(buffer: &mut Buffer, x: u16, y: u16, text: impl AsRef<str>, style: Style) -> u16 {
    put_within(buffer, x, y, text, usize::MAX, style)
}

/// The same with at most `columns` of it.
#[expect(
    clippy::disallowed_methods,
    reason = "the one door: what goes through it is made safe"
)]
pub fn put_within(
    buffer: &mut Buffer,
    x: u16,
    y: u16,
    text: impl AsRef<str>,
    columns: usize,
    style: Style,
) -> u16 {
    let area = buffer.area;
    if y < area.top() || y >= area.bottom() || x < area.left() || x >= area.right() {
        return x;
    }
    let shown = Shown::line(text.as_ref());
    buffer.set_stringn(x, y, shown.as_str(), columns, style).0
}

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

/// Columns that a text takes.
pub fn width(text: &str) -> usize {
    Shown::line(text).width()
}

/// The first `columns` of a text; a cut is marked with `…`.
pub fn cut(text: &str, columns: usize) -> String {
    Shown::line(text).fit(columns).into_text().into_owned()
}

/// The columns `from .. from + columns` of a text. A wide character cut by an edge becomes blanks.
pub fn window(text: &str, from: usize, columns: usize) -> String {
    let window = Shown::line(text).window(from, columns);
    window.into_text().into_owned()
}

/// Cut or filled with blanks to exactly `columns`.
pub fn fit(text: &str, columns: usize) -> String {
    Shown::line(text).padded(columns).into_text().into_owned()
}

/// Cut between words where that is possible; at least one row.
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

    #[test]
    fn whatever_is_put_is_safe_and_stays_in_the_buffer() {
        let mut buffer = Buffer::empty(ratatui::layout::Rect::new(0, 0, 6, 1));
        for (x, y) in [(6, 0), (0, 1), (u16::MAX, u16::MAX)] {
            assert_eq!(put(&mut buffer, x, y, "out", Style::new()), x);
        }
        assert_eq!(put(&mut buffer, 4, 0, "a\x1b[2J", Style::new()), 6);
        let cells: String = buffer
            .content()
            .iter()
            .map(ratatui::buffer::Cell::symbol)
            .collect();
        assert_eq!(cells, "    a␛");
    }

    proptest::proptest! {
        /// What was made safe once may go through the door as it is.
        #[test]
        fn safe_text_stays_what_it_is(text in "\\PC{0,20}|.{0,20}|[\u{300}-\u{36f}\u{200b}-\u{200f}\u{fe00}-\u{fe0f}a👩🇪\t]{0,12}") {
            let once = line(&text);
            proptest::prop_assert_eq!(line(&once), once);
        }
    }
}
