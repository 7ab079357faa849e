//! What is in the spool and what became of it: the one state that the writer, the drainer and the
//! screens share. No I/O, no clock; held only for moments.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::positions::Positions;
use super::segment::Index;
use atalaya_domain::record::{Frame, OriginId};
use atalaya_domain::time::Timestamp;

/// Encoded bytes of groups that are handed on in memory; beyond it they are read back from disk.
const LANE_BYTES: u64 = 16 << 20;
/// Append times remembered, to say how old the oldest waiting group is.
const MOST_TIMES: usize = 1_024;
const TIME_STEP: Duration = Duration::from_millis(100);

/// The frames of one append: written, sent and acknowledged as one.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub seq: u64,
    pub frames: Arc<[Frame]>,
    pub records: u64,
    /// Size on disk.
    pub bytes: u64,
}

/// A segment as the ledger knows it.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub index: Index,
    /// Nothing is added to it any more.
    pub sealed: bool,
    /// Records of its groups that were sent or set aside.
    settled: u64,
    /// Since when all its groups are acknowledged, the last time that they were sent.
    acked_at: Option<Instant>,
    /// Sent once more since the replay under way began.
    resent: bool,
    /// It is being removed.
    leaving: bool,
}

impl Segment {
    pub fn new(index: Index, sealed: bool) -> Self {
        Self {
            index,
            sealed,
            settled: 0,
            acked_at: None,
            resent: false,
            leaving: false,
        }
    }
}

/// How far the positions found at the start can be believed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trust {
    #[default]
    Full,
    /// The last write was cut short: most likely it was never acknowledged. The store is asked
    /// too, when it answers.
    Torn,
    /// Something is missing: only the store knows how far it got.
    Damaged,
}

/// Records by what became of them; `recovered + spooled = acked + quarantined + damaged + waiting`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Found on disk at the start.
    pub recovered: u64,
    /// Written by this run.
    pub spooled: u64,
    pub acked: u64,
    /// Refused by the store and kept aside.
    pub quarantined: u64,
    /// In groups whose bytes were damaged.
    pub damaged: u64,
    /// Sent once more after the store was away.
    pub replayed: u64,
    pub damaged_bytes: u64,
    pub groups: u64,
    pub syncs: u64,
}

impl Totals {
    pub fn waiting(&self) -> u64 {
        (self.recovered + self.spooled).saturating_sub(self.acked + self.quarantined + self.damaged)
    }
}

/// Where the next group to send is.
#[derive(Debug)]
pub(crate) enum Next {
    Lane(Group),
    /// On disk: in this segment, up to its valid length.
    Disk(Index),
    Nothing,
}

#[derive(Debug, Default)]
struct State {
    segments: VecDeque<Segment>,
    /// What segments that are gone held.
    base: Positions,
    known: HashMap<OriginId, u64>,
    trust: Trust,
    next_seq: u64,
    /// Every group before it is settled.
    frontier: u64,
    /// Settled ranges beyond the frontier, by start.
    ahead: BTreeMap<u64, u64>,
    lane: VecDeque<Group>,
    lane_bytes: u64,
    times: VecDeque<(u64, Timestamp)>,
    totals: Totals,
    quarantine_bytes: u64,
    replaying: bool,
}

/// What was found at the start.
#[derive(Debug, Default)]
pub(crate) struct Recovered {
    pub segments: Vec<Segment>,
    pub base: Positions,
    pub trust: Trust,
    pub damaged_bytes: u64,
    pub quarantine_bytes: u64,
}

/// A look at the numbers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Look {
    pub totals: Totals,
    pub bytes: u64,
    pub quarantine_bytes: u64,
    pub waiting_groups: u64,
    pub oldest_waiting: Option<Timestamp>,
    pub replaying: bool,
}

#[derive(Debug)]
pub(crate) struct Ledger {
    state: Mutex<State>,
}

impl Ledger {
    pub fn new(recovered: Recovered) -> Self {
        let mut known: HashMap<OriginId, u64> = recovered
            .base
            .until
            .iter()
            .map(|(origin, known)| (*origin, known.until))
            .collect();
        let mut totals = Totals {
            damaged_bytes: recovered.damaged_bytes,
            ..Totals::default()
        };
        let mut next_seq = recovered.base.next_seq.max(1);
        for segment in &recovered.segments {
            totals.recovered += segment.index.records;
            next_seq = next_seq.max(segment.index.end_seq());
            for (origin, until) in &segment.index.until {
                let known = known.entry(*origin).or_default();
                *known = (*until).max(*known);
            }
        }
        let frontier = recovered
            .segments
            .first()
            .map_or(next_seq, |segment| segment.index.first_seq);
        let mut state = State {
            segments: recovered.segments.into(),
            base: recovered.base,
            known,
            trust: recovered.trust,
            next_seq,
            frontier,
            totals,
            quarantine_bytes: recovered.quarantine_bytes,
            ..State::default()
        };
        state.advance(Instant::now());
        Self {
            state: Mutex::new(state),
        }
    }

    /// Every change is made whole before the lock is given back: a panic elsewhere breaks nothing.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn look(&self) -> Look {
        let state = self.lock();
        Look {
            totals: state.totals,
            bytes: state.bytes(),
            quarantine_bytes: state.quarantine_bytes,
            waiting_groups: state.waiting_groups(),
            oldest_waiting: state.oldest_waiting(),
            replaying: state.replaying,
        }
    }

    /// Bytes of all files of the spool.
    pub fn bytes(&self) -> u64 {
        let state = self.lock();
        state.bytes() + state.quarantine_bytes
    }

    pub fn waiting_groups(&self) -> u64 {
        self.lock().waiting_groups()
    }

    /// No segment holds a group, also none that is only kept.
    pub fn is_empty(&self) -> bool {
        self.lock()
            .segments
            .iter()
            .all(|segment| segment.index.groups == 0)
    }

    /// How far an origin is known to be spooled, and how far that can be believed.
    pub fn known(&self, origin: OriginId) -> (Option<u64>, Trust) {
        let state = self.lock();
        (state.known.get(&origin).copied(), state.trust)
    }

    pub fn next_seq(&self) -> u64 {
        self.lock().next_seq
    }

    pub fn frontier(&self) -> u64 {
        self.lock().frontier
    }

    /// A new segment, of which nothing is known but its number.
    pub fn opened(&self, number: u64) {
        let mut state = self.lock();
        let first_seq = state.next_seq;
        state
            .segments
            .push_back(Segment::new(Index::new(number, first_seq), false));
    }

    /// Groups that are durable now, in the newest segment. `sizes` belong to `groups`.
    pub fn committed(&self, heads: &[super::segment::Head], groups: Vec<Group>) {
        let mut state = self.lock();
        let state = &mut *state;
        state.totals.syncs += 1;
        for (head, group) in heads.iter().zip(groups) {
            if let Some(segment) = state.segments.back_mut() {
                segment.index.add(head);
                segment.acked_at = None;
                for frame in &*group.frames {
                    segment.index.reach(frame.origin.id, frame.until);
                    let known = state.known.entry(frame.origin.id).or_default();
                    *known = frame.until.max(*known);
                }
            }
            state.next_seq = head.seq + 1;
            state.totals.spooled += group.records;
            state.totals.groups += 1;
            let is_new = state
                .times
                .back()
                .is_none_or(|(_, last)| head.at.since(*last) >= TIME_STEP);
            if is_new && state.times.len() < MOST_TIMES {
                state.times.push_back((head.seq, head.at));
            }
            if state.lane_bytes + group.bytes <= LANE_BYTES || state.lane.is_empty() {
                state.lane_bytes += group.bytes;
                state.lane.push_back(group);
            }
        }
    }

    /// All that is to be sent from memory was taken up.
    pub fn is_lane_empty(&self) -> bool {
        self.lock().lane.is_empty()
    }

    /// The index of a segment, as it is now.
    pub fn index(&self, number: u64) -> Option<Index> {
        self.lock()
            .segments
            .iter()
            .find(|segment| segment.index.number == number)
            .map(|one| one.index.clone())
    }

    /// Nothing is added to this segment any more. One without groups is forgotten.
    pub fn sealed(&self, number: u64, now: Instant) {
        let mut state = self.lock();
        state.segments.retain_mut(|segment| {
            if segment.index.number == number {
                segment.sealed = true;
            }
            segment.index.number != number || segment.index.groups > 0
        });
        state.advance(now);
    }

    /// What to send after everything before `seq` was: from memory when it is there.
    pub fn next(&self, seq: u64) -> Next {
        let mut state = self.lock();
        while state.lane.front().is_some_and(|group| group.seq < seq) {
            state.pop_lane();
        }
        if state.lane.front().is_some_and(|group| group.seq == seq)
            && let Some(group) = state.pop_lane()
        {
            return Next::Lane(group);
        }
        let found = state.segments.iter().find(|segment| {
            !segment.leaving && segment.index.end_seq() > seq && segment.index.groups > 0
        });
        found.map_or(Next::Nothing, |segment| Next::Disk(segment.index.clone()))
    }

    /// The group is stored, but for `quarantined` of its records, which are kept aside.
    /// A group that was settled before counts as replayed.
    pub fn acked(&self, group: &Group, quarantined: u64, now: Instant) {
        let mut state = self.lock();
        if state.is_settled(group.seq) {
            state.totals.replayed += group.records;
            return;
        }
        state.totals.acked += group.records - quarantined.min(group.records);
        state.totals.quarantined += quarantined;
        if let Some(segment) = state
            .segments
            .iter_mut()
            .find(|segment| segment.index.holds(group.seq))
        {
            segment.settled += group.records;
        }
        state.settle(group.seq..group.seq + 1, now);
    }

    /// These groups cannot be read: they are counted as damaged when their segment is through.
    /// Returns how many of them were still waiting.
    pub fn lost(&self, range: Range<u64>, now: Instant) -> u64 {
        let mut state = self.lock();
        if range.is_empty() {
            return 0;
        }
        let waiting = range.clone().filter(|seq| !state.is_settled(*seq)).count() as u64;
        if waiting > 0 {
            state.trust = Trust::Damaged;
            state.settle(range, now);
        }
        waiting
    }

    pub fn damaged_bytes(&self, bytes: u64) {
        self.lock().totals.damaged_bytes += bytes;
    }

    pub fn quarantine_grew(&self, bytes: u64) {
        self.lock().quarantine_bytes += bytes;
    }

    /// Everything that is still here is sent once more, from the sequence that is returned on.
    pub fn replay(&self) -> u64 {
        let mut state = self.lock();
        let oldest = state
            .segments
            .iter()
            .find(|segment| !segment.leaving && segment.index.groups > 0);
        let from = oldest
            .map_or(state.frontier, |segment| segment.index.first_seq)
            .min(state.frontier);
        // Also one that was acknowledged before an older one counts, and must not leave meanwhile.
        if from < state.frontier || !state.ahead.is_empty() {
            state.replaying = true;
            for segment in &mut state.segments {
                segment.resent = false;
            }
        }
        from
    }

    /// The groups before this one were sent again and acknowledged: from now they are kept as long as
    /// new ones. Segment by segment: a store that comes and goes more often than all can be sent
    /// again would otherwise keep the spool full.
    pub fn resent(&self, until: u64, is_over: bool, now: Instant) {
        let mut state = self.lock();
        for segment in state
            .segments
            .iter_mut()
            .take_while(|segment| segment.index.end_seq() <= until)
        {
            if !std::mem::replace(&mut segment.resent, true) && segment.acked_at.is_some() {
                segment.acked_at = Some(now);
            }
        }
        state.replaying &= !is_over;
    }

    /// Marks segments that may go as leaving, and returns the positions to be written before.
    pub fn leaving(&self, now: Instant, keep: Duration) -> Option<(Vec<u64>, Positions)> {
        let mut state = self.lock();
        let state = &mut *state;
        let replaying = state.replaying;
        let mut numbers = Vec::new();
        let mut base = state.base.clone();
        for segment in &mut state.segments {
            let may_go = segment.sealed
                && (segment.resent || !replaying)
                && segment
                    .acked_at
                    .is_some_and(|acked| now.saturating_duration_since(acked) >= keep);
            if !may_go {
                break;
            }
            segment.leaving = true;
            numbers.push(segment.index.number);
            base.absorb(&segment.index);
        }
        base.next_seq = state.next_seq;
        (!numbers.is_empty()).then_some((numbers, base))
    }

    /// The segments are gone, and these positions stand for them.
    pub fn left(&self, numbers: &[u64], base: Positions) {
        let mut state = self.lock();
        state
            .segments
            .retain(|segment| !numbers.contains(&segment.index.number));
        // Positions that were dropped for their number are the store's to know.
        if base.was_thinned {
            let live: HashMap<OriginId, u64> = state
                .segments
                .iter()
                .flat_map(|segment| segment.index.until.clone())
                .collect();
            state
                .known
                .retain(|origin, _| base.until.contains_key(origin) || live.contains_key(origin));
        }
        state.base = base;
    }

    /// The segments could not be removed: they stay.
    pub fn stays(&self, numbers: &[u64]) {
        for segment in &mut self.lock().segments {
            if numbers.contains(&segment.index.number) {
                segment.leaving = false;
            }
        }
    }
}

impl State {
    fn bytes(&self) -> u64 {
        self.segments
            .iter()
            .map(|segment| segment.index.length)
            .sum()
    }

    fn pop_lane(&mut self) -> Option<Group> {
        let group = self.lane.pop_front()?;
        self.lane_bytes -= group.bytes;
        Some(group)
    }

    fn waiting_groups(&self) -> u64 {
        let beyond = |segment: &Segment| {
            segment
                .index
                .end_seq()
                .saturating_sub(segment.index.first_seq.max(self.frontier))
        };
        let all: u64 = self.segments.iter().map(beyond).sum();
        let ahead: u64 = self.ahead.iter().map(|(start, end)| end - start).sum();
        all.saturating_sub(ahead)
    }

    fn oldest_waiting(&self) -> Option<Timestamp> {
        let segment = self
            .segments
            .iter()
            .find(|segment| segment.index.end_seq() > self.frontier)?;
        if segment.index.groups == 0 {
            return None;
        }
        // The last time noted before the frontier is nearer than the segment's first one.
        let noted = self
            .times
            .iter()
            .rev()
            .find(|(seq, _)| *seq <= self.frontier)
            .map(|(_, at)| *at);
        Some(noted.map_or(segment.index.first_at, |at| at.max(segment.index.first_at)))
    }

    fn is_settled(&self, seq: u64) -> bool {
        seq < self.frontier
            || self
                .ahead
                .range(..=seq)
                .next_back()
                .is_some_and(|(_, end)| *end > seq)
    }

    fn settle(&mut self, range: Range<u64>, now: Instant) {
        let end = self
            .ahead
            .get(&range.start)
            .copied()
            .unwrap_or(0)
            .max(range.end);
        self.ahead.insert(range.start, end);
        self.advance(now);
    }

    /// Moves the frontier over what is settled and over sequences that no segment holds.
    fn advance(&mut self, now: Instant) {
        loop {
            if let Some((&start, &end)) = self.ahead.first_key_value()
                && start <= self.frontier
            {
                self.ahead.pop_first();
                self.frontier = self.frontier.max(end);
                continue;
            }
            let frontier = self.frontier;
            let holder = self
                .segments
                .iter()
                .find(|segment| segment.index.end_seq() > frontier);
            match holder {
                Some(segment) if segment.index.first_seq > frontier => {
                    self.frontier = segment.index.first_seq;
                }
                Some(_) => break,
                None => {
                    self.frontier = self.frontier.max(self.next_seq);
                    break;
                }
            }
        }
        while self.times.len() > 1
            && self
                .times
                .get(1)
                .is_some_and(|(seq, _)| *seq <= self.frontier)
        {
            self.times.pop_front();
        }
        let frontier = self.frontier;
        for segment in &mut self.segments {
            if segment.index.end_seq() > frontier {
                break;
            }
            if segment.acked_at.is_none() {
                segment.acked_at = Some(now);
            }
            // What a whole segment held and nobody could read.
            if segment.sealed && segment.settled < segment.index.records {
                self.totals.damaged += segment.index.records - segment.settled;
                segment.settled = segment.index.records;
            }
        }
    }
}
