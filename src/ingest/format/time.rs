//! Stamps: cutting them from the start of a text, and turning them into instants.
//!
//! The cutters are hand-written for fixed positions; none allocates. A cutter returns the instant
//! and what follows the stamp, or `None` when the text does not begin with one. Digits beyond
//! microseconds are cut off, not rounded, so that the order of stamps is kept.

mod calendar;
mod cut;
mod zone;

pub use calendar::{Civil, days_from_civil};
pub use cut::{
    any, clf, ctime, day_first, epoch, epoch_number, iso, iso_named, packed, slashed, syslog, time_of_day,
};
pub use zone::{Instant, resolve, yearless, zone_seconds};

/// A stamp cut from the start of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut<'a> {
    pub instant: Instant,
    /// What follows the stamp, its separator included.
    pub rest: &'a str,
}

#[cfg(test)]
mod tests;
