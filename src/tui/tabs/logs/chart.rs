//! The chart over the list: what it counts, in a range that can be moved and zoomed, with the
//! deployments and alerts of that time. Drawn by [`super::histogram`].

use std::time::Duration;

use ratatui::layout::Rect;

use crate::tui::ask::Question;
use atalaya_domain::delivery::Deployment;
use atalaya_domain::record::Record;
use atalaya_domain::time::{TimeRange, Timestamp};
use atalaya_store::engine::Histogram;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
pub(super) const DAY: u64 = 24 * HOUR;

/// What `z` and `Z` go through, in seconds.
const RANGES: [u64; 10] = [
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    3 * DAY,
    7 * DAY,
    30 * DAY,
];
/// Widths of a bin, in seconds; whole minutes, which the store counts without reading records.
const BINS: [u64; 12] = [
    MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
];

/// How much of it is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Size {
    #[default]
    Small,
    Large,
    Hidden,
}

impl Size {
    #[must_use]
    pub fn next(self) -> Self {
        match self {
            Self::Small => Self::Large,
            Self::Large => Self::Hidden,
            Self::Hidden => Self::Small,
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Large => "large",
            Self::Hidden => "hidden",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Small, Self::Large, Self::Hidden]
            .into_iter()
            .find(|size| size.name() == name)
    }
}

/// What happened in the time of the chart beside what it counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Marks {
    pub deployments: Vec<Deployment>,
    /// When alerts began to fire.
    pub fired: Vec<Timestamp>,
}

#[derive(Debug)]
pub struct Chart {
    pub size: Size,
    /// Index into [`RANGES`].
    zoom: usize,
    /// The end of the range; `None` follows the clock.
    end: Option<Timestamp>,
    pub data: Option<Histogram>,
    pub marks: Marks,
    pub question: Question,
    pub loading: bool,
    pub failed: Option<String>,
}

impl Default for Chart {
    fn default() -> Self {
        Self {
            size: Size::default(),
            zoom: 2,
            end: None,
            data: None,
            marks: Marks::default(),
            question: Question::default(),
            loading: false,
            failed: None,
        }
    }
}

impl Chart {
    pub fn of_size(size: Size) -> Self {
        Self {
            size,
            ..Self::default()
        }
    }

    fn length(&self) -> Duration {
        Duration::from_secs(RANGES[self.zoom])
    }

    /// The range and number of bins to ask for, when `columns` are to be drawn.
    pub fn wanted(&self, now: Timestamp, columns: usize) -> (TimeRange, usize) {
        let seconds = RANGES[self.zoom];
        let width = bin_seconds(seconds, columns);
        // Bins end at whole multiples of their width, so that a bar stays itself while time goes on.
        let end = self
            .end
            .unwrap_or(now)
            .micros()
            .div_euclid(1_000_000)
            .saturating_add(1);
        let width_signed = i64::try_from(width).unwrap_or(1);
        let until = end
            .div_euclid(width_signed)
            .saturating_add(i64::from(end.rem_euclid(width_signed) > 0))
            * width_signed;
        let bins = seconds / width;
        let from = until - i64::try_from(bins * width).unwrap_or(0);
        (
            TimeRange::new(
                Timestamp::from_seconds(from),
                Timestamp::from_seconds(until),
            ),
            usize::try_from(bins).unwrap_or(1),
        )
    }

    pub fn zoom(&mut self, closer: bool, focus: Option<Timestamp>, now: Timestamp) -> bool {
        let before = self.zoom;
        self.zoom = if closer {
            self.zoom.saturating_sub(1)
        } else {
            (self.zoom + 1).min(RANGES.len() - 1)
        };
        if let (Some(at), true) = (focus, self.zoom != before) {
            self.show(at, now);
        }
        self.zoom != before
    }

    /// Moves the range by half its length.
    pub fn shift(&mut self, later: bool, now: Timestamp) {
        let half = self.length() / 2;
        let end = self.end.unwrap_or(now);
        let moved = if later {
            end.saturating_add(half)
        } else {
            end.saturating_sub(half)
        };
        self.end = (moved < now).then_some(moved);
    }

    /// Moves the range so that a time is in it: as it is when it is in already, else around it.
    pub fn show(&mut self, at: Timestamp, now: Timestamp) -> bool {
        let range = TimeRange::ending(
            self.end
                .unwrap_or(now)
                .saturating_add(Duration::from_secs(1)),
            self.length(),
        );
        if range.contains(at) {
            return false;
        }
        let end = at.saturating_add(self.length() / 2);
        self.end = (end < now).then_some(end);
        true
    }

    pub fn follows_clock(&self) -> bool {
        self.end.is_none()
    }

    /// The range on the screen has been overtaken by the clock.
    pub fn is_behind(&self, now: Timestamp) -> bool {
        self.end.is_none()
            && !self.loading
            && self
                .data
                .as_ref()
                .is_some_and(|data| now >= data.range.until)
    }

    /// Counts arrivals without asking the store again.
    pub fn count<'a>(&mut self, arrivals: impl Iterator<Item = &'a Record>) {
        let Some(data) = &mut self.data else { return };
        let width = data.bin_width.as_micros().max(1);
        for record in arrivals.filter(|record| data.range.contains(record.entry.timestamp)) {
            let index =
                usize::try_from(record.entry.timestamp.since(data.range.from).as_micros() / width)
                    .unwrap_or(usize::MAX);
            if let Some(bin) = data.bins.get_mut(index) {
                bin.add(record.entry.level);
            }
        }
    }

    /// Asks for the range on the screen; the question's number comes back with the counts.
    pub fn ask(
        &mut self,
        question: Question,
        now: Timestamp,
        columns: usize,
    ) -> (TimeRange, usize) {
        self.question = question;
        self.loading = true;
        self.wanted(now, columns)
    }

    /// Takes the counts.
    pub fn update(&mut self, result: Result<Histogram, String>) {
        self.loading = false;
        match result {
            Ok(data) => {
                self.data = Some(data);
                self.failed = None;
            }
            Err(reason) => self.failed = Some(reason),
        }
    }

    /// Takes what else happened in that time.
    pub fn update_marks(&mut self, result: Result<Marks, String>) {
        match result {
            Ok(marks) => self.marks = marks,
            Err(reason) => self.failed = Some(reason),
        }
    }

    pub fn is_shown(&self) -> bool {
        self.size != Size::Hidden
    }

    pub const fn height(&self, body: u16) -> u16 {
        match self.size {
            Size::Hidden => 0,
            _ if body < 14 => 0,
            Size::Small if body >= 40 => 9,
            Size::Small => 6,
            Size::Large => body / 2,
        }
    }
}

fn bin_seconds(range: u64, columns: usize) -> u64 {
    let least = range / (columns.max(1) as u64);
    BINS.into_iter()
        .find(|width| *width >= least && range.is_multiple_of(*width))
        .unwrap_or(DAY)
}

/// Columns that bars may take: all but the scale at the left.
pub fn columns(area: Rect) -> usize {
    usize::from(area.width.saturating_sub(SCALE))
}

/// Columns of the scale.
pub(super) const SCALE: u16 = 7;

#[cfg(test)]
mod tests {
    use super::*;
    use atalaya_domain::record::LevelCounts;

    fn seconds(at: i64) -> Timestamp {
        Timestamp::from_seconds(at)
    }

    #[test]
    fn the_range_ends_on_a_whole_bin_after_now() {
        let chart = Chart::default();
        let (range, bins) = chart.wanted(seconds(7_230), 73);
        assert_eq!(
            (bins, range.until, range.length()),
            (60, seconds(7_260), Duration::from_secs(3_600))
        );
    }

    #[test]
    fn zoom_and_shift_move_within_bounds() {
        let mut chart = Chart::default();
        let now = seconds(1_000_000);
        while chart.zoom(false, None, now) {}
        assert_eq!(chart.length(), Duration::from_secs(30 * DAY));
        while chart.zoom(true, None, now) {}
        assert_eq!(chart.length(), Duration::from_secs(15 * MINUTE));
        chart.shift(false, now);
        assert!(!chart.follows_clock());
        chart.shift(true, now);
        assert!(chart.follows_clock(), "the future has no records");
    }

    #[test]
    fn arrivals_are_counted_where_they_belong() {
        let record = super::super::rows::tests::record(90);
        let mut chart = Chart {
            data: Some(Histogram {
                range: TimeRange::new(seconds(0), seconds(120)),
                bin_width: Duration::from_secs(60),
                bins: vec![LevelCounts::default(); 2],
                scanned: atalaya_store::engine::Scanned::default(),
            }),
            ..Chart::default()
        };
        chart.count([&record].into_iter());
        assert_eq!(
            chart
                .data
                .map(|data| data.bins.iter().map(LevelCounts::total).collect::<Vec<_>>()),
            Some(vec![0, 1])
        );
    }
}
