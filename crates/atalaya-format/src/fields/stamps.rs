//! The time of a record out of its named values.

use super::{Fields, names};
use crate::{TimeHint, time};

/// A stamp in any spelling that fills the whole value.
pub(super) fn whole_stamp(text: &str, hint: &TimeHint) -> Option<time::Instant> {
    let text = text.trim();
    if let Some(cut) = time::any(text, hint)
        && cut.rest.is_empty()
    {
        return Some(cut.instant);
    }
    if let Some(cut) = time::iso_named(text, hint)
        // PHP and Go add what says the zone twice: `+0200 CEST`, `Europe/Berlin`, `m=+0.01`.
        && cut.rest.starts_with(' ')
        && cut.rest.len() < 40
    {
        return Some(cut.instant);
    }
    // `1.5e9`: some loggers print floating-point seconds so.
    let exponent = text.len() < 32 && text.bytes().any(|byte| byte | 0x20 == b'e');
    if exponent {
        text.parse()
            .ok()
            .and_then(time::epoch_number)
            .map(time::Instant::exact)
    } else {
        None
    }
}

/// What a name of half a stamp holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Half {
    Date,
    Time,
    Zone,
}

fn half(name: &str) -> Option<Half> {
    let mut buffer = [0; 32];
    let last = name.rsplit('.').next()?;
    Some(match names::folded(last, &mut buffer)? {
        "date" | "day" | "logdate" | "eventdate" | "datelocal" => Half::Date,
        "time" | "logtime" | "eventtime" | "timeofday" | "clock" => Half::Time,
        "tz" | "timezone" | "zone" | "utcoffset" | "tzoffset" => Half::Zone,
        _ => return None,
    })
}

impl Fields<'_, '_> {
    /// When no name gave the time: a date and a time of day in two members, a stamp under a name
    /// of its own, or a time of day alone.
    pub(super) fn find_time(&mut self) {
        if let Some(instant) = self
            .halves()
            .or_else(|| self.own_name())
            .or_else(|| self.time_of_day())
        {
            self.instant = Some(instant);
        }
    }

    fn halves(&mut self) -> Option<time::Instant> {
        let find = |wanted: Half| {
            self.out
                .metadata
                .iter()
                .position(|(name, _)| half(name) == Some(wanted))
        };
        let (date, time) = (find(Half::Date)?, find(Half::Time)?);
        let zone = find(Half::Zone)
            .and_then(|at| self.out.metadata.get(at))
            .map_or("", |(_, text)| text.trim());
        let text = |at: usize| self.out.metadata.get(at).map(|(_, text)| text.trim());
        let (day, clock) = (text(date)?, text(time)?);
        if day.len() > 40 || clock.len() > 40 || zone.len() > 40 {
            return None;
        }
        let both = format!("{day} {clock}");
        let zoned = if zone.is_empty() {
            None
        } else {
            whole_stamp(&format!("{both}{zone}"), self.hint)
        };
        let zoned = zoned.or_else(|| {
            (!zone.is_empty()).then(|| whole_stamp(&format!("{both} {zone}"), self.hint))?
        });
        let instant = zoned
            .or_else(|| whole_stamp(&both, self.hint))
            .or_else(|| {
                time::packed(&both, self.hint)
                    .filter(|cut| cut.rest.is_empty())
                    .map(|cut| cut.instant)
            })?;
        // Both are in the stamp now; the zone may be more than its offset, and stays.
        self.remove(date.max(time));
        self.remove(date.min(time));
        Some(instant)
    }

    /// The first stamp whose name has to do with time; it stays in the metadata.
    fn own_name(&self) -> Option<time::Instant> {
        self.out.metadata.iter().find_map(|(name, text)| {
            let mut buffer = [0; 32];
            let last = name.rsplit('.').next()?;
            let timely = names::folded(last, &mut buffer).is_some_and(names::is_timely);
            // A number is a stamp only in the digits of seconds, milliseconds, and so on.
            let sized = !text.bytes().all(|byte| byte.is_ascii_digit())
                || matches!(text.len(), 10 | 13 | 16 | 19);
            // Who was created when says nothing about the record.
            let own = !name.contains('.') || !last.to_ascii_lowercase().contains("creat");
            (timely && sized && own).then(|| whole_stamp(text, self.hint))?
        })
    }

    fn time_of_day(&mut self) -> Option<time::Instant> {
        let at = self.out.metadata.iter().position(|(name, text)| {
            text.len() <= 18 && matches!(names::slot_of(name), Some((names::Slot::Time, _)))
        })?;
        let (name, text) = self.out.metadata.get(at)?;
        let instant = time::time_of_day(text, self.hint)
            .filter(|cut| cut.rest.is_empty())?
            .instant;
        // `date: 11:37:47` is no sound name for it, and stays to be seen.
        if !matches!(half(name), Some(Half::Date)) {
            self.remove(at);
        }
        Some(instant)
    }
}
