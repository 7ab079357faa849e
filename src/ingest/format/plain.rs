//! Text that no format reads. A stamp near the start of a line is taken where there is one in a
//! known spelling; the level is guessed from the words; the message is the text behind the stamp.

use crate::domain::record::Layer;

use super::{Begins, FormatSpec, Lines, Parsed, SourceZone, TimeHint, level, time};
use crate::domain::time::Timestamp;

pub static SPEC: FormatSpec = FormatSpec {
    name: "plain",
    source: "plain",
    layer: Layer::Infrastructure,
    begins: Begins::ANY,
    lines: Lines::Stamped,
    traces: true,
    named_ids: true,
};

/// Reads any text.
pub fn read<'a>(text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) {
    out.level = level::guess(text);
    out.ungraded = true;
    out.message = text.into();
    if let Some(cut) = stamp(text, hint) {
        out.set_time(cut.instant);
        let message = cut.rest.trim_start_matches([' ', ':', ',', ']', ')', '>', '|', '-', '\t', ';']);
        if !message.is_empty() {
            out.message = message.into();
        }
    }
}

/// Whether a line has a stamp does not depend on the hint.
const ANY_HINT: TimeHint =
    TimeHint { reference: Timestamp::from_seconds(1_700_000_000), zone: SourceZone::Utc };

/// Whether a line has a stamp or a level of its own: it never belongs to the record before it.
pub fn begins_own(line: &str) -> bool {
    stamp(line, &ANY_HINT).is_some()
}

/// A stamp at the start, also in brackets.
fn stamp<'a>(text: &'a str, hint: &TimeHint) -> Option<time::Cut<'a>> {
    let bare = text.trim_start_matches(['[', '(', '<', ' ']);
    time::any(bare, hint).or_else(|| time::time_of_day(bare, hint))
}
