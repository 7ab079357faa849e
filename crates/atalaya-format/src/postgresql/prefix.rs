//! What `log_line_prefix` put before the severity: deduced from the forms of its words.

use super::super::fields::push_unique;
use super::super::{Parsed, SourceZone, TimeHint, split, time};

/// The stamp of PostgreSQL: `%t` and `%m` with a zone name or a numeric one, or `%n`.
pub fn stamp<'a>(text: &'a str, hint: &TimeHint) -> Option<time::Cut<'a>> {
    let Some(cut) = time::iso_named(text, hint) else {
        return time::epoch(text, hint).filter(|cut| {
            !cut.rest
                .starts_with(|next: char| next.is_ascii_alphanumeric())
        });
    };
    let Some(zone) = cut.rest.strip_prefix(' ') else {
        return Some(cut);
    };
    let end = zone
        .find([' ', ':', ',', ']', '[', '"'])
        .unwrap_or(zone.len());
    let name = zone.get(..end)?;
    // Zones without a name of their own are printed as their offset: `+03`, `-0330`.
    let signed = name
        .strip_prefix('+')
        .map(|digits| (1, digits))
        .or_else(|| name.strip_prefix('-').map(|digits| (-1, digits)));
    if let Some((sign, digits)) = signed
        && matches!(digits.len(), 2 | 4)
        && let Ok(number) = digits.parse::<i32>()
    {
        let minutes = if digits.len() == 2 {
            number * 60
        } else {
            number / 100 * 60 + number % 100
        };
        let zone = chrono::FixedOffset::east_opt(sign * minutes * 60)?;
        let hint = TimeHint {
            zone: SourceZone::Fixed(zone),
            reference: hint.reference,
        };
        let instant = time::iso(text.get(..text.len() - cut.rest.len())?, &hint)?.instant;
        return Some(time::Cut {
            instant,
            rest: cut.rest.get(1 + end..)?,
        });
    }
    Some(cut)
}

/// What a prefix says of the program that wrote it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Prefix {
    pub stamped: bool,
    /// The time has a zone, or is a number: `%t` and `%m` always have one, the lines of other
    /// programs seldom.
    pub has_zone: bool,
    /// The word behind the time may be a zone's name that nobody knows.
    pub zone_unknown: bool,
    pub process: bool,
    pub user: bool,
    /// A part of it has a form that says what it is.
    pub identified: bool,
    /// No word is left without a name.
    pub all_known: bool,
}

/// Reads what stands before the severity. What it cannot name is kept as `prefix`.
pub fn read_prefix<'a>(prefix: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Prefix {
    let mut rest = prefix.trim_start_matches(['[', '<', ' ']);
    let mut found = Prefix {
        stamped: out.timestamp.is_some(),
        has_zone: true,
        ..Prefix::default()
    };
    if out.timestamp.is_none()
        && let Some(after) = read_stamp(rest, hint, &mut found, out)
    {
        rest = after;
    }
    let mut words: [&'a str; 2] = ["", ""];
    let mut count = 0;
    let mut unknown = 0;
    loop {
        let parted = rest.bytes().position(|byte| {
            !matches!(
                byte,
                b' ' | b':' | b',' | b';' | b'|' | b'-' | b'>' | b'(' | b')' | b']' | b'\t'
            )
        });
        rest = rest.get(parted.unwrap_or(rest.len())..).unwrap_or("");
        if rest.is_empty() {
            break;
        }
        if let Some(equals) = key_end(rest) {
            rest = read_pair(rest, equals, out);
            continue;
        }
        // `%p %q%u@%d %m`: the stamp stands behind other parts.
        if !found.stamped
            && rest.as_bytes().get(4) == Some(&b'-')
            && let Some(after) = read_stamp(rest, hint, &mut found, out)
        {
            rest = after;
            continue;
        }
        if rest.starts_with('[') {
            let end = rest.find(']').map_or(rest.len(), |at| at + 1);
            let (inside, after) = rest.split_at(end);
            if !after.starts_with('@') {
                read_bracket(inside.trim_matches(['[', ']']).trim_ascii(), out);
                rest = after;
                continue;
            }
        }
        let end = word_end(rest);
        let (word, after) = rest.split_at(end);
        rest = after;
        if !read_word(word, out) {
            if let Some(known) = words.get_mut(count) {
                *known = word;
            }
            count += 1;
            unknown += usize::from(!word.is_empty());
        }
        if end == 0 {
            break;
        }
    }
    found.zone_unknown = has(out, "zone");
    found.process = has(out, "pid");
    found.user = has(out, "user");
    found.identified = !out.metadata.is_empty() || out.session_id.is_some();
    found.all_known = count == 0;
    match (count, unknown) {
        (0, _) => {}
        // Two bare words are `%u %d`, in this order in every prefix seen.
        (2, 2) if !has(out, "user") => {
            put_known(out, "user", words[0]);
            put_known(out, "dbname", words[1]);
        }
        (1, _) => put_known(out, "prefix", words[0]),
        _ => put_known(out, "prefix", prefix.trim_ascii()),
    }
    found
}

/// Takes the stamp at the start of a text; gives what follows.
fn read_stamp<'a>(
    text: &'a str,
    hint: &TimeHint,
    found: &mut Prefix,
    out: &mut Parsed<'a>,
) -> Option<&'a str> {
    let cut = stamp(text, hint)?;
    out.set_time(cut.instant);
    let used = text.get(..text.len() - cut.rest.len()).unwrap_or("");
    let is_date = used.as_bytes().get(4) == Some(&b'-');
    found.stamped = true;
    // It writes no `T`, and no comma before the fraction.
    found.has_zone = !is_date
        || (used.as_bytes().get(10) == Some(&b' ')
            && used.as_bytes().get(19) != Some(&b',')
            && (used.ends_with(|last: char| last.is_ascii_alphabetic())
                || used.get(19..).is_some_and(|tail| tail.contains(['+', '-']))));
    out.zoned |= found.has_zone;
    Some(cut.rest)
}

fn has(out: &Parsed<'_>, name: &str) -> bool {
    out.metadata.iter().any(|(known, _)| known == name)
}

pub fn put_known<'a>(out: &mut Parsed<'a>, name: &'a str, text: &'a str) {
    if !matches!(text, "" | "[unknown]" | "-" | "[N/A]") {
        push_unique(out, name, text);
    }
}

/// Where the key of `key=value` ends at the start of a text.
fn key_end(text: &str) -> Option<usize> {
    let end = text
        .bytes()
        .position(|byte| !(byte.is_ascii_alphanumeric() || byte == b'_'))?;
    let after = text.get(end..)?;
    // Heroku writes `sql_error_code = 00000`.
    let equals = end + after.len() - after.trim_ascii_start().len();
    (end > 0 && text.as_bytes().get(equals) == Some(&b'=')).then_some(equals)
}

/// Reads `key=value` at the start; the value may hold spaces (`app=psql - x,client=…`).
fn read_pair<'a>(text: &'a str, equals: usize, out: &mut Parsed<'a>) -> &'a str {
    let key = text.get(..equals).unwrap_or("").trim_ascii_end();
    let after = text.get(equals + 1..).unwrap_or("").trim_start_matches(' ');
    let bytes = after.as_bytes();
    let mut end = 0;
    while let Some(&byte) = bytes.get(end) {
        let separates = match byte {
            b',' | b';' => true,
            b' ' => {
                let next = after.get(end + 1..).unwrap_or("");
                next.trim_ascii().is_empty() || key_end(next).is_some() || next.starts_with('[')
            }
            _ => false,
        };
        if separates {
            break;
        }
        end += 1;
    }
    let (value, rest) = after.split_at(end);
    let value = value.trim_ascii().trim_end_matches([':', '-', ' ']);
    match key {
        "user" | "u" | "usr" => put_known(out, "user", value),
        "db" | "d" | "database" | "dbname" => put_known(out, "dbname", value),
        "app" | "a" | "application" | "application_name" | "appname" => {
            put_known(out, "application_name", value);
        }
        "client" | "host" | "h" | "r" | "remote" | "ip" => client(value, out),
        "pid" | "p" => put_known(out, "pid", value),
        "queryid" | "query_id" | "qid" => put_known(out, "query_id", value),
        "sql_error_code" | "sqlstate" | "state" | "e" => put_known(out, "state_code", value),
        "session" | "session_id" | "sid" => {
            if !value.is_empty() {
                out.session_id = Some(value.into());
            }
        }
        "xid" | "tx" | "txid" => put_known(out, "txid", value),
        "vxid" | "vtx" | "virtual" => put_known(out, "vxid", value),
        "line" | "l" => put_known(out, "line_num", value),
        "cmd" | "tag" | "command" | "ps" => put_known(out, "ps", value),
        "backend" | "backend_type" | "b" => put_known(out, "backend_type", value),
        _ => put_known(out, key, value),
    }
    rest
}

/// An address, with its port in parentheses where it has one.
pub fn client<'a>(text: &'a str, out: &mut Parsed<'a>) {
    match text
        .strip_suffix(')')
        .and_then(|text| text.rsplit_once('('))
    {
        Some((host, port)) => {
            put_known(out, "remote_host", host);
            put_known(out, "remote_port", port);
        }
        None => put_known(out, "remote_host", text),
    }
}

fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `%c`: two hexadecimal numbers with a dot.
fn is_session(text: &str) -> bool {
    text.split_once('.').is_some_and(|(left, right)| {
        left.len() == 8
            && (1..=8).contains(&right.len())
            && text.bytes().all(|byte| {
                byte == b'.' || (byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase())
            })
    })
}

fn read_bracket<'a>(inside: &'a str, out: &mut Parsed<'a>) {
    if inside.is_empty() || inside == "unknown" {
        return;
    }
    if let Some(equals) = key_end(inside) {
        let rest = read_pair(inside, equals, out);
        if !rest.is_empty() {
            read_bracket(rest.trim_start_matches([',', ' ']), out);
        }
        return;
    }
    if inside == "local" {
        put_known(out, "remote_host", "[local]");
    } else if !read_word(inside, out) {
        put_known(out, "prefix", inside);
    }
}

/// Where a word of the prefix ends; colons belong to IPv6 addresses only.
fn word_end(text: &str) -> usize {
    let end = text.find([' ', ',', ';', '|', '\t']).unwrap_or(text.len());
    let word = text.get(..end).unwrap_or("");
    let Some(colon) = memchr::memchr(b':', word.as_bytes()) else {
        return end;
    };
    let is_v6 = word.bytes().filter(|byte| *byte == b':').count() >= 2
        && word
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.' | b'(' | b')'));
    if is_v6 {
        word.trim_end_matches(':').len()
    } else {
        colon
    }
}

/// Names a word by its form; false when the form says nothing.
fn read_word<'a>(word: &'a str, out: &mut Parsed<'a>) -> bool {
    let word = word.trim_end_matches([':', '-']);
    let word = if word.contains('[') {
        word
    } else {
        word.trim_end_matches(']')
    };
    if all_digits(word) {
        put_known(out, if has(out, "pid") { "line_num" } else { "pid" }, word);
        return true;
    }
    if let Some((left, right)) = split::once(word, b'-')
        && all_digits(left)
        && all_digits(right)
    {
        // `[%p-%l]`, or `[%l-1]` where the process stands elsewhere.
        if has(out, "pid") {
            put_known(out, "line_num", left);
        } else {
            put_known(out, "pid", left);
            put_known(out, "line_num", right);
        }
        return true;
    }
    if let Some((user, database)) = word.rsplit_once('@') {
        put_known(out, "user", user);
        put_known(out, "dbname", database);
        return true;
    }
    if is_session(word) {
        out.session_id = Some(word.into());
        return true;
    }
    let address = word.split('(').next().unwrap_or("");
    if word == "[local]" || word == "localhost" || address.parse::<std::net::IpAddr>().is_ok() {
        client(word, out);
        return true;
    }
    if let Some((left, right)) = word.split_once('/')
        && all_digits(left)
        && all_digits(right)
    {
        put_known(out, "vxid", word);
        return true;
    }
    // A zone that the stamp's reader does not know.
    if out.metadata.is_empty()
        && (2..=5).contains(&word.len())
        && word.bytes().all(|byte| byte.is_ascii_uppercase())
        && !super::is_severity(word)
    {
        put_known(out, "zone", word);
        return true;
    }
    word.is_empty() || word == "[unknown]"
}
