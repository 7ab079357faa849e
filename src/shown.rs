//! Untrusted text made safe to show: the only way from a stored string to a terminal.
//!
//! A log line can carry whatever an attacker sent: escape sequences that recolour, retitle or type
//! into the terminal, marks that reverse or hide text, stacks of accents that leave their line.
//! A [`Shown`] has none of these left, and hides nothing either: what could act is replaced by
//! something visible.
//!
//! | in the text | shown as |
//! |---|---|
//! | C0 control, DEL | its picture: `␛`, `␀`, `␡` |
//! | C1 control (U+0080 to U+009F) | `\x9b` |
//! | tab | spaces to the next multiple of 4 columns |
//! | line break | a new line ([`Shown::lines`]) or `␤` ([`Shown::line`]) |
//! | bidirectional control, zero-width or other invisible character, tag, line or paragraph separator, private use, unassigned, noncharacter, variation selector past VS16 | `⟨202E⟩` |
//! | more than 4 marks on one character | 4 of them and `⟨+96⟩` |
//! | a mark with nothing to stand on | on a dotted circle |
//!
//! The stored text stays as it was; `--json` and the clipboard's raw form give it back exactly.
//! Widths are those of grapheme clusters, which is how ratatui fills its cells.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;

use regex_syntax::hir::{Class, HirKind};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Columns between tab stops.
pub const TAB_WIDTH: usize = 4;
/// Most marks that one character may carry; Vietnamese needs 2, Hebrew with cantillation 4.
const MAX_MARKS: usize = 4;
const ELLIPSIS: &str = "…";

/// One line of text that is safe to write to a terminal, with its width in columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown<'a> {
    text: Cow<'a, str>,
    width: usize,
    altered: bool,
}

impl<'a> Shown<'a> {
    /// The whole text as one line; line breaks become `␤`.
    pub fn line(raw: &'a str) -> Self {
        Self::neutralised(raw, usize::MAX).0
    }

    /// As much of the text as fits into `width` columns, with `…` when something is left out.
    /// Reads no more of a long text than that takes; [`Shown::is_altered`] then speaks of that part.
    pub fn line_within(raw: &'a str, width: usize) -> Self {
        let (shown, whole) = Self::neutralised(raw, width);
        // Emoji sequences are narrower than their characters, so that "enough" was not.
        let shown = if whole || shown.width > width {
            shown
        } else {
            Self::line(raw)
        };
        shown.fit(width)
    }

    /// One for each line of the text; a final line break adds none.
    pub fn lines(raw: &'a str) -> Vec<Self> {
        raw.lines().map(Self::line).collect()
    }

    /// The program's own words, which need no care.
    pub fn own(text: &'static str) -> Self {
        Self {
            text: Cow::Borrowed(text),
            width: width_of(text),
            altered: false,
        }
    }

    /// The text, read until it is wider than `enough`, and whether that was all of it.
    fn neutralised(raw: &'a str, enough: usize) -> (Self, bool) {
        // Most log lines; one pass, nothing copied.
        if raw.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return (
                Self {
                    text: Cow::Borrowed(raw),
                    width: raw.len(),
                    altered: false,
                },
                true,
            );
        }
        let mut writer = Writer::new(raw.len(), enough);
        let whole = raw.chars().all(|character| writer.write(character));
        writer.finish_marks();
        let width = width_of(&writer.out);
        let text = if writer.out == raw {
            Cow::Borrowed(raw)
        } else {
            Cow::Owned(writer.out)
        };
        (
            Self {
                text,
                width,
                altered: writer.altered,
            },
            whole,
        )
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether something was replaced that the terminal would not just have shown (tabs and line
    /// breaks do not count). Such a row is marked, and its raw form can be asked for.
    pub fn is_altered(&self) -> bool {
        self.altered
    }

    /// In columns.
    pub fn width(&self) -> usize {
        self.width
    }

    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    pub fn into_text(self) -> Cow<'a, str> {
        self.text
    }

    pub fn into_owned(self) -> Shown<'static> {
        Shown {
            text: Cow::Owned(self.text.into_owned()),
            width: self.width,
            altered: self.altered,
        }
    }

    /// At most `width` columns, cut between grapheme clusters, with `…` at the cut.
    #[must_use]
    pub fn fit(self, width: usize) -> Self {
        if self.width <= width {
            return self;
        }
        let Some(room) = width.checked_sub(1) else {
            return Self {
                text: Cow::Borrowed(""),
                width: 0,
                ..self
            };
        };
        let mut used = 0;
        let mut end = 0;
        for (at, grapheme) in self.text.grapheme_indices(true) {
            let next = used + grapheme.width();
            if next > room {
                break;
            }
            used = next;
            end = at + grapheme.len();
        }
        let text = Cow::Owned(format!("{}{ELLIPSIS}", &self.text[..end]));
        Self {
            text,
            width: used + 1,
            ..self
        }
    }

    /// Exactly `width` columns: cut with `…`, or filled up with spaces at the end.
    #[must_use]
    pub fn padded(self, width: usize) -> Self {
        let fitted = self.fit(width);
        if fitted.width == width {
            return fitted;
        }
        let mut text = fitted.text.into_owned();
        text.extend(std::iter::repeat_n(' ', width - fitted.width));
        Self {
            text: Cow::Owned(text),
            width,
            altered: fitted.altered,
        }
    }

    /// The columns from `offset` on, at most `width` of them: horizontal scrolling. A wide
    /// character that an edge would split is replaced by spaces.
    #[must_use]
    pub fn window(&self, offset: usize, width: usize) -> Shown<'static> {
        let end = offset.saturating_add(width);
        let mut text = String::new();
        let (mut column, mut used) = (0_usize, 0_usize);
        for grapheme in self.text.graphemes(true) {
            let next = column + grapheme.width();
            if column >= end {
                break;
            }
            if column >= offset && next <= end {
                text.push_str(grapheme);
                used += next - column;
            } else if next > offset {
                let visible = next.min(end) - column.max(offset);
                text.extend(std::iter::repeat_n(' ', visible));
                used += visible;
            }
            column = next;
        }
        Shown {
            text: Cow::Owned(text),
            width: used,
            altered: self.altered,
        }
    }

    /// Where byte ranges of the raw text (search hits) are in the columns of `Shown::line(raw)`.
    pub fn columns(raw: &str, ranges: &[Range<usize>]) -> Vec<Range<usize>> {
        if ranges.is_empty() {
            return Vec::new();
        }
        // Byte of the raw text -> byte of the shown text, at the starts of characters.
        let mut starts = Vec::with_capacity(raw.len() + 1);
        let mut writer = Writer::new(raw.len(), usize::MAX);
        for (at, character) in raw.char_indices() {
            if !is_mark(character) || is_hidden(character) {
                writer.finish_marks();
            }
            starts.push((at, writer.out.len()));
            writer.write(character);
        }
        writer.finish_marks();
        starts.push((raw.len(), writer.out.len()));
        let mut columns = Vec::with_capacity(writer.out.len());
        let mut column = 0;
        for (at, grapheme) in writer.out.grapheme_indices(true) {
            columns.push((at, column));
            column += grapheme.width();
        }
        columns.push((writer.out.len(), column));
        let place = |at: usize, after: bool| {
            let index =
                starts.partition_point(|(start, _)| if after { *start < at } else { *start <= at });
            let index = if after {
                index.min(starts.len() - 1)
            } else {
                index.saturating_sub(1)
            };
            let shown = starts[index].1;
            let index = columns.partition_point(|(start, _)| {
                if after {
                    *start < shown
                } else {
                    *start <= shown
                }
            });
            columns[if after {
                index.min(columns.len() - 1)
            } else {
                index.saturating_sub(1)
            }]
            .1
        };
        ranges
            .iter()
            .map(|range| place(range.start, false)..place(range.end, true))
            .collect()
    }

    /// The text with everything invisible spelled out as in a string literal (`\x1b`, `\n`,
    /// `\u{202e}`): the raw form, on demand.
    pub fn escaped(raw: &str) -> Shown<'static> {
        let mut text = String::with_capacity(raw.len());
        for character in raw.chars() {
            match character {
                '\\' => text.push_str("\\\\"),
                '\n' => text.push_str("\\n"),
                '\r' => text.push_str("\\r"),
                '\t' => text.push_str("\\t"),
                control if control.is_control() => {
                    text.extend(
                        ['\\', 'x']
                            .into_iter()
                            .chain(format!("{:02x}", u32::from(control)).chars()),
                    );
                }
                other if is_hidden(other) || is_mark(other) => {
                    text.extend(other.escape_unicode());
                }
                other => text.push(other),
            }
        }
        let width = width_of(&text);
        Shown {
            altered: text != raw,
            width,
            text: Cow::Owned(text),
        }
    }
}

/// JSON text in which whatever acts on a terminal, or hides, is written as a `\u` escape: the same
/// values exactly. What JSON escapes by itself is left as it is.
pub fn json(text: &str) -> Cow<'_, str> {
    let acts = |character: char| character >= '\x7f' && is_hidden(character);
    if text.is_ascii() && !text.contains('\x7f') || !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 64);
    for character in text.chars() {
        if acts(character) {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(character);
        }
    }
    Cow::Owned(out)
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl<'a> From<Shown<'a>> for Cow<'a, str> {
    fn from(shown: Shown<'a>) -> Self {
        shown.text
    }
}

/// In columns, as ratatui counts: cluster by cluster.
fn width_of(text: &str) -> usize {
    text.graphemes(true).map(UnicodeWidthStr::width).sum()
}

/// Writes characters in their visible form.
struct Writer {
    out: String,
    altered: bool,
    /// Columns so far, without the ligatures that need the neighbours: exact enough for tab stops.
    column: usize,
    enough: usize,
    /// Marks on the present character, also those left out.
    marks: usize,
    /// Whether a mark may follow: the last character is one of the text's own.
    base: bool,
}

impl Writer {
    fn new(length: usize, enough: usize) -> Self {
        // A hint only; a long text that is cut early must not reserve for all of it.
        let capacity = length.min(enough.saturating_mul(4)).min(1 << 16) + 16;
        Self {
            out: String::with_capacity(capacity),
            altered: false,
            column: 0,
            enough,
            marks: 0,
            base: false,
        }
    }

    /// False when there is more than enough.
    fn write(&mut self, character: char) -> bool {
        if is_mark(character) && !is_hidden(character) {
            self.mark(character);
            return true;
        }
        self.finish_marks();
        if self.column > self.enough {
            return false;
        }
        self.base = false;
        match character {
            '\t' => {
                let spaces = TAB_WIDTH - self.column % TAB_WIDTH;
                self.out.extend(std::iter::repeat_n(' ', spaces));
                self.column += spaces;
            }
            '\n' => self.push('\u{2424}'),
            '\0'..='\x1f' => {
                self.altered = true;
                self.push(char::from_u32(0x2400 + u32::from(character)).unwrap_or('\u{2400}'));
            }
            '\x7f' => {
                self.altered = true;
                self.push('\u{2421}');
            }
            '\u{80}'..='\u{9f}' => self.replace(&format!("\\x{:02x}", u32::from(character))),
            hidden if is_hidden(hidden) => {
                self.replace(&format!("\u{27e8}{:04X}\u{27e9}", u32::from(hidden)));
            }
            plain => {
                self.push(plain);
                self.base = true;
            }
        }
        true
    }

    fn push(&mut self, character: char) {
        self.out.push(character);
        self.column += character.width().unwrap_or(0);
    }

    fn replace(&mut self, visible: &str) {
        self.altered = true;
        self.out.push_str(visible);
        self.column += visible.width();
    }

    fn mark(&mut self, mark: char) {
        self.marks += 1;
        if !self.base {
            // Otherwise it would alter a replacement, or the border in front of the text.
            self.altered = true;
            self.push('\u{25cc}');
            self.base = true;
            self.marks = 1;
        }
        if self.marks <= MAX_MARKS {
            self.push(mark);
        }
    }

    fn finish_marks(&mut self) {
        if let Some(left_out @ 1..) = self.marks.checked_sub(MAX_MARKS) {
            self.replace(&format!("\u{27e8}+{left_out}\u{27e9}"));
            self.base = false;
        }
        self.marks = 0;
    }
}

/// Characters that act, or that cannot be seen.
fn is_hidden(character: char) -> bool {
    static HIDDEN: OnceLock<Vec<(char, char)>> = OnceLock::new();
    match character {
        ' '..='~' | '\u{a1}'..='\u{ac}' | '\u{ae}'..='\u{2ff}' | '\u{400}'..='\u{52f}' | '\u{4e00}'..='\u{9fff}' => false,
        _ => contains(
            HIDDEN.get_or_init(|| {
                // The Arabic and Kaithi number signs are format characters that can be seen; the
                // first sixteen variation selectors only choose between glyphs.
                ranges(
                    r"[[\p{Cc}\p{Cf}\p{Cn}\p{Co}\p{Zl}\p{Zp}\p{Bidi_Control}\p{Default_Ignorable_Code_Point}\p{Variation_Selector}]--[\u{600}-\u{605}\u{6DD}\u{890}-\u{891}\u{8E2}\u{110BD}\u{110CD}\u{FE00}-\u{FE0F}]]",
                )
            }),
            character,
        ),
    }
}

/// Characters that join the one before them, or take no column of their own.
fn is_mark(character: char) -> bool {
    static MARKS: OnceLock<Vec<(char, char)>> = OnceLock::new();
    character >= '\u{300}'
        && (character.width() == Some(0)
            || contains(
                MARKS.get_or_init(|| ranges(r"[\p{M}\p{Grapheme_Extend}]")),
                character,
            ))
}

fn contains(ranges: &[(char, char)], character: char) -> bool {
    let index = ranges.partition_point(|(_, last)| *last < character);
    ranges
        .get(index)
        .is_some_and(|(first, _)| *first <= character)
}

/// The ranges of a character class, ascending. Were the class not understood, everything outside
/// of ASCII would count as part of it: too careful rather than too trusting.
fn ranges(class: &str) -> Vec<(char, char)> {
    let parsed = regex_syntax::parse(class);
    match parsed.as_ref().map(regex_syntax::hir::Hir::kind) {
        Ok(HirKind::Class(Class::Unicode(class))) => class
            .iter()
            .map(|range| (range.start(), range.end()))
            .collect(),
        _ => vec![('\u{80}', char::MAX)],
    }
}

#[cfg(test)]
mod tests;
