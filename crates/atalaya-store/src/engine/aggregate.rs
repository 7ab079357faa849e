//! Groups of what a query finds, with their counts and statistics. Memory is bounded by the number of
//! groups, and that number by [`MOST_GROUPS`]; what comes in further ones is counted together.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::sync::Arc;

use sketches_ddsketch::{Config, DDSketch};
use tokio_util::sync::CancellationToken;

use crate::chunks::ChunkStore;
use crate::error::StoreError;
use atalaya_domain::chunk::ChunkSummary;
use atalaya_domain::record::{Entry, Level, Origin};
use atalaya_domain::stats;
use atalaya_domain::time::{TimeRange, Timestamp};
use atalaya_query::{Aggregate, Statistic, Zone};

use super::Scanned;
use super::selection::{Selection, holds};
use super::walk::{Minute, Tally, minutes, walk};

/// Groups (times spans) that are kept apart.
pub const MOST_GROUPS: usize = 100_000;
/// The same where each has numbers of its own: 16 KiB each at most.
pub const MOST_GROUPS_OF_NUMBERS: usize = 5_000;
/// Bytes of a value that groups are told apart by.
const VALUE_BYTES: usize = 256;
/// Numbers of a group that are kept as they are; more go into a sketch.
const EXACT: usize = 256;
/// Relative error of a percentile from a sketch.
pub const SKETCH_ERROR: f64 = 0.01;
/// Enough for sixteen decades at that error.
const SKETCH_BINS: u32 = 2_048;

/// What a query finds, in groups.
#[derive(Clone, Debug, PartialEq)]
pub struct Groups {
    /// With the most records first; with spans, by time first.
    pub rows: Vec<Group>,
    /// All groups, also those that are not among the rows.
    pub groups: u64,
    /// All records that match.
    pub total: u64,
    /// Records of groups that are not among the rows.
    pub others: u64,
    /// There were more groups than are kept apart: `groups` is not less than this many.
    pub cut: bool,
    /// From the first to just after the last record counted, widened to what the query names.
    pub range: Option<TimeRange>,
    pub scanned: Scanned,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Where the span begins, if counts are by time.
    pub at: Option<Timestamp>,
    /// For each field its value; `None`: the records have none.
    pub key: Vec<Option<String>>,
    pub count: u64,
    /// Records a second, over the span or the whole range.
    pub rate: Option<f64>,
    /// Records that have the number of the statistics.
    pub numbers: u64,
    /// For each statistic; `None`: no record has the number.
    pub statistics: Vec<Option<f64>>,
}

pub(super) async fn aggregate(
    store: &dyn ChunkStore,
    selection: Arc<dyn Selection>,
    aggregate: &Aggregate,
    zone: Zone,
    cancel: &CancellationToken,
) -> Result<Groups, StoreError> {
    let stated = selection.range();
    let empty = || Tallied::new(aggregate, zone, stated);
    let (tallies, scanned) = walk(store, selection, stated, cancel, empty).await?;
    let mut all = empty();
    for tally in tallies {
        all.merge(tally);
    }
    Ok(all.into_groups(scanned))
}

/// Numbers of one group.
enum Numbers {
    Exact(Vec<f64>),
    Sketch(Box<DDSketch>),
}

impl Default for Numbers {
    fn default() -> Self {
        Self::Exact(Vec::new())
    }
}

impl Numbers {
    fn add(&mut self, number: f64) {
        match self {
            Self::Exact(numbers) if numbers.len() < EXACT => numbers.push(number),
            Self::Exact(numbers) => {
                let mut sketch = DDSketch::new(Config::new(SKETCH_ERROR, SKETCH_BINS, 1.0e-9));
                for &known in &*numbers {
                    sketch.add(known);
                }
                sketch.add(number);
                *self = Self::Sketch(Box::new(sketch));
            }
            Self::Sketch(sketch) => sketch.add(number),
        }
    }

    fn merge(&mut self, other: Self) {
        match (&mut *self, other) {
            (_, Self::Exact(numbers)) => numbers.into_iter().for_each(|number| self.add(number)),
            (Self::Sketch(sketch), Self::Sketch(other)) => {
                // Refused only between sketches of different configurations.
                let _ = sketch.merge(&other);
            }
            (Self::Exact(numbers), Self::Sketch(mut other)) => {
                for &number in &*numbers {
                    other.add(number);
                }
                *self = Self::Sketch(other);
            }
        }
    }

    fn percentile(&self, percent: f64) -> Option<f64> {
        match self {
            Self::Exact(numbers) => stats::quantile(numbers, percent / 100.0),
            Self::Sketch(sketch) => sketch.quantile(percent / 100.0).ok().flatten(),
        }
    }
}

#[derive(Default)]
struct Tallies {
    count: u64,
    numbers: u64,
    sum: f64,
    least: f64,
    most: f64,
    kept: Numbers,
}

impl Tallies {
    fn add_number(&mut self, number: f64, percentiles: bool) {
        self.extremes(number, number);
        self.numbers += 1;
        self.sum += number;
        if percentiles {
            self.kept.add(number);
        }
    }

    fn extremes(&mut self, least: f64, most: f64) {
        let first = self.numbers == 0;
        self.least = if first { least } else { self.least.min(least) };
        self.most = if first { most } else { self.most.max(most) };
    }

    fn merge(&mut self, other: Self) {
        self.count += other.count;
        if other.numbers > 0 {
            self.extremes(other.least, other.most);
            self.numbers += other.numbers;
            self.sum += other.sum;
            self.kept.merge(other.kept);
        }
    }

    fn statistic(&self, statistic: Statistic) -> Option<f64> {
        if self.numbers == 0 {
            return None;
        }
        match statistic {
            Statistic::Average => Some(self.sum / self.numbers as f64),
            Statistic::Least => Some(self.least),
            Statistic::Most => Some(self.most),
            Statistic::Sum => Some(self.sum),
            // A sketch may miss the ends by its error.
            Statistic::Percentile(percent) => self
                .kept
                .percentile(percent)
                .map(|value| value.clamp(self.least, self.most)),
        }
    }
}

/// A group as it is told apart: its span and its values, each behind its length.
type Key = Vec<u8>;

struct Tallied<'a> {
    aggregate: &'a Aggregate,
    zone: Zone,
    percentiles: bool,
    most: usize,
    /// What is counted at all.
    inside: TimeRange,
    groups: HashMap<Key, Tallies>,
    /// Records of groups that came after the bound was reached.
    beyond: u64,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    /// Kept to make keys in.
    key: Key,
}

impl<'a> Tallied<'a> {
    fn new(aggregate: &'a Aggregate, zone: Zone, inside: TimeRange) -> Self {
        let percentiles = aggregate
            .statistics
            .iter()
            .any(|statistic| matches!(statistic, Statistic::Percentile(_)));
        Self {
            aggregate,
            zone,
            percentiles,
            most: if percentiles {
                MOST_GROUPS_OF_NUMBERS
            } else {
                MOST_GROUPS
            },
            inside,
            groups: HashMap::new(),
            beyond: 0,
            first: None,
            last: None,
            key: Key::new(),
        }
    }

    fn saw(&mut self, first: Timestamp, last: Timestamp) {
        self.first = Some(self.first.map_or(first, |known| known.min(first)));
        self.last = Some(self.last.map_or(last, |known| known.max(last)));
    }

    /// The group of the key, unless there are too many.
    fn group(&mut self) -> Option<&mut Tallies> {
        if !self.groups.contains_key(&self.key) {
            if self.groups.len() >= self.most {
                return None;
            }
            self.groups.insert(self.key.clone(), Tallies::default());
        }
        self.groups.get_mut(&self.key)
    }

    fn begin_key(&mut self, at: Timestamp) {
        self.key.clear();
        if let Some(span) = self.aggregate.span_of(at, self.zone) {
            self.key.extend_from_slice(&span.micros().to_be_bytes());
        }
    }

    fn count(&mut self, records: u64) {
        match self.group() {
            Some(group) => group.count += records,
            None => self.beyond += records,
        }
    }

    /// Counts `records` of one level at one time, of which nothing else is known.
    fn add_level(&mut self, origin: &Origin, level: Level, at: Timestamp, records: u64) {
        self.begin_key(at);
        for field in &self.aggregate.by {
            push_value(
                &mut self.key,
                field.value_in_summary(origin, level).as_deref(),
            );
        }
        self.count(records);
    }

    fn merge(&mut self, other: Self) {
        self.beyond += other.beyond;
        if let (Some(first), Some(last)) = (other.first, other.last) {
            self.saw(first, last);
        }
        for (key, group) in other.groups {
            let full = self.groups.len() >= self.most;
            match self.groups.entry(key) {
                Slot::Occupied(mut known) => known.get_mut().merge(group),
                Slot::Vacant(_) if full => self.beyond += group.count,
                Slot::Vacant(vacant) => {
                    vacant.insert(group);
                }
            }
        }
    }

    fn into_groups(self, scanned: Scanned) -> Groups {
        let range = self.range();
        let seconds = self.aggregate.per.or(range.map(|range| range.length()));
        let seconds = seconds.map_or(0.0, |length| length.as_secs_f64());
        let timed = self.aggregate.per.is_some();
        let mut rows: Vec<Group> = Vec::with_capacity(self.groups.len());
        let mut total = self.beyond;
        for (key, group) in &self.groups {
            total += group.count;
            let (at, key) = values(key, timed);
            let statistics = self.aggregate.statistics.iter();
            rows.push(Group {
                at,
                key,
                count: group.count,
                rate: (self.aggregate.rate && seconds > 0.0).then(|| group.count as f64 / seconds),
                numbers: group.numbers,
                statistics: statistics.map(|&one| group.statistic(one)).collect(),
            });
        }
        let (rows, groups) = top(rows, self.aggregate.top);
        let shown: u64 = rows.iter().map(|row| row.count).sum();
        Groups {
            rows,
            groups,
            total,
            others: total - shown,
            cut: self.beyond > 0,
            range,
            scanned,
        }
    }

    fn range(&self) -> Option<TimeRange> {
        let (first, last) = (self.first?, self.last?);
        let from = if self.inside.from == Timestamp::MIN {
            first
        } else {
            self.inside.from
        };
        let end = Timestamp::from_micros(last.micros().saturating_add(1));
        Some(TimeRange::new(
            from,
            if self.inside.until == Timestamp::MAX {
                end
            } else {
                self.inside.until
            },
        ))
    }
}

impl Tally for Tallied<'_> {
    fn add_summary(&mut self, summary: &ChunkSummary, levels: [bool; 5]) -> bool {
        if !self.aggregate.is_in_summaries() {
            return false;
        }
        let mut counted = Vec::with_capacity(summary.minutes.len());
        for minute in minutes(summary) {
            let Minute { first, last, .. } = minute;
            if last < self.inside.from
                || (first >= self.inside.until && !holds(&self.inside, first))
            {
                continue;
            }
            let whole = holds(&self.inside, first) && holds(&self.inside, last);
            let span = |at| self.aggregate.span_of(at, self.zone);
            if !whole || span(first) != span(last) {
                return false;
            }
            counted.push(minute);
        }
        for Minute {
            first,
            last,
            levels: counts,
        } in counted
        {
            let counts = counts.only(levels);
            for level in Level::ALL {
                let records = u64::from(counts.of(level));
                if records > 0 {
                    self.saw(first, last);
                    self.add_level(&summary.origin, level, first, records);
                }
            }
        }
        true
    }

    fn add(&mut self, origin: &Origin, entry: &Entry) {
        self.saw(entry.timestamp, entry.timestamp);
        self.begin_key(entry.timestamp);
        for field in &self.aggregate.by {
            push_value(&mut self.key, field.value(origin, entry).as_deref());
        }
        let number = (!self.aggregate.statistics.is_empty())
            .then(|| self.aggregate.number.of(entry))
            .flatten();
        let percentiles = self.percentiles;
        let Some(group) = self.group() else {
            self.beyond += 1;
            return;
        };
        group.count += 1;
        if let Some(number) = number {
            group.add_number(number, percentiles);
        }
    }
}

/// The groups with the most records over all spans, in their order, and how many there are.
fn top(mut rows: Vec<Group>, most: Option<usize>) -> (Vec<Group>, u64) {
    let mut counts: HashMap<Vec<Option<String>>, u64> = HashMap::new();
    for row in &rows {
        *counts.entry(row.key.clone()).or_default() += row.count;
    }
    let groups = counts.len() as u64;
    let more_first = |left: &Vec<_>, right: &Vec<_>| {
        let count = |key: &Vec<_>| counts.get(key).copied().unwrap_or_default();
        count(right).cmp(&count(left)).then_with(|| left.cmp(right))
    };
    if let Some(most) = most.filter(|&most| most < counts.len()) {
        let mut order: Vec<&Vec<Option<String>>> = counts.keys().collect();
        order.sort_unstable_by(|left, right| more_first(left, right));
        let kept: std::collections::HashSet<_> = order.into_iter().take(most).collect();
        rows.retain(|row| kept.contains(&row.key));
    }
    rows.sort_unstable_by(|left, right| {
        let by_time = left.at.cmp(&right.at);
        by_time.then_with(|| more_first(&left.key, &right.key))
    });
    (rows, groups)
}

fn push_value(key: &mut Key, value: Option<&str>) {
    match value {
        Some(value) => {
            let value = &value[..value.floor_char_boundary(VALUE_BYTES)];
            key.extend_from_slice(&(value.len() as u32 + 1).to_be_bytes());
            key.extend_from_slice(value.as_bytes());
        }
        None => key.extend_from_slice(&0_u32.to_be_bytes()),
    }
}

/// What [`push_value`] made.
fn values(key: &[u8], timed: bool) -> (Option<Timestamp>, Vec<Option<String>>) {
    let (at, mut rest) = match key.split_first_chunk::<8>() {
        Some((at, rest)) if timed => {
            let at = Timestamp::from_micros(i64::from_be_bytes(*at));
            (Some(at), rest)
        }
        _ => (None, key),
    };
    let mut values = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        let (value, after) = after.split_at(length.saturating_sub(1).min(after.len()));
        rest = after;
        values.push((length > 0).then(|| String::from_utf8_lossy(value).into_owned()));
    }
    (at, values)
}

#[cfg(test)]
mod tests;
