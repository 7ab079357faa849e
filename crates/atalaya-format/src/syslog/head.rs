//! What stands between the stamp and the text: the host, the program, its process.

use std::net::IpAddr;

use super::super::split;
use super::super::{Parsed, level};
use super::priority::{self, Words};
use super::{cisco, stamps};

/// Host and program of a line.
#[derive(Clone, Copy, Debug, Default)]
pub struct Head<'a> {
    /// Empty when there is none.
    pub host: &'a str,
    pub tag: Option<Tag<'a>>,
    pub text: &'a str,
    /// Facility and severity in words, as BSD's daemon and `BusyBox` write them into the line.
    pub priority: Option<Words>,
}

impl Head<'_> {
    /// Takes the priority that stands in the line; false without one.
    pub fn graded(&self, out: &mut Parsed<'_>) -> bool {
        if let Some(words) = self.priority {
            priority::put_named(words, out);
        }
        self.priority.is_some()
    }
}

/// `program[pid]:`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tag<'a> {
    pub program: &'a str,
    /// Empty when there is none.
    pub pid: &'a str,
    /// `<Error>` behind the process, as macOS has it.
    pub level: Option<&'a str>,
    /// A colon ends it.
    pub closed: bool,
    /// What follows, without the blank that parts them.
    pub text: &'a str,
}

pub fn all_digits(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit())
}

/// A word that is a level and is not used for anything else.
pub fn is_level(word: &str) -> bool {
    let word = word.trim_matches(['[', ']', ':']);
    // Most words here are names with digits in them, and need no walk through the table.
    if !(3..=13).contains(&word.len()) || !word.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return false;
    }
    match word {
        "INF" | "WRN" | "DBG" | "FTL" | "TRC" => true,
        // Written otherwise these are names: of programs, and of hosts.
        _ if word.bytes().any(|byte| byte.is_ascii_lowercase())
            && [
                "log", "system", "note", "config", "stats", "success", "fine", "panic",
            ]
            .iter()
            .any(|name| name.eq_ignore_ascii_case(word)) =>
        {
            false
        }
        _ => level::of_any_word(word).is_some(),
    }
}

/// Host and text of a line that is syslog's for sure: any part may be missing.
pub fn lenient(rest: &str) -> Head<'_> {
    // Two blanks stand where a host is missing; what follows tells it as well.
    let rest = rest.trim_start_matches(' ');
    let (priority, rest) = if rest.starts_with('<') {
        angled(rest)
    } else {
        worded(rest)
    };
    let mut head = Head {
        priority,
        text: rest,
        ..Head::default()
    };
    if rest.starts_with("last message repeated ") {
        return head;
    }
    let mut after = rest;
    match tag(rest) {
        // `10.1.1.1: text`: a host whose colon is Cisco's.
        Some(tag)
            if tag.pid.is_empty()
                && (is_address(tag.program) || cisco::severity(tag.text).is_some()) =>
        {
            return Head {
                host: tag.program,
                text: tag.text,
                ..head
            };
        }
        Some(tag) if !tag.is_number() => {
            return Head {
                tag: Some(tag),
                text: tag.text,
                ..head
            };
        }
        Some(_) => {}
        None => {
            let (host, behind) = split::once(rest, b' ').unwrap_or((rest, ""));
            if is_host(host) && !is_level(host) {
                (head.host, after) = (host, behind.strip_prefix(": ").unwrap_or(behind));
            }
        }
    }
    if head.priority.is_none() {
        (head.priority, after) = worded(after);
    }
    head.text = after;
    if let Some(tag) = tag(after)
        .filter(|tag| !tag.is_number())
        .or_else(|| spaced_tag(after))
    {
        (head.tag, head.text) = (Some(tag), tag.text);
    }
    head
}

/// Program and text behind a priority without a date.
pub fn undated(rest: &str) -> Head<'_> {
    if let Some(tag) = tag(rest).filter(|tag| tag.closed && !tag.is_number()) {
        return Head {
            tag: Some(tag),
            text: tag.text,
            ..Head::default()
        };
    }
    if let Some((host, after)) = split::once(rest, b' ')
        && is_named_host(host)
        && let Some(tag) = tag(after).filter(|tag| tag.closed)
    {
        return Head {
            host,
            tag: Some(tag),
            text: tag.text,
            ..Head::default()
        };
    }
    Head {
        text: rest,
        ..Head::default()
    }
}

/// How much a stamp says that its line is syslog's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamp {
    /// Of a daemon: `T` and microseconds, as rsyslog writes it, or a journal's.
    Daemon,
    /// `T` and a zone: many programs write such stamps.
    Zoned,
    /// No zone.
    Local,
}

/// Host, program and text of a line without a priority: all of them must be there.
pub fn strict(rest: &str, stamp: Stamp) -> Option<Head<'_>> {
    // Most lines end here: each program's name ends with a colon.
    memchr::memchr(b':', rest.as_bytes())?;
    let (host, after) = split::once(rest, b' ')?;
    if is_level(host) {
        return None;
    }
    if !is_host(host) {
        let tag =
            tag(rest).filter(|tag| tag.closed && all_digits(tag.pid) && stamp != Stamp::Local)?;
        return Some(Head {
            tag: Some(tag),
            text: tag.text,
            ..Head::default()
        });
    }
    let (priority, after) = worded(after);
    let tag = tag(after).or_else(|| spaced_tag(after).filter(|tag| all_digits(tag.pid)))?;
    // A zone that the stamp's reader left, a thread of InnoDB: no hosts.
    if !tag.closed || stamps::zone_of(host).is_some() || tag.program == "InnoDB" {
        return None;
    }
    let sure = !tag.pid.is_empty() || priority.is_some() || is_daemon(tag.program);
    let named = match stamp {
        _ if sure => true,
        Stamp::Daemon => {
            is_named_host(host) || !host.starts_with(|first: char| first.is_ascii_uppercase())
        }
        Stamp::Zoned => is_named_host(host),
        Stamp::Local => has_number(host),
    };
    named.then_some(Head {
        host,
        tag: Some(tag),
        text: tag.text,
        priority,
    })
}

impl Tag<'_> {
    /// Cisco's sequence number, which looks like a program.
    fn is_number(&self) -> bool {
        self.pid.is_empty() && all_digits(self.program)
    }
}

/// `<auth.info> ` or `<4.6> ` at the start.
fn angled(text: &str) -> (Option<Words>, &str) {
    let found = text.strip_prefix('<').and_then(|rest| {
        let (words, rest) = rest.split_once('>')?;
        Some((priority::words(words)?, rest.trim_start_matches(' ')))
    });
    found.map_or((None, text), |(words, rest)| (Some(words), rest))
}

/// `[ID 800047 auth.info] ` before the text, as Solaris writes it: id, priority, what follows.
pub fn numbered(text: &str) -> Option<(&str, Words, &str)> {
    let (inside, rest) = text.strip_prefix("[ID ")?.split_once(']')?;
    let (id, words) = split::once(inside, b' ')?;
    Some((
        id,
        priority::words(words).filter(|_| all_digits(id))?,
        rest.strip_prefix(' ').unwrap_or(rest),
    ))
}

/// `daemon.info ` or `auth|security:info ` (AIX) at the start.
fn worded(text: &str) -> (Option<Words>, &str) {
    // Nearly no line has one: look for what parts the two near the start.
    let near = text.as_bytes().get(..text.len().min(24)).unwrap_or(&[]);
    let end = near
        .iter()
        .position(|byte| matches!(byte, b' ' | b'.' | b':' | b'['));
    let parted = end
        .and_then(|end| near.get(end))
        .is_some_and(|byte| matches!(byte, b'.' | b':'));
    if !parted || near.first().is_some_and(u8::is_ascii_digit) {
        return (None, text);
    }
    let found =
        split::once(text, b' ').and_then(|(words, rest)| Some((priority::words(words)?, rest)));
    found.map_or((None, text), |(words, rest)| (Some(words), rest))
}

/// Names, addresses, and the chains of relays that syslog-ng writes (`src@relay`, `relay/web1`).
pub fn is_host(word: &str) -> bool {
    word.len() < 256
        && word.bytes().any(|byte| byte.is_ascii_alphanumeric())
        && word.bytes().all(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'/' | b'@')
        })
        && !word.ends_with(':')
        && !word.starts_with('-')
}

/// A host that is no word of a sentence.
pub fn is_named_host(word: &str) -> bool {
    is_host(word)
        && !is_level(word)
        && (word == "localhost"
            || word
                .bytes()
                .any(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'@')))
}

fn is_address(word: &str) -> bool {
    word.parse::<IpAddr>().is_ok()
}

/// `web1`, `10.1.2.3`, `db.example.org`: more than a word, and no number.
fn has_number(word: &str) -> bool {
    word == "localhost"
        || (word
            .bytes()
            .any(|byte| byte.is_ascii_digit() || byte == b'.')
            && (word.bytes().any(|byte| byte.is_ascii_alphabetic()) || is_address(word))
            && !word.ends_with('.'))
}

/// Programs that nobody takes for a word of a sentence.
fn is_daemon(program: &str) -> bool {
    const KNOWN: [&str; 24] = [
        "kernel",
        "systemd",
        "sshd",
        "sudo",
        "su",
        "cron",
        "CRON",
        "crond",
        "dhclient",
        "dnsmasq",
        "rsyslogd",
        "syslogd",
        "syslog-ng",
        "dbus-daemon",
        "NetworkManager",
        "haproxy",
        "nginx",
        "mysqld",
        "postgres",
        "dockerd",
        "kubelet",
        "auditd",
        "ntpd",
        "named",
    ];
    KNOWN.contains(&program) || program.contains('/') || program.starts_with("systemd-")
}

/// `name:`, `name[pid]:`, `name[pid]` before a blank.
pub fn tag(text: &str) -> Option<Tag<'_>> {
    /// Programs are not called by more.
    const LONGEST: usize = 128;
    let near = text.as_bytes().get(..LONGEST.min(text.len()))?;
    let end = memchr::memchr3(b' ', b':', b'[', near)?;
    let program = text.get(..end)?;
    if program.is_empty() || !program.is_ascii() {
        return None;
    }
    let after = text.get(end..)?;
    if let Some(rest) = after.strip_prefix('[') {
        let close = memchr::memchr(b']', rest.as_bytes().get(..LONGEST.min(rest.len()))?)?;
        let pid = rest.get(..close)?;
        if pid.contains(' ') {
            return None;
        }
        return behind_pid(program, pid, rest.get(close + 1..)?);
    }
    let rest = after.strip_prefix(':')?;
    // `::1` and `a::b` are no tags; the kernel's clock and an object need no blank.
    let parted = rest.is_empty()
        || rest.starts_with([' ', '\t', '{'])
        || (program == "kernel" && rest.starts_with('['));
    if !parted || is_level(program) || program.starts_with('%') {
        return None;
    }
    Some(Tag {
        program,
        pid: "",
        level: None,
        closed: true,
        text: unparted(program, rest),
    })
}

fn behind_pid<'a>(program: &'a str, pid: &'a str, rest: &'a str) -> Option<Tag<'a>> {
    if let Some(rest) = rest.strip_prefix(':') {
        return Some(Tag {
            program,
            pid,
            level: None,
            closed: true,
            text: unparted(program, rest),
        });
    }
    if rest.is_empty() {
        return Some(Tag {
            program,
            pid,
            level: None,
            closed: false,
            text: rest,
        });
    }
    let rest = rest.strip_prefix(' ')?;
    let level = rest
        .strip_prefix('<')
        .and_then(|rest| rest.split_once(">: "));
    Some(match level {
        Some((word, text)) if is_level(word) => Tag {
            program,
            pid,
            level: Some(word),
            closed: true,
            text,
        },
        _ => Tag {
            program,
            pid,
            level: None,
            closed: false,
            text: rest.trim_start_matches(' '),
        },
    })
}

/// The text without the blank behind the colon. Further blanks are the text's own, as in a trace;
/// one or two are padding, and so are all of sudo's.
fn unparted<'a>(program: &str, rest: &'a str) -> &'a str {
    const PADDING: usize = 3;
    let bare = rest.trim_start_matches(' ');
    let of_trace = bare.starts_with("File \"") || bare.starts_with("at ");
    if (rest.len() - bare.len() <= PADDING && !of_trace) || program == "sudo" {
        return bare;
    }
    rest.strip_prefix(' ').unwrap_or(rest)
}

/// A program whose name has blanks: `Google Chrome[85294]:`, `syslogd 1.4.1:`.
fn spaced_tag(text: &str) -> Option<Tag<'_>> {
    const LONGEST: usize = 64;
    const WORDS: usize = 5;
    let near = text.as_bytes().get(..LONGEST.min(text.len()))?;
    let end = memchr::memchr2(b'[', b':', near)?;
    let program = text.get(..end)?;
    if !program.is_ascii() || program.ends_with(' ') || !program.contains(' ') {
        return None;
    }
    let rest = text.get(end + 1..)?;
    if near.get(end) == Some(&b'[') {
        let named = program.split(' ').count() <= WORDS
            && program.split(' ').all(|word| {
                word.starts_with(|first: char| {
                    first.is_ascii_uppercase() || first.is_ascii_digit() || first == '('
                })
            });
        let (pid, rest) = rest.split_once(']')?;
        return if named && all_digits(pid) {
            behind_pid(program, pid, rest)
        } else {
            None
        };
    }
    let (name, version) = split::once(program, b' ')?;
    let is_version = version.starts_with(|first: char| first.is_ascii_digit())
        && version.contains('.')
        && version.bytes().all(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'#' | b'_' | b'+' | b'~')
        });
    let named = is_version && is_host(name) && (rest.is_empty() || rest.starts_with(' '));
    named.then(|| Tag {
        program,
        pid: "",
        level: None,
        closed: true,
        text: unparted(name, rest),
    })
}
