//! Stamps: cutting them from the start of a text, and turning them into instants.
//!
//! The cutters are hand-written for fixed positions; none allocates. A cutter returns the instant
//! and what follows the stamp, or `None` when the text does not begin with one. Digits beyond
//! microseconds are cut off, not rounded, so that the order of stamps is kept.

mod any;
mod calendar;
mod cut;
mod epoch;
mod find;
mod names;
mod numeric;
mod parts;
mod worded;
mod zone;

pub use any::any;
pub use calendar::{Civil, days_from_civil};
pub use cut::{
    clf, ctime, day_first, iso, iso_named, packed, slashed, syslog, time_of_day, time_of_half_day,
};
pub use epoch::{epoch, epoch_number, tai64n};
pub use find::{Found, find};
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
