//! Level words as inputs spell them, the guess for text that no format reads, and the level word
//! at the very start of a text.
//!
//! Everything here looks at the first bytes only and allocates nothing.

use atalaya_domain::record::Level;

/// How far into a text the guess looks: levels stand near the start, and a scan must stay cheap.
const GUESS_BYTES: usize = 256;
/// A level word in lower case counts only among the first words; later it is prose.
const GUESS_WORDS: usize = 6;
/// The longest level word, in bytes.
const LONGEST: usize = 13;

/// A level word with what inputs hang on it: `debug2`, `trace8`, `[WARN]`, `INFO:`.
pub fn from_word(word: &str) -> Option<Level> {
    if let Some(level) = fast(word) {
        return Some(level);
    }
    let word = word.trim_matches(|c: char| c.is_ascii() && !c.is_ascii_alphanumeric());
    let word = word.trim_end_matches(|c: char| c.is_ascii_digit());
    if word.is_empty() || word.len() > LONGEST {
        None
    } else {
        Level::from_word(word)
    }
}

/// The spellings that nearly all lines use, without a walk through the table.
fn fast(word: &str) -> Option<Level> {
    Some(match word {
        "info" | "INFO" | "notice" => Level::Info,
        "error" | "ERROR" => Level::Error,
        "warn" | "WARN" | "warning" | "WARNING" => Level::Warning,
        "debug" | "DEBUG" => Level::Debug,
        _ => return None,
    })
}

/// The first and second letters of all level words and level keys, and their second and third.
const HEADS: Pairs = Pairs::new(
    b"ad al av co cr db de dp em er fa fe fi fo ft gr hi in kr le lo lv no pa sc se si st su sy tr \
      ve vr wa wr",
);
const NECKS: Pairs = Pairs::new(
    b"aa ai an ar at bg bu ch dv eb eh ei ep er ev il in le me nf og on ot ou pa ra rb rc ri rn ro \
      rr rt ta tl uc ve vi vl vv ys",
);

/// Their first and last letters.
const ENDS: Pairs = Pairs::new(
    b"aa ao at ce cg cl co ct dc dd dg dn du ee eg eo er ey fa fe fl fn fr ft ge hs ie if ii il in \
      io is kh le lg ll ly ne nt pc pi pk sd se sm ss sv sy tc te vb ve wg wi wn",
);

/// Whether any level word or key begins and ends like this: most words of a text do not, and need
/// no walk through the table.
#[inline]
fn may_be_level(word: &[u8]) -> bool {
    let (Some(&first), Some(&last)) = (word.first(), word.last()) else {
        return false;
    };
    HEADS.may_have(word)
        && NECKS.may_have(word.get(1..).unwrap_or_default())
        // `debug5`, `trace8`.
        && (last.is_ascii_digit() || ENDS.may_have(&[first, last]))
}

/// [`from_word`] for any word of a text, of which few are levels.
pub fn of_any_word(word: &str) -> Option<Level> {
    if (3..=LONGEST).contains(&word.len()) && may_be_level(word.as_bytes()) {
        from_word(word)
    } else {
        None
    }
}

/// Levels written with one letter: `I`, `W`, `E`, `F` (glog, klog), `D`, `T`, `V`, `N`, `C`.
pub fn from_letter(letter: u8) -> Option<Level> {
    Some(match letter.to_ascii_uppercase() {
        b'T' | b'D' | b'V' => Level::Debug,
        b'I' | b'N' => Level::Info,
        b'W' => Level::Warning,
        b'E' => Level::Error,
        b'F' | b'C' | b'P' => Level::Critical,
        _ => return None,
    })
}

/// Words that are levels in some formats and plain prose in a text: they count only with brackets
/// or a colon, the first ones also in capitals.
const PROSE: [&str; 14] = [
    "log",
    "system",
    "fine",
    "note",
    "config",
    "stats",
    "success",
    "alert",
    "emergency",
    "panic",
    "fail",
    "grave",
    "information",
    "silly",
];
const PROSE_IN_CAPITALS: usize = 7;

fn is_prose(word: &str, case: Case) -> bool {
    let words = if case == Case::Capitals {
        PROSE.get(..PROSE_IN_CAPITALS)
    } else {
        PROSE.get(..)
    };
    words
        .unwrap_or_default()
        .iter()
        .any(|prose| prose.eq_ignore_ascii_case(word))
}

/// Whether the value behind a colon says that there is none: `error: null`, `warning: 0`.
fn says_none(after: &str) -> bool {
    const NOTHING: [&str; 9] = [
        "0", "null", "none", "None", "nil", "false", "true", "{}", "[]",
    ];
    let said = after.trim_start_matches([':', ' ', '"']);
    NOTHING.iter().any(|word| {
        said.strip_prefix(word).is_some_and(|rest| {
            !rest.starts_with(|next: char| {
                next.is_ascii_alphanumeric() || matches!(next, '.' | ':' | '[')
            })
        })
    })
}

/// The level word that stands at the very start of a text, with its trimmings, and the text behind
/// them: `ERROR `, `WARN:`, `ERR :`, `[error] `, `[E] `, `<3>`, `level=error `, `ERRO[0012] `,
/// `E/Tag( 12): `.
///
/// A word counts in capitals, in brackets or before a colon. `Error: …` in mixed case is the head
/// of an exception and does not count; nor does `E `, which may be a word.
pub fn at_start(text: &str) -> Option<(Level, &str)> {
    let bytes = text.as_bytes();
    match *bytes.first()? {
        b'[' | b'<' | b'(' => bracketed(text),
        b'=' => report(text),
        byte if byte.is_ascii_alphabetic() || byte >= 0xc3 => {
            if bytes.get(1) == Some(&b'/') {
                return android(text);
            }
            if let Some(rest) = text.strip_prefix("PHP ") {
                return php(rest);
            }
            unbracketed(text)
        }
        _ => None,
    }
}

/// `[ERROR] `, `[ warn ]`, `<error>`, `(I) `, and `<3>` as services write it for journald.
fn bracketed(text: &str) -> Option<(Level, &str)> {
    let closing = match text.as_bytes().first()? {
        b'[' => b']',
        b'<' => b'>',
        _ => b')',
    };
    let inside = text.get(1..)?;
    let end = inside
        .bytes()
        .take(LONGEST + 8)
        .position(|byte| byte == closing)?;
    let word = inside.get(..end)?.trim_ascii();
    let level = match *word.as_bytes() {
        [digit @ b'0'..=b'7'] if closing == b'>' => Level::from_syslog_severity(digit - b'0'),
        [letter] if letter.is_ascii_uppercase() => from_letter(letter)?,
        [_, _, _, ..] if is_word(word) => from_word(word)?,
        _ => return None,
    };
    Some((level, trimmed(inside.get(end + 1..)?)))
}

/// `=ERROR REPORT==== 1-May-2024::08:00:00 ===`, as Erlang has it.
fn report(text: &str) -> Option<(Level, &str)> {
    let (word, rest) = text
        .strip_prefix('=')?
        .split_at_checked(text.find(' ')?.checked_sub(1)?)?;
    let rest = rest.strip_prefix(" REPORT")?;
    let level = if matches!(word, "CRASH" | "SUPERVISOR") {
        Level::Error
    } else {
        from_word(word)?
    };
    Some((level, rest.trim_start_matches('=').trim_ascii_start()))
}

/// `E/Tag( 123): text`, as Android's log has it.
fn android(text: &str) -> Option<(Level, &str)> {
    let letter = *text
        .as_bytes()
        .first()
        .filter(|letter| b"VDIWEFA".contains(letter))?;
    let rest = text.get(2..)?;
    let open = rest.bytes().take(80).position(|byte| byte == b'(')?;
    let pid = rest.get(open + 1..)?;
    let close = pid.bytes().take(12).position(|byte| byte == b')')?;
    let is_pid = pid
        .get(..close)?
        .trim_ascii_start()
        .bytes()
        .all(|byte| byte.is_ascii_digit());
    let level = if letter == b'A' {
        Level::Critical
    } else {
        from_letter(letter)?
    };
    (is_pid && close > 0 && pid.get(close + 1..)?.starts_with(':')).then_some((level, rest))
}

/// What PHP prints behind its name: `Fatal error: `, `Warning: `, `Notice: `, `Deprecated: `.
fn php(rest: &str) -> Option<(Level, &str)> {
    let colon = rest.bytes().take(32).position(|byte| byte == b':')?;
    let level = match rest.get(..colon)? {
        "Fatal error" | "Recoverable fatal error" | "Core error" | "Compile error" => {
            Level::Critical
        }
        "Parse error" => Level::Error,
        "Warning" | "Deprecated" | "Core warning" | "Compile warning" => Level::Warning,
        "Notice" | "Strict Standards" | "Strict standards" => Level::Info,
        _ => return None,
    };
    Some((level, trimmed(rest.get(colon..)?)))
}

fn unbracketed(text: &str) -> Option<(Level, &str)> {
    let bytes = text.as_bytes();
    let end = bytes
        .iter()
        .take(LONGEST + 1)
        .position(|byte| !is_word_byte(*byte))
        .unwrap_or(bytes.len());
    let (word, rest) = text.split_at_checked(end)?;
    if is_key(word) {
        return value(rest);
    }
    if !(3..=LONGEST).contains(&word.len())
        || !may_be_level(word.as_bytes())
        || word.ends_with(|last: char| last.is_ascii_digit())
    {
        return None;
    }
    let bare = rest.trim_ascii_start();
    let colon = bare.starts_with(':') && !bare.starts_with("::");
    let glued = colon && rest.starts_with(':');
    let case = Case::of(word);
    if case != Case::Capitals && (!glued || says_none(bare)) {
        return None;
    }
    let level = from_word(word)?;
    let counts = match case {
        Case::Capitals => colon || !is_prose(word, case) && sets_apart(rest),
        // Rust's notes and the keys of YAML stand there too.
        Case::Lower => !is_prose(word, case) || matches!(word, "fail" | "panic"),
        Case::Mixed => !is_prose(word, case) && level != Level::Error,
    };
    // `ERRO[0012]`: seconds since the start, or a stamp, is what logrus has in the brackets.
    counts.then(|| (level, trimmed(rest)))
}

/// Whether a word in capitals ends here as a column does.
fn sets_apart(rest: &str) -> bool {
    rest.bytes()
        .next()
        .is_none_or(|next| matches!(next, b' ' | b'\t' | b'|' | b'[' | b';' | b',' | b'\n'))
}

/// The value of a level key: `=error `, `="error"`, `: ERROR`.
fn value(rest: &str) -> Option<(Level, &str)> {
    let inside = rest
        .strip_prefix(['=', ':'])?
        .trim_start_matches(['"', '\'', ' ']);
    let end = inside
        .bytes()
        .take(LONGEST + 1)
        .position(|byte| !is_word_byte(byte))
        .unwrap_or(inside.len());
    let (word, rest) = inside.split_at_checked(end)?;
    let level = from_word(word).filter(|_| is_word(word))?;
    Some((level, trimmed(rest.trim_start_matches(['"', '\'']))))
}

/// The text behind a level word without what sets it apart.
fn trimmed(rest: &str) -> &str {
    let rest = rest.trim_start_matches([' ', '\t']);
    rest.strip_prefix([':', '|', ';', ','])
        .unwrap_or(rest)
        .trim_start_matches([' ', '\t'])
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    Capitals,
    Lower,
    Mixed,
}

impl Case {
    fn of(word: &str) -> Self {
        let lower = word.bytes().any(|byte| byte.is_ascii_lowercase());
        let upper = word.bytes().any(|byte| byte.is_ascii_uppercase());
        match (upper, lower) {
            (false, true) => Self::Lower,
            (true, true) => Self::Mixed,
            // Scripts without cases read as capitals.
            _ => Self::Capitals,
        }
    }
}

/// Bytes of words, by table: the guess asks for every byte.
const WORD_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let mut at = 0;
    while at < 256 {
        let byte = at as u8;
        table[at] = byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80;
        at += 1;
    }
    table
};

#[inline]
fn is_word_byte(byte: u8) -> bool {
    WORD_BYTES[usize::from(byte)]
}

fn is_word(word: &str) -> bool {
    word.bytes()
        .all(|byte| byte.is_ascii_alphabetic() || byte >= 0x80)
}

/// Keys whose value is a level.
fn is_key(word: &str) -> bool {
    const KEYS: [&str; 9] = [
        "level",
        "lvl",
        "severity",
        "loglevel",
        "log_level",
        "levelname",
        "level_name",
        "sev",
        "log_severity",
    ];
    matches!(word.as_bytes().first(), Some(b'l' | b'L' | b's' | b'S'))
        && KEYS.iter().any(|key| key.eq_ignore_ascii_case(word))
}

/// The level that a text says by its words; INFO when it says none.
///
/// What stands where levels stand counts first: at the start, as the value of a level key, in
/// capitals, in brackets, before a colon. A word in lower case counts only among the first words,
/// and not in what says the opposite (`no error`, `error rate`). The head of an exception or of a
/// trace is an error.
pub fn guess(text: &str) -> Level {
    said(text).unwrap_or_default()
}

/// [`guess`]; `None` when no word of the text even looks like a level.
pub fn said(text: &str) -> Option<Level> {
    at_head(text).or_else(|| {
        let mut end = text.len().min(GUESS_BYTES);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        guess::level(text.get(..end).unwrap_or(text))
    })
}

/// Whether the guess looks at all of a text.
pub const fn is_guessed_whole(text: &str) -> bool {
    text.len() <= GUESS_BYTES
}

/// The level that a text begins with.
pub fn at_head(text: &str) -> Option<Level> {
    if let Some((level, _)) = at_start(text) {
        return Some(level);
    }
    // glog and klog: the letter is glued to the stamp.
    if let &[
        letter @ (b'I' | b'W' | b'E' | b'F'),
        b'0' | b'1' | b'2',
        b'0'..=b'9',
        b'0'..=b'9',
        b'0'..=b'9',
        ..,
    ] = text.as_bytes()
        && text.bytes().take(16).any(|byte| byte == b':')
    {
        return from_letter(letter);
    }
    None
}

mod guess;
mod pairs;

pub use pairs::Pairs;

#[cfg(test)]
mod tests;
