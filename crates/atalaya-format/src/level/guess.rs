//! The walk through the words of a text for [`guess`](super::guess).

use atalaya_domain::record::Level;

use super::{
    Case, GUESS_WORDS, LONGEST, from_letter, from_word, is_key, is_prose, is_word_byte,
    may_be_level, says_none, value,
};

/// Words behind which `error` and the like are the subject of a sentence, not its level.
const COMPOUNDS: [&str; 22] = [
    "free",
    "rate",
    "rates",
    "count",
    "counts",
    "counter",
    "log",
    "logs",
    "handler",
    "handlers",
    "handling",
    "page",
    "pages",
    "reporting",
    "tracking",
    "budget",
    "budgets",
    "level",
    "levels",
    "correction",
    "recovery",
    "threshold",
];
/// Words before which they are denied or supposed.
const DENIALS: [&str; 11] = [
    "no", "not", "without", "zero", "any", "if", "on", "non", "of", "0", "ignore",
];

/// A word of a text with what stands beside it.
struct Word<'a> {
    head: &'a str,
    text: &'a str,
    start: usize,
    end: usize,
    /// 1 for the first word outside of brackets; numbers do not count.
    rank: usize,
    previous: &'a str,
}

/// The level of a text that is short enough already; `None` when no word looks like one.
pub fn level(head: &str) -> Option<Level> {
    let bytes = head.as_bytes();
    let mut weak = None;
    let (mut rank, mut depth, mut at) = (0, 0_usize, 0);
    let (mut numbers, mut looked) = (false, false);
    let mut previous = 0..0;
    while let Some(&byte) = bytes.get(at) {
        if !is_word_byte(byte) {
            match byte {
                b'[' => depth += 1,
                b']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            at += 1;
            continue;
        }
        let start = at;
        let rest = bytes.get(at..).unwrap_or_default();
        at += rest
            .iter()
            .position(|byte| !is_word_byte(*byte))
            .unwrap_or(rest.len());
        // Parts of a stamp are no words.
        let number = byte.is_ascii_digit();
        numbers |= number;
        rank += usize::from(!number && depth == 0);
        let kind = if number {
            Kind::Other
        } else {
            Kind::of(&bytes[start..at])
        };
        if kind != Kind::Other
            && let Some(word) = head.get(start..at)
        {
            looked = true;
            let previous = head.get(previous.clone()).unwrap_or("");
            let word = Word {
                head,
                text: word,
                start,
                end: at,
                rank: rank.max(1),
                previous,
            };
            match word.read(kind, numbers) {
                Some(Find::Sure(level)) => return Some(level),
                Some(Find::Maybe(level)) => weak = weak.or(Some(level)),
                None => {}
            }
        }
        previous = start..at;
    }
    weak.or(looked.then(Level::default))
}

/// What a word may be, from a glance.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Letter,
    /// A level or a level's key.
    Level,
    /// Of the head of an exception.
    Exception,
    Other,
}

impl Kind {
    #[inline]
    fn of(word: &[u8]) -> Self {
        match word {
            [b'V' | b'D' | b'T' | b'I' | b'W' | b'E' | b'F' | b'C'] => Self::Letter,
            [_] | [_, _] => Self::Other,
            _ if word.len() <= LONGEST && may_be_level(word) => Self::Level,
            // `…Exception`, `…Error`, `Traceback`, `Unhandled`, `Uncaught`.
            [.., b'i' | b'I', b'o', b'n']
            | [.., b'r', b'o', b'r']
            | [.., b'a', b'c', b'k']
            | [.., b'l' | b'L', b'e', b'd']
            | [.., b'g' | b'G', b'h', b't']
                if word.len() >= 6 =>
            {
                Self::Exception
            }
            _ => Self::Other,
        }
    }
}

enum Find {
    /// Stands where a level stands: the search ends.
    Sure(Level),
    /// A word of the text; a level key behind it says it better.
    Maybe(Level),
}

impl Word<'_> {
    fn byte(&self, at: usize) -> u8 {
        self.head.as_bytes().get(at).copied().unwrap_or(0)
    }

    fn next(&self) -> u8 {
        self.byte(self.end)
    }

    fn before(&self) -> u8 {
        if self.start == 0 {
            0
        } else {
            self.byte(self.start - 1)
        }
    }

    /// What follows the word and its blanks.
    fn after(&self) -> &str {
        self.head
            .get(self.end..)
            .unwrap_or("")
            .trim_start_matches(' ')
    }

    fn read(&self, kind: Kind, numbers: bool) -> Option<Find> {
        match kind {
            Kind::Letter => return self.letter(numbers),
            Kind::Exception => return self.exception(),
            Kind::Level => {}
            Kind::Other => return None,
        }
        // `log level: debug` is about the log.
        if is_key(self.text) && !self.previous.eq_ignore_ascii_case("log") {
            let rest = self.head.get(self.end..)?.trim_start_matches(['"', '\'']);
            return value(rest.trim_start_matches(' ')).map(|(level, _)| Find::Sure(level));
        }
        if self.text.ends_with(|last: char| last.is_ascii_digit())
            && !self.text.starts_with(['d', 'D', 't', 'T'])
        {
            return None;
        }
        match from_word(self.text) {
            Some(level) => self.placed(level),
            None => self.exception(),
        }
    }

    /// One letter: `[E]`, `|E|`, `E/Tag`, and alone behind a stamp.
    fn letter(&self, numbers: bool) -> Option<Find> {
        let letter = *self.text.as_bytes().first()?;
        let stands = match (self.before(), self.next()) {
            (b'[', b']') | (b'(', b')') | (b'|', b'|') | (b'<', b'>') => self.rank <= GUESS_WORDS,
            (0 | b' ' | b'\t', b'/') => {
                self.rank == 1 && self.byte(self.end + 1).is_ascii_alphabetic()
            }
            (b' ' | b'\t', b' ' | b'\t' | b':') => {
                self.rank == 1 && numbers && b"VIWEF".contains(&letter)
            }
            // Ruby: `E, [2024-…`.
            (0, b',') => self.byte(self.end + 1) == b' ' && self.byte(self.end + 2) == b'[',
            _ => false,
        };
        from_letter(letter).filter(|_| stands).map(Find::Sure)
    }

    /// Where a level word stands decides whether it is one.
    fn placed(&self, level: Level) -> Option<Find> {
        let (before, next) = (self.before(), self.next());
        // A key, a part of a path, a name or a compound: `error=0`, `non-fatal`, `$error`.
        let assigned = next == b'=' && self.byte(self.end + 1) != b'=';
        let hyphen =
            before == b'-' && self.start >= 2 && self.byte(self.start - 2).is_ascii_alphabetic();
        if assigned || hyphen || matches!(before, b'$' | b'@') || self.is_denied() {
            return None;
        }
        let case = Case::of(self.text);
        if self.in_brackets(before) {
            return Some(Find::Sure(level));
        }
        let colon = self.after().starts_with(':') && !self.after().starts_with("::");
        if case == Case::Capitals {
            // A part of a path in capitals is a name.
            let path = before == b'/' && next == b'/';
            return (!path && (colon || next == b'|' || !is_prose(self.text, case)))
                .then_some(Find::Sure(level));
        }
        if matches!(before, b'/' | b'.' | b'=' | b'\\') && !colon
            || matches!(next, b'/' | b'\\' | b'-' | b'(')
        {
            return None;
        }
        if next == b'.' && is_word_byte(self.byte(self.end + 1)) {
            return None;
        }
        if colon {
            return self.before_colon(level, case);
        }
        self.in_prose(level, case)
    }

    /// `[error]`, `[ WARN ]`, `<error>`, `|info|`, `[core:error]`, `<auth.info>`.
    fn in_brackets(&self, before: u8) -> bool {
        let closes = match self.next() {
            b']' | b'>' | b'|' => true,
            b' ' => self.after().starts_with([']', '|']),
            _ => false,
        };
        let bare = self
            .head
            .get(..self.start)
            .unwrap_or("")
            .trim_end_matches(' ');
        closes && (matches!(before, b':' | b'.' | b'/') || bare.ends_with(['[', '<', '|']))
    }

    /// `error: …`: wherever it stands for what needs a look, at the start for the others.
    fn before_colon(&self, level: Level, case: Case) -> Option<Find> {
        if says_none(self.after()) {
            return None;
        }
        if is_prose(self.text, case) {
            let head = self.rank == 1 && matches!(self.text, "panic" | "fail");
            return head.then_some(Find::Sure(level));
        }
        match level {
            // `Stack trace: …`, `more info: …`: behind a word it is what the sentence is about.
            Level::Debug | Level::Info if self.rank > 1 && self.is_behind_word() => None,
            Level::Error if self.previous.eq_ignore_ascii_case("fatal") => {
                Some(Find::Sure(Level::Critical))
            }
            // `… Error: x` may be the name of what follows a level word.
            Level::Error if case == Case::Mixed => Some(Find::Maybe(level)),
            _ => Some(Find::Sure(level)),
        }
    }

    fn is_behind_word(&self) -> bool {
        let bare = self
            .head
            .get(..self.start)
            .unwrap_or("")
            .trim_end_matches(' ');
        bare.as_bytes()
            .last()
            .is_some_and(|byte| is_word_byte(*byte))
    }

    /// A word among others.
    fn in_prose(&self, level: Level, case: Case) -> Option<Find> {
        if self.rank > GUESS_WORDS || is_prose(self.text, case) {
            return None;
        }
        let lower = |word: &str| self.text.eq_ignore_ascii_case(word);
        if self.rank == 1 && self.text.starts_with(['e', 'E']) && lower("exception") {
            return Some(Find::Maybe(Level::Error));
        }
        let follows = self
            .after()
            .split(|next: char| !next.is_ascii_alphanumeric())
            .next()
            .unwrap_or("");
        if COMPOUNDS
            .iter()
            .any(|word| word.eq_ignore_ascii_case(follows))
        {
            return None;
        }
        let counts = match (self.rank, case) {
            // The column of the level, in the many programs that write it small.
            (1, Case::Lower) => true,
            (1, _) => level >= Level::Warning,
            _ => lower("error") || lower("warning") || lower("fatal"),
        };
        counts.then_some(Find::Maybe(level))
    }

    /// `no error`, `0 errors`, `non-fatal`, `on error`.
    fn is_denied(&self) -> bool {
        let near = self
            .head
            .get(..self.start)
            .is_some_and(|head| head.ends_with([' ', '-']));
        near && DENIALS
            .iter()
            .any(|word| word.eq_ignore_ascii_case(self.previous))
    }

    /// The head of an exception or of a trace: `java.io.IOException: …`, `TypeError: …`,
    /// `Exception in thread`, `Unhandled exception`, `Uncaught …`, `Traceback (most recent …`.
    fn exception(&self) -> Option<Find> {
        if self.rank > GUESS_WORDS {
            return None;
        }
        let word = self.text;
        let found = match word.as_bytes().first()? {
            b'u' | b'U'
                if word.eq_ignore_ascii_case("unhandled")
                    || word.eq_ignore_ascii_case("uncaught") =>
            {
                let about = self.after().get(..64).unwrap_or(self.after());
                ["xception", "rror", "ejection"]
                    .iter()
                    .any(|part| about.contains(part))
            }
            b'T' if word == "Traceback" => self.after().starts_with("(most recent call last)"),
            b'E' if word == "Exception" => {
                self.next() == b':' || self.after().starts_with("in thread")
            }
            _ => {
                let named = word
                    .strip_suffix("Exception")
                    .or_else(|| word.strip_suffix("Error"));
                named.is_some_and(|name| name.ends_with(|last: char| last.is_ascii_alphanumeric()))
                    && matches!(self.next(), b':' | b'[' | b'\n' | 0)
            }
        };
        found.then_some(Find::Maybe(Level::Error))
    }
}
