//! Durations in words, and ids that stand by their place.

use super::super::fields::durations;

/// The duration behind a separator. `unit` is that of the name, in milliseconds; 0: it has none,
/// and the value must say it.
pub(super) fn value(after: &str, unit: f64) -> Option<f64> {
    let after = after.strip_prefix(' ').unwrap_or(after);
    let after = after.strip_prefix(['"', '\'']).unwrap_or(after);
    leading(after).or_else(|| {
        if unit <= 0.0 {
            return None;
        }
        let number = after.get(..number_end(after))?;
        let next = after.as_bytes().get(number.len());
        let ends = next.is_none_or(|&byte| {
            !byte.is_ascii_alphanumeric() && !matches!(byte, b'_' | b'/' | b':')
        });
        let milliseconds = number.trim_end_matches('.').parse::<f64>().ok()? * unit;
        (ends && milliseconds < 1e12).then_some(milliseconds)
    })
}

fn number_end(text: &str) -> usize {
    text.bytes()
        .position(|byte| !byte.is_ascii_digit() && byte != b'.')
        .unwrap_or(text.len())
}

/// `12 ms`, `1m30s`, `00:00:01.2` at the start of a text.
fn leading(text: &str) -> Option<f64> {
    const LONGEST: usize = 32;
    if !text.as_bytes().first()?.is_ascii_digit() {
        return None;
    }
    let most = text.as_bytes().get(..text.len().min(LONGEST))?;
    let word = |from: usize| {
        let end = most.get(from..)?.iter().position(|&byte| {
            !(byte.is_ascii_alphanumeric() || byte >= 0x80 || matches!(byte, b'.' | b':'))
        });
        text.get(from..from + end.unwrap_or(most.len() - from))
    };
    let first = word(0)?;
    if number_end(first) == first.len() {
        let unit = word(first.len() + 1).filter(|_| most.get(first.len()) == Some(&b' '))?;
        let unit = durations::unit(unit.trim_end_matches(['.', ':']))?;
        return Some(first.trim_end_matches('.').parse::<f64>().ok()? * unit);
    }
    durations::any(first.trim_end_matches(['.', ':']))
}

/// `took 12 ms`, where `at` is its `k`.
pub(super) fn took(text: &str, at: usize) -> Option<f64> {
    let bytes = text.as_bytes();
    let start = at.checked_sub(3)?;
    let begins = start == 0 || !bytes.get(start - 1)?.is_ascii_alphanumeric();
    if bytes.get(at + 1) != Some(&b' ')
        || !begins
        || !bytes.get(start..=at)?.eq_ignore_ascii_case(b"took")
    {
        return None;
    }
    leading(text.get(at + 2..)?)
}

/// `in 12 ms` or `(12.3ms)` at the end, `Completed 200 OK in 12ms (Views: …)`.
pub(super) fn at_end(text: &str) -> Option<f64> {
    // The number begins a few words before the end at most.
    const NEAR: usize = 24;
    let text = text.trim_ascii_end();
    if let Some(rest) = text.strip_prefix("Completed ") {
        if let Some(rest) = rest.strip_prefix("in ") {
            return leading(rest);
        }
        let found = memchr::memmem::find(rest.as_bytes(), b" in ")?;
        return leading(rest.get(found + 4..)?);
    }
    let bare = text.strip_suffix('.').unwrap_or(text);
    let (bare, bracket) = match bare.strip_suffix([')', ']']) {
        Some(inside) => (inside, true),
        None => (bare, false),
    };
    if !matches!(bare.as_bytes().last()?, b's' | b'c' | b'm' | b'h') {
        return None;
    }
    let near = bare.len().saturating_sub(NEAR);
    let tail = bare.as_bytes().get(near..)?;
    if bracket && let Some(open) = memchr::memrchr2(b'(', b'[', tail) {
        let inside = bare.get(near + open + 1..)?;
        let inside = inside.strip_prefix("in ").unwrap_or(inside);
        return durations::with_unit(inside.trim_ascii());
    }
    let found = memchr::memmem::rfind(tail, b" in ")?;
    let milliseconds = durations::with_unit(bare.get(near + found + 4..)?)?;
    (!is_ahead(bare.as_bytes().get(..near + found)?)).then_some(milliseconds)
}

/// Whether the words say what will be in that time: `retrying connection in 5s`.
fn is_ahead(before: &[u8]) -> bool {
    const NEAR: usize = 64;
    const WORDS: [&[u8]; 17] = [
        b"retr",
        b"reconnect",
        b"again",
        b"expir",
        b"next",
        b"restart",
        b"will",
        b"wait",
        b"sleep",
        b"backoff",
        b"backing off",
        b"schedul",
        b"attempt",
        b"due",
        b"timeout",
        b"shutdown",
        b"shutting",
    ];
    let near = before
        .get(before.len().saturating_sub(NEAR)..)
        .unwrap_or(before)
        .to_ascii_lowercase();
    WORDS
        .iter()
        .any(|word| memchr::memmem::find(&near, word).is_some())
}

/// The trace id in the first bracket of a line, as Spring Cloud Sleuth and Micrometer write it:
/// `[app,trace,span,true]`, `[app,trace,span]`, `[trace-span]`.
pub(super) fn sleuth(text: &str) -> Option<&str> {
    const NEAR: usize = 256;
    let near = text.as_bytes().get(..text.len().min(NEAR))?;
    let open = memchr::memchr(b'[', near)?;
    let length = memchr::memchr(b']', near.get(open + 1..)?)?;
    let inside = text.get(open + 1..open + 1 + length)?;
    let is_hex = |text: &str, long: &[usize]| {
        long.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    if let Some((trace, span)) = inside.split_once('-')
        && is_hex(trace, &[32])
        && is_hex(span, &[16])
    {
        return Some(trace);
    }
    let mut parts = inside.split(',');
    let _app = parts.next()?;
    let (trace, span) = (parts.next()?.trim_ascii(), parts.next()?.trim_ascii());
    let last = parts.next().map(str::trim_ascii);
    (is_hex(trace, &[16, 32])
        && is_hex(span, &[16])
        && matches!(last, None | Some("true" | "false" | ""))
        && parts.next().is_none()
        && trace.bytes().any(|byte| byte != b'0'))
    .then_some(trace)
}
