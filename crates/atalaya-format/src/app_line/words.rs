//! What a word of a header is: a level, a process, a name, an id.

use super::super::fields::worded;
use atalaya_domain::record::Level;

/// A level in any spelling that loggers use in a column of its own.
///
/// Sources: the documentation of the loggers, and the resource bundles of `java.util.logging`, which
/// writes its levels in the language of the host.
pub fn level_of(word: &str) -> Option<Level> {
    const MORE: [(&str, Level); 38] = [
        ("VRB", Level::Debug),
        ("DEBG", Level::Debug),
        ("DBUG", Level::Debug),
        ("BLAT", Level::Debug),
        ("VERB", Level::Debug),
        ("VBS", Level::Debug),
        ("SILLY", Level::Debug),
        ("NTC", Level::Info),
        ("NOTI", Level::Info),
        ("HTTP", Level::Info),
        ("OKAY", Level::Info),
        ("WRNG", Level::Warning),
        ("CRT", Level::Critical),
        ("PNC", Level::Critical),
        ("ALRT", Level::Critical),
        ("EMRG", Level::Critical),
        ("FAIL", Level::Error),
        ("SCHWERWIEGEND", Level::Error),
        ("WARNUNG", Level::Warning),
        ("KONFIGURATION", Level::Info),
        ("FEIN", Level::Debug),
        ("FEINER", Level::Debug),
        ("GRAVE", Level::Error),
        ("AVERTISSEMENT", Level::Warning),
        ("ATTENTION", Level::Warning),
        ("INFOS", Level::Info),
        ("ADVERTENCIA", Level::Warning),
        ("INFORMACIÓN", Level::Info),
        ("AVVERTENZA", Level::Warning),
        ("INFORMAZIONI", Level::Info),
        ("ADVERTÊNCIA", Level::Warning),
        ("INFORMAÇÕES", Level::Info),
        ("重大", Level::Error),
        ("严重", Level::Error),
        ("警告", Level::Warning),
        ("情報", Level::Info),
        ("信息", Level::Info),
        ("详细", Level::Debug),
    ];
    worded(word).or_else(|| {
        let known = |known: &&(&str, Level)| known.0.eq_ignore_ascii_case(word);
        MORE.iter().find(known).map(|&(_, level)| level)
    })
}

/// A level in capitals, as headers have it where nothing else marks the word.
///
/// Words that are levels to one program only, and text to all others (`LOG`, `SYSTEM`, `HTTP`), are
/// none here.
pub fn capital_level(word: &str) -> Option<Level> {
    let bytes = word.as_bytes();
    if !(3..=18).contains(&bytes.len()) || bytes.iter().any(u8::is_ascii_lowercase) {
        return None;
    }
    if !(bytes[0].is_ascii_uppercase() || bytes[0] >= 0xe0) {
        return None;
    }
    if matches!(
        word,
        "LOG" | "SYSTEM" | "STATS" | "NOTE" | "HTTP" | "FAIL" | "SILLY" | "ATTENTION"
    ) {
        return None;
    }
    level_of(word)
}

/// A level in any case, where its place says that it is one: alone in brackets or in a column.
pub fn placed_level(word: &str) -> Option<Level> {
    let word = word.trim_ascii();
    match *word.as_bytes() {
        [letter] if letter.is_ascii_uppercase() => level_of(word),
        [] | [_] | [_, _] => None,
        _ if word.len() > 20
            || !word
                .bytes()
                .all(|byte| byte.is_ascii_alphabetic() || byte >= 0x80) =>
        {
            None
        }
        _ => level_of(word),
    }
}

pub fn is_number(word: &str) -> bool {
    !word.is_empty() && word.len() <= 20 && word.bytes().all(|byte| byte.is_ascii_digit())
}

/// A process or thread as a number: decimal, or hexadecimal with or without `0x`.
pub fn is_process(word: &str) -> bool {
    is_number(word)
        || word.strip_prefix("0x").is_some_and(|hex| {
            !hex.is_empty() && hex.len() <= 16 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
}

/// What may be the name of a logger, a module, a class, a host or a program.
pub fn is_name(word: &str) -> bool {
    let bytes = word.as_bytes();
    let starts = bytes
        .first()
        .is_some_and(|first| first.is_ascii_alphabetic() || *first == b'_' || *first >= 0x80);
    starts
        && bytes.len() <= 120
        && bytes.iter().all(|byte| {
            byte.is_ascii_alphanumeric()
                || matches!(
                    byte,
                    b'.' | b'_' | b'-' | b'$' | b'/' | b':' | b'@' | b'#' | b'<' | b'>'
                )
                || *byte >= 0x80
        })
        && !(memchr::memchr(b':', bytes).is_some() && word.contains("://"))
}

/// A name of several parts, as classes and modules have them: `c.e.Pay`, `depot.pay`, `depot::pay`.
pub fn is_dotted(word: &str) -> bool {
    // Hosts, files and sentences are no classes.
    const NO_CLASS: [&str; 13] = [
        "com", "org", "net", "io", "de", "eu", "log", "txt", "json", "html", "yml", "yaml", "csv",
    ];
    let bytes = word.as_bytes();
    let starts = |at: usize| {
        bytes.get(at).is_some_and(|byte| {
            byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'$') || *byte >= 0x80
        })
    };
    let (mut at, mut last) = (0, 0);
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'.' => last = at,
            b':' if bytes.get(at) == Some(&b':') => {
                at += 1;
                last = at;
            }
            b':' => return false,
            _ => continue,
        }
        if !starts(last) {
            return false;
        }
    }
    last > 0
        && is_name(word)
        && memchr::memchr(b'@', bytes).is_none()
        && !word
            .get(last..)
            .is_some_and(|last| NO_CLASS.contains(&last))
        && !word.starts_with("www.")
}

/// The kinds of names that run-times and servers give their threads.
pub fn is_thread(word: &str) -> bool {
    let bytes = word.as_bytes();
    // A number at the end counts threads of a kind.
    let digits = bytes
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let before = bytes
        .len()
        .checked_sub(digits + 1)
        .and_then(|at| bytes.get(at));
    if digits > 0 && matches!(before, Some(b'-' | b'#' | b'_' | b' '))
        || matches!(word, "main" | "Main" | "MAIN")
    {
        return true;
    }
    (0..bytes.len()).any(|at| {
        let part: &[&str] = match bytes[at] {
            b'h' => &["hread"],
            b'p' => &["pool"],
            b'P' => &["Pool"],
            b'e' => &["exec-", "executor", "event-loop", "eventLoop"],
            b'w' => &["worker"],
            b's' => &["scheduler"],
            b'q' => &["qtp"],
            b'n' => &["nio-"],
            b'T' => &["Timer-"],
            b'd' => &["dispatcher"],
            b'M' => &["MainProcess"],
            _ => return false,
        };
        part.iter()
            .any(|part| bytes.get(at..at + part.len()) == Some(part.as_bytes()))
    })
}

/// A UUID, 16 or 32 hexadecimal digits, or `req-` and a UUID: an id, whatever stands around it.
pub fn is_id(word: &str) -> bool {
    let word = word.strip_prefix("req-").unwrap_or(word);
    let bytes = word.as_bytes();
    let hex = |bytes: &[u8]| bytes.iter().all(u8::is_ascii_hexdigit);
    match bytes.len() {
        36 => bytes.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        }),
        // A number of 16 digits may be anything.
        16 | 32 => hex(bytes) && !is_number(word),
        _ => false,
    }
}

/// Words apart by commas of which the second may be an id: what Sleuth prints.
pub fn is_ids(text: &str) -> bool {
    let mut parts = text.split(',').map(str::trim_ascii);
    text.contains(',')
        && !text.contains(' ')
        && parts
            .next()
            .is_some_and(|name| name.is_empty() || is_name(name) || is_id(name))
        && parts.all(|part| {
            part.is_empty() || is_id(part) || matches!(part, "true" | "false") || is_hex(part)
        })
}

fn is_hex(text: &str) -> bool {
    text.len() >= 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// `pay.py:12`, `Pay.java:12`, `pay/charge.go:84`: a file with a line in it.
pub fn file_and_line(word: &str) -> Option<(&str, &str)> {
    const SOURCES: [&str; 34] = [
        "py", "pyx", "java", "kt", "scala", "groovy", "go", "rs", "js", "ts", "mjs", "cjs", "jsx",
        "tsx", "rb", "php", "c", "cc", "cpp", "cxx", "h", "hh", "hpp", "cs", "vb", "fs", "swift",
        "m", "mm", "ex", "erl", "pl", "lua", "clj",
    ];
    let (file, line) = word.rsplit_once(':')?;
    let line = line.trim_ascii();
    let file = file.trim_ascii_end();
    let (stem, extension) = file.rsplit_once('.')?;
    let is_file = !stem.is_empty() && !file.contains(' ') && SOURCES.contains(&extension);
    (is_file && is_number(line) && line.len() <= 7).then_some((file, line))
}

/// A word of ordinary text that may stand in front of a level word in a sentence, where a name could.
pub fn is_prose(word: &str) -> bool {
    const WORDS: [&str; 44] = [
        "a",
        "an",
        "the",
        "no",
        "got",
        "get",
        "with",
        "has",
        "had",
        "was",
        "were",
        "is",
        "are",
        "and",
        "or",
        "in",
        "of",
        "for",
        "to",
        "on",
        "by",
        "at",
        "as",
        "this",
        "that",
        "there",
        "unknown",
        "internal",
        "unexpected",
        "found",
        "received",
        "returned",
        "new",
        "first",
        "last",
        "same",
        "any",
        "some",
        "your",
        "it",
        "be",
        "not",
        "from",
        "level",
    ];
    WORDS.iter().any(|known| known.eq_ignore_ascii_case(word))
}

/// A word that stands before a colon in texts and is the name of nobody: `ValueError`, `spawned`,
/// `Warning`.
pub fn is_no_logger(word: &str) -> bool {
    let last = word.rsplit(['.', ':']).next().unwrap_or(word);
    last.ends_with("Error")
        || last.ends_with("Exception")
        || last.ends_with("Warning")
        || last.ends_with("Throwable")
        || matches!(
            last,
            "success" | "error" | "warning" | "note" | "failure" | "hint" | "gave up" | "Error"
        )
        || (word == last
            && last.len() > 4
            && last.ends_with("ed")
            && last.bytes().all(|b| b.is_ascii_alphabetic()))
        || matches!(
            word,
            "http" | "https" | "Reason" | "Message" | "Note" | "Hint" | "Cause" | "Failed"
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_in_their_places() {
        for (word, level) in [
            ("ERR", Some(Level::Error)),
            ("INF", Some(Level::Info)),
            ("WARN", Some(Level::Warning)),
            ("DEBG", Some(Level::Debug)),
            ("SCHWERWIEGEND", Some(Level::Error)),
            ("INFORMACIÓN", Some(Level::Info)),
            ("警告", Some(Level::Warning)),
            ("LOG", None),
            ("HTTP", None),
            ("Error", None),
            ("I", None),
            ("SELECT", None),
        ] {
            assert_eq!(capital_level(word), level, "{word}");
        }
        assert_eq!(placed_level("Error "), Some(Level::Error));
        assert_eq!(placed_level("E"), Some(Level::Error));
        assert_eq!(placed_level("e"), None);
        assert_eq!(placed_level("main"), None);
    }

    #[test]
    fn names_and_what_is_none() {
        for word in ["c.e.Pay", "depot.pay", "depot::pay", "o.a.c.C.[x]"] {
            assert_eq!(is_dotted(word), !word.contains('['), "{word}");
        }
        for word in [
            "www.example.com",
            "app.log",
            "1.2",
            "end.",
            "pay",
            "a..b",
            "me@a.b",
        ] {
            assert!(!is_dotted(word), "{word}");
        }
        for word in [
            "main",
            "nio-8080-exec-1",
            "Thread-4",
            "pool-1-thread-2",
            "ForkPoolWorker-1",
            "qtp12-31",
        ] {
            assert!(is_thread(word), "{word}");
        }
        assert!(!is_thread("depot") && !is_thread("depot.pay"));
        assert!(
            is_id("0879de55-0817-4d5c-9f37-7ed2755a72e1")
                && is_id("req-0879de55-0817-4d5c-9f37-7ed2755a72e1")
        );
        assert!(
            is_id("b497765b27218d428f9a6fd04a4951bf")
                && !is_id("1234567812345678")
                && !is_id("orders")
        );
        assert_eq!(
            file_and_line("Controller.py:265"),
            Some(("Controller.py", "265"))
        );
        assert_eq!(file_and_line("depot.Pay:12"), None);
        assert_eq!(file_and_line("depot.pay:12"), None);
        assert!(
            is_no_logger("spawned")
                && is_no_logger("java.lang.IllegalStateException")
                && !is_no_logger("feed")
        );
    }
}
