//! Text that no other format reads. A stamp at the start of a line is taken where there is one in
//! a known spelling; the level is guessed from the words; the message is the text after the stamp.

use crate::domain::record::Layer;

use super::{Format, FormatMismatch, LineRole, Parsed, SourceZone, TimeHint, level, time, trace};
use crate::domain::time::Timestamp;

pub const NAME: &str = "plain";

/// Fits everything.
#[derive(Clone, Copy, Debug)]
pub struct Plain;

impl Format for Plain {
    fn name(&self) -> &'static str {
        NAME
    }

    fn default_source(&self) -> &'static str {
        NAME
    }

    fn default_layer(&self) -> Layer {
        Layer::Infrastructure
    }

    fn role(&self, line: &str) -> LineRole {
        if line.trim_ascii().is_empty() {
            LineRole::Skip
        } else if trace::continues(line) && stamp(line, &ANY_HINT).is_none() {
            LineRole::Continues
        } else {
            LineRole::Starts
        }
    }

    /// In a text whose records begin with a stamp, a line without one continues the record.
    fn role_after(&self, pending: &str, line: &str) -> LineRole {
        if line.trim_ascii().is_empty() {
            return LineRole::Skip;
        }
        let continues = stamp(line, &ANY_HINT).is_none()
            && (trace::continues_after(pending, line) || stamp(pending, &ANY_HINT).is_some());
        if continues { LineRole::Continues } else { LineRole::Starts }
    }

    fn parse<'a>(&self, text: &'a str, hint: &TimeHint, out: &mut Parsed<'a>) -> Result<(), FormatMismatch> {
        out.level = level::guess(text);
        out.message = text.into();
        if let Some(cut) = stamp(text, hint) {
            out.set_time(cut.instant);
            let message = cut.rest.trim_start_matches([' ', ':', ',', ']', ')', '>', '|', '-']);
            if !message.is_empty() {
                out.message = message.into();
            }
        }
        Ok(())
    }
}

/// Whether a line has a stamp does not depend on the hint.
const ANY_HINT: TimeHint =
    TimeHint { reference: Timestamp::from_seconds(1_700_000_000), zone: SourceZone::Utc };

/// A stamp at the start, also in brackets.
fn stamp<'a>(text: &'a str, hint: &TimeHint) -> Option<time::Cut<'a>> {
    let bare = text.trim_start_matches(['[', '(', '<', ' ']);
    time::any(bare, hint).or_else(|| time::time_of_day(bare, hint))
}
