//! Text that no format reads. A stamp near the start of a line is taken where there is one in a
//! known spelling; the level is guessed from the words; the message is the text behind the stamp.

use atalaya_domain::record::Layer;

use super::{Begins, FormatSpec, Lines, Parsed, SourceZone, TimeHint, level, time};
use atalaya_domain::time::Timestamp;

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
    read_with(text, time::find(text, hint), out);
}

/// Reads any text, in which this stamp was found.
pub fn read_with<'a>(text: &'a str, found: Option<time::Found<'a>>, out: &mut Parsed<'a>) {
    let said = level::said(text);
    out.level = said.unwrap_or_default();
    out.ungraded = true;
    out.guessed = true;
    out.message = text.into();
    let Some(found) = found else { return };
    out.set_time(found.instant);
    // Text before a stamp stays, and with it the stamp.
    if found
        .before
        .trim_matches(['[', '(', '<', ' ', '\t', '"', '|'])
        .is_empty()
    {
        let message = found
            .rest
            .trim_start_matches([' ', ':', ',', ']', ')', '>', '|', '-', '\t', ';', '"']);
        if !message.is_empty() {
            out.message = message.into();
            // Where no word looks like a level, none of those behind the stamp does.
            out.guessed = said.is_none()
                && level::is_guessed_whole(text)
                && level::at_head(message).is_none();
        }
    }
}

/// Whether a line has a stamp does not depend on the hint.
const ANY_HINT: TimeHint = TimeHint {
    reference: Timestamp::from_seconds(1_700_000_000),
    zone: SourceZone::Utc,
};

/// Whether a line has a stamp or a level of its own: it never belongs to the record before it.
pub fn begins_own(line: &str) -> bool {
    has_stamp(line) || level::at_start(line).is_some()
}

/// Whether a line has a stamp of its own.
pub fn has_stamp(line: &str) -> bool {
    time::find(line, &ANY_HINT).is_some()
}
