//! What nginx appends to the message of its error log, found from the right.
//!
//! nginx escapes nothing here: a user name, a path, a request line, a host and a referrer stand as
//! the stranger typed them, quotes included, so all of them may look like the names that nginx
//! appends. What tells them apart is the order of the names, which values nginx puts in quotes,
//! and how nginx's own messages end.

use memchr::memmem;

use super::super::Parsed;
use super::super::web;

const CLIENT: &str = ", client: ";

/// How a value stands in the line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Looks {
    /// Up to the next comma: addresses and names of the configuration.
    Bare,
    /// In quotes, without blanks.
    Word,
    /// In quotes, anything.
    Any,
}

/// The names in nginx's order, with ours.
const NAMES: [(&str, &str, Looks); 9] = [
    ("client: ", "client", Looks::Bare),
    ("server: ", "server", Looks::Bare),
    ("login: ", "login", Looks::Any),
    ("request: ", "request", Looks::Any),
    ("subrequest: ", "subrequest", Looks::Any),
    ("upstream: ", "upstream", Looks::Word),
    ("host: ", "http_host", Looks::Word),
    ("referrer: ", "referrer", Looks::Any),
    ("request_id: ", "request_id", Looks::Word),
];

type Values<'a> = [Option<&'a str>; NAMES.len()];

/// Steps that one line may cost: text made to be read in many ways is not worth more.
const STEPS: u32 = 512;
/// Places that may be the client, looked at from either end.
const PLACES: usize = 8;

/// Copies what nginx appended.
pub fn put<'a>(message: &'a str, out: &mut Parsed<'a>) {
    let Some(first) = memmem::find(message.as_bytes(), CLIENT.as_bytes()) else {
        return;
    };
    let mut steps = STEPS;
    let found = whole(message, first, &mut steps);
    let values = found.unwrap_or_else(|| {
        // The line was cut: what stands before the cut still counts, where there is one client only.
        let mut values = [None; NAMES.len()];
        if memmem::rfind(message.as_bytes(), CLIENT.as_bytes()) == Some(first) {
            begun(line_at(message, first), &mut values);
        }
        values
    });
    for ((_, name, _), value) in NAMES.iter().zip(values) {
        match (*name, value) {
            ("request_id", Some(value)) => out.request_id = Some(value.into()),
            ("client", Some(value)) => web::put_client(value, out),
            (name, Some(value)) => out.put(name, value),
            (_, None) => {}
        }
    }
}

/// The values of the place from which on the line is what nginx appends.
///
/// Two places may both be read to the end: a message that holds what looks appended, or a referrer
/// that does. The last counts, unless a message of nginx ends before the first, and none before it.
fn whole<'a>(message: &'a str, first: usize, steps: &mut u32) -> Option<Values<'a>> {
    let bytes = message.as_bytes();
    let (start, found) = read(message, first, steps)
        .map(|found| (first, found))
        .or_else(|| {
            let from_left = memmem::find_iter(bytes, CLIENT.as_bytes())
                .skip(1)
                .take(PLACES);
            let from_right = memmem::rfind_iter(bytes, CLIENT.as_bytes()).take(PLACES);
            from_left
                .chain(from_right)
                .find_map(|at| Some((at, read(message, at, steps)?)))
        })?;
    // A message without quotes holds nothing that a stranger typed.
    if !message[..first].contains('"') {
        return Some(found);
    }
    let complete = ends_a_message(&message[..start]);
    let from_right = memmem::rfind_iter(bytes, CLIENT.as_bytes())
        .take(PLACES)
        .take_while(|&at| at > start);
    let last = from_right
        .filter(|&at| !complete || ends_a_message(&message[..at]))
        .find_map(|at| read(message, at, steps));
    last.or(Some(found))
}

fn read<'a>(message: &'a str, at: usize, steps: &mut u32) -> Option<Values<'a>> {
    let mut values = [None; NAMES.len()];
    fields(line_at(message, at), 0, &mut values, steps).then_some(values)
}

fn line_at(message: &str, at: usize) -> &str {
    let line = &message[at..];
    line.split_once('\n').map_or(line, |(line, _)| line)
}

/// Whether nginx's messages that hold quotes end like this: `… failed (2: No such file …)`,
/// `…: password mismatch`, `… was not found in "/etc/…"`, `… is forbidden`, `… by zone "one"`,
/// `… while reading …`; `ModSecurity`'s end with a bracket.
fn ends_a_message(text: &str) -> bool {
    if [")", "\": password mismatch", "\" is forbidden", "\"]"]
        .iter()
        .any(|end| text.ends_with(end))
    {
        return true;
    }
    let in_quotes = text
        .strip_suffix('"')
        .and_then(|text| text.rsplit_once('"'))
        .is_some_and(|(before, _)| {
            before.ends_with(" was not found in ") || before.ends_with(" zone ")
        });
    in_quotes
        || text.rsplit_once("\" while ").is_some_and(|(_, action)| {
            !action.is_empty()
                && action
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte == b' ')
        })
}

/// Reads `, name: value` to the end of the line, names in their order from `from` on. A value in
/// quotes ends where a later name or nothing follows; the first such end from which the rest can be
/// read counts. Depth is the number of names; `steps` bounds the tries.
fn fields<'a>(text: &'a str, from: usize, values: &mut Values<'a>, steps: &mut u32) -> bool {
    if text.is_empty() {
        return true;
    }
    let Some(rest) = text.strip_prefix(", ") else {
        return false;
    };
    let named = NAMES
        .iter()
        .enumerate()
        .skip(from)
        .find_map(|(index, (name, _, looks))| {
            rest.strip_prefix(name).map(|value| (index, *looks, value))
        });
    let Some((index, looks, rest)) = named else {
        return is_other(rest);
    };
    let Some(quoted) = rest.strip_prefix('"') else {
        // The mail and stream modules write some addresses bare.
        let end = memmem::find(rest.as_bytes(), b", ").unwrap_or(rest.len());
        let value = &rest[..end];
        if looks == Looks::Any || value.contains([' ', '"']) {
            return false;
        }
        let read = fields(&rest[end..], index + 1, values, steps);
        values[index] = read.then_some(value);
        return read;
    };
    if looks == Looks::Bare {
        return false;
    }
    for end in memchr::memchr_iter(b'"', quoted.as_bytes()) {
        if *steps == 0 {
            return false;
        }
        *steps -= 1;
        let (value, after) = (&quoted[..end], &quoted[end + 1..]);
        if looks == Looks::Word && value.contains(' ') {
            return false;
        }
        if (after.is_empty() || after.starts_with(", ")) && fields(after, index + 1, values, steps)
        {
            values[index] = Some(value);
            return true;
        }
    }
    false
}

/// What else nginx and its modules put at the end: counts of a stream's bytes.
fn is_other(rest: &str) -> bool {
    rest.starts_with("bytes from/to client:")
}

/// The values of a line that ends in the middle of one.
fn begun<'a>(text: &'a str, values: &mut Values<'a>) {
    let mut rest = text;
    let mut from = 0;
    while let Some(after) = rest.strip_prefix(", ") {
        let named = NAMES
            .iter()
            .enumerate()
            .skip(from)
            .find_map(|(index, (name, _, looks))| {
                after.strip_prefix(name).map(|value| (index, *looks, value))
            });
        let Some((index, looks, value)) = named else {
            return;
        };
        let end = match value.strip_prefix('"') {
            Some(quoted) => {
                memmem::find(quoted.as_bytes(), b"\", ").map_or(value.len(), |end| end + 2)
            }
            None => memmem::find(value.as_bytes(), b", ").unwrap_or(value.len()),
        };
        let text = value[..end].strip_prefix('"').unwrap_or(&value[..end]);
        let text = text.strip_suffix('"').unwrap_or(text);
        if looks != Looks::Any && text.contains([' ', '"']) {
            return;
        }
        values[index] = Some(text);
        rest = &value[end..];
        from = index + 1;
    }
}
