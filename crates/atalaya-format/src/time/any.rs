//! Any spelling that has a day, at the start of a text.

use super::super::TimeHint;
use super::Cut;
use super::calendar::Civil;
use super::cut::date_time;
use super::epoch::tai64n;
use super::names;
use super::numeric::numeric;
use super::parts::{half, in_day, zone_tail};
use super::worded::worded;
use super::zone::resolve_in;

/// Any spelling of this module that has a day, at the start of the text.
///
/// The first bytes decide which reader is asked; ISO 8601, which most lines have, is first.
pub fn any<'a>(text: &'a str, hint: &TimeHint) -> Option<Cut<'a>> {
    let bytes = text.as_bytes();
    match *bytes.first()? {
        b'0'..=b'9' => {
            if let Some(&sep @ (b'-' | b'/')) = bytes.get(4)
                && let Some((civil, rest)) = date_time(text, sep)
            {
                return Some(with_tail(civil, rest, hint));
            }
            numeric(text, hint)
        }
        b'A'..=b'Z' | b'a'..=b'z' | 0xc3..=0xc5
            if names::may_be(bytes) || bytes.get(3) == Some(&b' ') =>
        {
            worded(text, hint)
        }
        b'@' => tai64n(text),
        _ => None,
    }
}

/// A reading with the half of the day and the zone that stand behind it.
fn with_tail<'a>(civil: Civil, rest: &'a str, hint: &TimeHint) -> Cut<'a> {
    let (mut civil, mut rest) = (civil, rest);
    if let Some(b' ' | b'A' | b'P' | b'a' | b'p' | 0xc2 | 0xe2) = rest.as_bytes().first()
        && let Some((afternoon, used)) = half(rest.as_bytes())
    {
        civil.hour = in_day(civil.hour, afternoon);
        rest = rest.get(used..).unwrap_or("");
    }
    let (zone, rest) = zone_tail(rest);
    Cut {
        instant: resolve_in(&civil, zone, hint.zone),
        rest,
    }
}
