//! One line of text being written: the prompt's editor. Moves by grapheme, never by byte.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use unicode_segmentation::UnicodeSegmentation;

/// What a key did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edited {
    /// The text changed.
    Text,
    /// Only the cursor did, or nothing.
    Nothing,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LineEdit {
    text: String,
    /// Byte offset, always at a grapheme's edge.
    cursor: usize,
}

impl LineEdit {
    /// The cursor is at the end.
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            cursor: text.len(),
            text,
        }
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn cursor(&self) -> usize {
        self.cursor
    }

    pub fn set(&mut self, text: String) {
        *self = Self::new(text);
    }

    /// Text at the cursor; what is not one safe line becomes one.
    pub fn insert(&mut self, text: &str) {
        let clean: String = text
            .chars()
            .map(|character| {
                if character.is_control() {
                    ' '
                } else {
                    character
                }
            })
            .collect();
        self.text.insert_str(self.cursor, &clean);
        self.cursor += clean.len();
    }

    /// Puts `with` in place of the word that ends at the cursor.
    pub fn replace_word(&mut self, with: &str) {
        let start = self.word_start();
        self.text.replace_range(start..self.cursor, with);
        self.cursor = start + with.len();
    }

    /// The word that ends at the cursor.
    pub fn word(&self) -> &str {
        &self.text[self.word_start()..self.cursor]
    }

    fn word_start(&self) -> usize {
        let before = &self.text[..self.cursor];
        let start = before.rfind([' ', '(']).map_or(0, |at| at + 1);
        // A dash before a word excludes it; one within it (`req-7`) is part of it.
        start + before[start..].len() - before[start..].trim_start_matches('-').len()
    }

    fn previous(&self) -> usize {
        self.text[..self.cursor]
            .grapheme_indices(true)
            .next_back()
            .map_or(0, |(at, _)| at)
    }

    fn following(&self) -> usize {
        self.text[self.cursor..]
            .graphemes(true)
            .next()
            .map_or(self.cursor, |next| self.cursor + next.len())
    }

    /// The keys that shells have: Ctrl-A E U K W, arrows, Home, End, Del.
    pub fn key(&mut self, event: &KeyEvent) -> Edited {
        let before = self.text.len();
        match (event.code, event.modifiers.contains(KeyModifiers::CONTROL)) {
            (KeyCode::Char('a'), true) | (KeyCode::Home, _) => self.cursor = 0,
            (KeyCode::Char('e'), true) | (KeyCode::End, _) => self.cursor = self.text.len(),
            (KeyCode::Left, _) | (KeyCode::Char('b'), true) => self.cursor = self.previous(),
            (KeyCode::Right, _) => self.cursor = self.following(),
            (KeyCode::Char('u'), true) => {
                self.text.replace_range(..self.cursor, "");
                self.cursor = 0;
            }
            (KeyCode::Char('k'), true) => self.text.truncate(self.cursor),
            (KeyCode::Char('w'), true) => {
                let kept = self.text[..self.cursor]
                    .trim_end()
                    .rfind(' ')
                    .map_or(0, |at| at + 1);
                self.text.replace_range(kept..self.cursor, "");
                self.cursor = kept;
            }
            (KeyCode::Backspace, _) => {
                let start = self.previous();
                self.text.replace_range(start..self.cursor, "");
                self.cursor = start;
            }
            (KeyCode::Delete, _) | (KeyCode::Char('d'), true) => {
                let end = self.following();
                self.text.replace_range(self.cursor..end, "");
            }
            (KeyCode::Char(character), false) => {
                self.insert(character.encode_utf8(&mut [0; 4]));
                return Edited::Text;
            }
            _ => {}
        }
        if self.text.len() == before {
            Edited::Nothing
        } else {
            Edited::Text
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control(letter: char) -> KeyEvent {
        KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL)
    }

    fn plain(code: KeyCode) -> KeyEvent {
        KeyEvent::new(code, KeyModifiers::NONE)
    }

    #[test]
    fn edits_whole_graphemes() {
        let mut line = LineEdit::new("añ👩‍👩‍👧");
        line.key(&plain(KeyCode::Backspace));
        assert_eq!(line.text(), "añ");
        line.key(&plain(KeyCode::Left));
        line.key(&plain(KeyCode::Char('x')));
        assert_eq!((line.text(), line.cursor()), ("axñ", 2));
        line.key(&plain(KeyCode::Delete));
        assert_eq!(line.text(), "ax");
    }

    #[test]
    fn words_are_cut_and_completed() {
        let mut line = LineEdit::new("level>=error sou");
        assert_eq!(line.word(), "sou");
        line.replace_word("source:");
        assert_eq!(line.text(), "level>=error source:");
        line.key(&control('w'));
        assert_eq!(line.text(), "level>=error ");
        line.insert("-request_id:req-7");
        assert_eq!(line.word(), "request_id:req-7");
        line.key(&control('w'));
        line.key(&control('u'));
        assert_eq!(line.text(), "");
    }

    #[test]
    fn a_paste_never_brings_control_characters() {
        let mut line = LineEdit::default();
        line.insert("a\n\x1b[31mb");
        assert_eq!(line.text(), "a  [31mb");
    }
}
