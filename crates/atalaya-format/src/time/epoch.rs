//! Instants counted: since 1970, and the labels of TAI64.

use atalaya_domain::time::Timestamp;

use super::super::TimeHint;
use super::Cut;
use super::parts::{digits, fraction};
use super::zone::Instant;

/// A number since 1970, in seconds (also with decimals), milliseconds, microseconds or
/// nanoseconds: told apart by its size. Years before 1973 and after 5138 are not read.
pub fn epoch<'a>(text: &'a str, _hint: &TimeHint) -> Option<Cut<'a>> {
    let bytes = text.as_bytes();
    let digits = digits(bytes, 0, 19);
    if !(9..=19).contains(&digits) {
        return None;
    }
    let whole: i64 = text[..digits].parse().ok()?;
    let (micros, used) = fraction(&bytes[digits..]);
    let at = epoch_whole(whole)?;
    // Decimals count where whole numbers are seconds or milliseconds.
    let extra = match digits {
        ..=11 => i64::from(micros),
        12..=14 => i64::from(micros) / 1_000,
        _ => 0,
    };
    let instant = Instant::exact(Timestamp::from_micros(at.micros().saturating_add(extra)));
    Some(Cut {
        instant,
        rest: &text[digits + used..],
    })
}

/// [`epoch`] for a number that is one already.
pub fn epoch_number(number: f64) -> Option<Timestamp> {
    if !(1e8..=9.2e18).contains(&number) {
        return None;
    }
    if number < 1e11 {
        return Some(Timestamp::from_micros((number * 1e6).round() as i64));
    }
    if number < 1e14 {
        return Some(Timestamp::from_micros((number * 1e3).round() as i64));
    }
    epoch_whole(number as i64)
}

fn epoch_whole(whole: i64) -> Option<Timestamp> {
    Some(Timestamp::from_micros(match whole {
        100_000_000..100_000_000_000 => whole * 1_000_000,
        100_000_000_000..100_000_000_000_000 => whole * 1_000,
        100_000_000_000_000..100_000_000_000_000_000 => whole,
        100_000_000_000_000_000.. => whole / 1_000,
        _ => return None,
    }))
}

/// `@4000000037c219bf2ef02e94`: the label that daemontools and its kin put before a line, with the
/// nanoseconds behind the seconds.
///
/// The writers add 10 s to the clock of Unix and count no leap seconds, so the reader takes 10 s
/// off. Source: <https://cr.yp.to/libtai/tai64.html> and `tai64nlocal` of daemontools.
pub fn tai64n(text: &str) -> Option<Cut<'_>> {
    /// The label of 1970-01-01T00:00:00 as the writers make it.
    const UNIX: u64 = (1 << 62) + 10;
    let label = text.strip_prefix('@')?.get(..24)?;
    if !label.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let rest = text.get(25..)?;
    let seconds = u64::from_str_radix(label.get(..16)?, 16)
        .ok()?
        .checked_sub(UNIX)?;
    let nanos = i64::from_str_radix(label.get(16..)?, 16).ok()?;
    // Labels beyond the year 9999 are no times.
    let seconds = i64::try_from(seconds)
        .ok()
        .filter(|&seconds| seconds < 253_402_300_800)?;
    if nanos >= 1_000_000_000 || rest.starts_with(|next: char| next.is_ascii_alphanumeric()) {
        return None;
    }
    let instant = Instant::exact(Timestamp::from_micros(seconds * 1_000_000 + nanos / 1_000));
    Some(Cut { instant, rest })
}
