//! Every file has a turn: bytes become frames, within bounds.

use std::time::{Duration, Instant};

use super::{Port, Reader, TURN, push_notice};
use crate::Mode;
use crate::accounts::FileState;
use crate::tail::{Reading, StillThere, Tail, Turn};
use atalaya_domain::record::{Frame, OriginId};
use atalaya_domain::time::Timestamp;

/// How long a run that reads once waits for the end of a line that was written a moment ago.
const LINE_END: Duration = Duration::from_secs(1);

/// What one turn means for the others.
struct Turned {
    more: bool,
    /// The file was read to its end and nothing more is expected of it.
    over: Option<StillThere>,
    /// It could not be read.
    failed: Option<String>,
    /// It holds something else: look at the directories.
    look: bool,
}

impl<P: Port> Reader<P> {
    /// Every file has a turn; true when one of them has more.
    pub(super) fn take_turns(&mut self, now: Instant, wall: Timestamp) -> bool {
        let count = self.turns.order.len();
        if count == 0 {
            return false;
        }
        let mut more = false;
        self.turns.first = (self.turns.first + 1) % count;
        let mut ended = Vec::new();
        let mut buffer = std::mem::take(&mut self.buffer);
        for step in 0..count {
            let origin = self.turns.order[(self.turns.first + step) % count];
            let mut frames = Vec::new();
            more |= self.take_turn(origin, &mut buffer, now, wall, &mut frames, &mut ended);
            self.send(frames);
            self.deliver();
            if !self.outbox.is_empty() {
                break; // no room: the files keep what is not read
            }
        }
        self.buffer = buffer;
        for origin in ended {
            self.saving.dirty_since.get_or_insert(now);
            self.remember_tail(origin);
            if let Some(active) = self.active.get_mut(&origin) {
                active.close(self.catalogue.generations.get_mut(&origin));
            }
        }
        more
    }

    fn take_turn(
        &mut self,
        origin: OriginId,
        buffer: &mut [u8],
        now: Instant,
        wall: Timestamp,
        frames: &mut Vec<Frame>,
        ended: &mut Vec<OriginId>,
    ) -> bool {
        let Some(active) = self.active.get_mut(&origin) else {
            return false;
        };
        let Some(tail) = &mut active.tail else {
            return false;
        };
        let path = active.path.clone();
        let input = &self.inputs[active.input];
        let reading = Reading {
            input: &input.input,
            host: &self.host,
            path: &path,
            limits: &self.limits,
            there_until: active.times.there_until,
            modified: active.times.modified,
            wall,
        };
        let is_looked_at =
            active.attached && (self.mode == Mode::Follow || !self.watching.scanned_once);
        let turn = tail.turn(buffer, TURN, reading, now, frames);
        let quiet = now.duration_since(tail.grown_at) >= self.limits.file_quiet;
        let expects_more = active.current && active.attached;
        // A line whose end may be on its way: a writer that is in the middle of it.
        let is_fresh = wall.since(active.times.modified) < LINE_END
            || now.duration_since(tail.grown_at) < LINE_END;
        let waits = is_fresh && tail.has_partial();
        let ends = input.is_file()
            && match self.mode {
                Mode::Once => !waits,
                Mode::Follow => !expects_more && quiet,
            };
        let turned = judge(turn, ends, is_looked_at, &mut active.state);
        if turned.look {
            self.watching.next_scan = None; // the next look sees what it is now
        }
        if let Some(error) = turned.failed {
            let message = format!("cannot read {}: {error}", active.path.display());
            // What is complete goes on its way; the rest is read again when it can be.
            tail.give_complete(frames);
            active.note_error(error);
            active.close(self.catalogue.generations.get_mut(&origin));
            let next_scan = &mut self.watching.next_scan;
            *next_scan = next_scan.map(|due| due.max(now + self.limits.poll));
            push_notice(&mut self.told.notices, message);
        } else if let Some(there) = turned.over {
            tail.finish(there, buffer, reading, now, frames);
            active.state = if active.attached {
                FileState::Read
            } else {
                FileState::Gone
            };
            ended.push(origin);
        }
        turned.more
    }

    pub(super) fn settle(&mut self, now: Instant) {
        let mut frames = Vec::new();
        for active in self.active.values_mut() {
            if let Some(tail) = &mut active.tail {
                tail.settle(&self.limits, Some(now), &mut frames);
            }
        }
        self.send(frames);
    }

    pub(super) fn idle_time(&self, now: Instant) -> Duration {
        let next_scan = self.watching.next_scan;
        let mut idle = next_scan
            .max(self.watching.earliest)
            .map_or(self.limits.poll, |due| due.saturating_duration_since(now));
        if self.outbox.is_empty() {
            let tails = self
                .active
                .values()
                .filter_map(|active| active.tail.as_ref());
            for due in tails.filter_map(|tail: &Tail| tail.due_in(&self.limits, now)) {
                idle = idle.min(due);
            }
        }
        idle.max(Duration::from_millis(1))
    }
}

/// `ends`: nothing more is expected of a file that was read to its end. `is_looked_at`: the next look
/// will see what became of it.
fn judge(
    turn: std::io::Result<Turn>,
    ends: bool,
    is_looked_at: bool,
    state: &mut FileState,
) -> Turned {
    let mut turned = Turned {
        more: false,
        over: None,
        failed: None,
        look: false,
    };
    match turn {
        Ok(Turn::More) => {
            turned.more = true;
            *state = FileState::Reading;
        }
        Ok(Turn::CaughtUp) => {
            *state = FileState::Live;
            turned.over = ends.then_some(StillThere::Yes);
        }
        Ok(Turn::Ended) => turned.over = Some(StillThere::Yes),
        Ok(Turn::Changed) if is_looked_at => turned.look = true,
        // Nobody will look again: truncated and removed, or not followed.
        Ok(Turn::Changed) => turned.over = Some(StillThere::No),
        Err(error) => {
            *state = FileState::Unreadable(error.to_string());
            turned.failed = Some(error.to_string());
        }
    }
    turned
}
