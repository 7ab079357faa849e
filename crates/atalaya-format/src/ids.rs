//! Ids and durations in the text of any format: `request_id=r-7`, `[req-id: r-7]`, `took 12 ms`.
//!
//! One pass over the text stops at separators only, and looks at what stands before each: the
//! names are those of [`super::fields`]. A plain request id outranks a correlation id, and that a
//! trace id, wherever they stand; among equals the first is taken.

pub use super::fields::NamesError;
use super::fields::names::{self, Slot};
use super::fields::shape::{Shape, is_nothing};

mod spans;

/// Ids stand near the start; a text of many pages must not cost by its length.
const MOST_BYTES: usize = 16 * 1024;
/// A dump of pairs without any id must not either.
const MOST_CANDIDATES: usize = 64;
/// A longer word is no id.
const LONGEST_ID: usize = 200;
const LONGEST_NAME: usize = 40;

/// What a text says by name about the request it belongs to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found<'t> {
    pub request_id: Option<&'t str>,
    pub user_id: Option<&'t str>,
    pub session_id: Option<&'t str>,
    /// Milliseconds.
    pub duration_ms: Option<f64>,
    /// Ids beside those above, as name and value in the order of the text: a trace id beside a
    /// request id, a second user.
    pub others: Vec<(&'t str, &'t str)>,
}

impl Found<'_> {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Names that the configuration adds, e.g. `order_id` as another request id: behind the plain
/// request ids and before correlation ids. They count in structured records too. Once in the life
/// of the program, before any file is read.
pub fn configure(
    request: &[String],
    user: &[String],
    session: &[String],
) -> Result<(), NamesError> {
    names::configure(request, user, session)
}

/// Whether a name may be one of ours, by its end: nearly all words before a colon are not.
fn may_be_name(name: &[u8]) -> bool {
    let ends = |end: &[u8]| {
        name.len() >= end.len()
            && name
                .get(name.len() - end.len()..)
                .is_some_and(|tail| tail.eq_ignore_ascii_case(end))
    };
    match name.last().map(|byte| byte | 0x20) {
        Some(b'd') => ends(b"id") || ends(b"elapsed"),
        Some(b't') => ends(b"traceparent"),
        Some(b'k') => ends(b"took"),
        Some(b'n') => ends(b"duration"),
        Some(b'y') => ends(b"latency"),
        Some(b's') => ends(b"ms") || ends(b"us") || ends(b"ns"),
        _ => false,
    }
}

/// An id that has a field of its own, and how it is preferred.
#[derive(Clone, Copy)]
struct Best<'t> {
    rank: u16,
    name: &'t str,
    value: &'t str,
}

/// Looks for ids and a duration.
pub fn in_text(text: &str) -> Found<'_> {
    let text = head(text);
    let bytes = text.as_bytes();
    let configured = names::has_configured();
    let mut found = Found::default();
    let mut best: [Option<Best<'_>>; 3] = [None; 3];
    let mut took = None;
    let mut candidates = 0;
    // `k` is that of `took`, and rarer than its `t`.
    for at in memchr::memchr3_iter(b'=', b':', b'k', bytes) {
        if bytes.get(at) == Some(&b'k') {
            if took.is_none() {
                took = spans::took(text, at);
            }
            continue;
        }
        let Some(end) = name_end(bytes, at) else {
            continue;
        };
        // The last letters tell most names off before their start is looked for.
        let floor = end.saturating_sub(LONGEST_NAME);
        if !configured && !bytes.get(floor..end).is_some_and(may_be_name) {
            continue;
        }
        let start = name_start(bytes, end);
        if end - start < 3 {
            continue;
        }
        candidates += 1;
        if candidates > MOST_CANDIDATES {
            break;
        }
        let Some(name) = text.get(start..end) else {
            continue;
        };
        take(text, name, at, &mut best, &mut found);
    }
    let [request, user, session] = best;
    found.request_id = request.map(|id| id.value);
    found.user_id = user.map(|id| id.value);
    found.session_id = session.map(|id| id.value);
    if found.request_id.is_none() {
        found.request_id = spans::sleuth(text);
    }
    if found.duration_ms.is_none() {
        found.duration_ms = took.or_else(|| spans::at_end(text));
    }
    found
}

fn take<'t>(
    text: &'t str,
    name: &'t str,
    at: usize,
    best: &mut [Option<Best<'t>>; 3],
    found: &mut Found<'t>,
) {
    let bytes = text.as_bytes();
    let equals = bytes.get(at) == Some(&b'=');
    // `sid` and `rid` are too short to be trusted before a colon.
    let (slot, rank) = match names::slot_of(name) {
        Some((Slot::Request(_), _)) if !equals && name.len() == 3 => return,
        Some((
            slot @ (Slot::Request(_) | Slot::User | Slot::Session | Slot::Duration(_)),
            rank,
        )) => (slot, rank),
        _ if equals && name.eq_ignore_ascii_case("sid") => (Slot::Session, 64),
        _ => return,
    };
    let after = text.get(at + 1..).unwrap_or("");
    if let Slot::Duration(unit) = slot {
        if found.duration_ms.is_none() {
            found.duration_ms = spans::value(after, unit);
        }
        return;
    }
    let shape = if let Slot::Request(shape) = slot {
        shape
    } else {
        Shape::Whole
    };
    let Some(id) = value(after)
        .and_then(|value| shape.id(value))
        .filter(|id| !is_nothing(id))
    else {
        return;
    };
    let place = match slot {
        Slot::Request(_) => 0,
        Slot::User => 1,
        _ => 2,
    };
    let new = Best {
        rank: kind(slot, rank),
        name,
        value: id,
    };
    let Some(held) = best.get_mut(place) else {
        return;
    };
    let loser = match held {
        None => {
            *held = Some(new);
            return;
        }
        Some(old) if new.rank < old.rank => std::mem::replace(old, new),
        Some(_) => new,
    };
    if held.is_none_or(|held| held.value != loser.value)
        && !found.others.contains(&(loser.name, loser.value))
    {
        found.others.push((loser.name, loser.value));
    }
}

/// Request ids, those of the configuration, correlation ids, trace ids: the spelling does not count.
fn kind(slot: Slot, rank: u16) -> u16 {
    match (slot, rank / 16) {
        (Slot::Request(_), 0..=2) => 0,
        (Slot::Request(_), kind) => kind.min(5),
        _ => 0,
    }
}

/// The text as far as it is looked at.
fn head(text: &str) -> &str {
    let mut end = text.len().min(MOST_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or(text)
}

/// Where the name before the separator ends: right before it, or before one blank, or a quote
/// (`"request_id": "r"`, also with backslashes, as JSON stands inside of JSON).
fn name_end(bytes: &[u8], separator: usize) -> Option<usize> {
    let before = |at: usize| at.checked_sub(1).and_then(|at| bytes.get(at)).copied();
    let mut end = separator;
    if before(end)? == b' ' {
        end -= 1;
    }
    if matches!(before(end)?, b'"' | b'\'') {
        end -= 1;
        if before(end)? == b'\\' {
            end -= 1;
        }
    }
    before(end)?.is_ascii_alphanumeric().then_some(end)
}

fn name_start(bytes: &[u8], end: usize) -> usize {
    let floor = end.saturating_sub(LONGEST_NAME);
    let mut start = end;
    while start > floor
        && bytes
            .get(start - 1)
            .is_some_and(|&byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
    {
        start -= 1;
    }
    start
}

/// The value behind a separator: in quotes, or up to what ends a bare one.
fn value(after: &str) -> Option<&str> {
    let after = after.strip_prefix(' ').unwrap_or(after);
    let unescaped = after.strip_prefix('\\').unwrap_or(after);
    let (quote, inside) = match unescaped.as_bytes().first()? {
        quote @ (b'"' | b'\'' | b'`') => (Some(*quote), unescaped.get(1..)?),
        b'[' | b'(' | b'<' => (None, after.get(1..)?),
        _ => (None, after),
    };
    let most = inside.as_bytes().get(..inside.len().min(LONGEST_ID + 1))?;
    let end = match quote {
        Some(quote) => most
            .iter()
            .position(|&byte| byte == quote || byte == b'\\' || byte == b'\n')?,
        None => most
            .iter()
            .position(|&byte| ENDS_VALUE[usize::from(byte)])
            .unwrap_or(most.len()),
    };
    if end > LONGEST_ID {
        return None;
    }
    let value = inside.get(..end)?;
    let value = if quote.is_some() {
        value.trim_ascii()
    } else {
        value.trim_end_matches(['.', ':'])
    };
    // A placeholder that nobody filled: `{requestId}`, `%X`, `$request_id`.
    (!value.starts_with(['{', '%', '$']) && !value.is_empty()).then_some(value)
}

/// Bytes that end a value without quotes.
static ENDS_VALUE: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_usize;
    while byte < 256 {
        table[byte] = matches!(
            byte as u8,
            0..=b' '
                | 0x7F
                | b','
                | b';'
                | b')'
                | b']'
                | b'}'
                | b'"'
                | b'\''
                | b'`'
                | b'|'
                | b'<'
                | b'>'
                | b'&'
                | b'\\'
        );
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests;
