//! Rows of our own in the store: what happened to a file that its readers should know.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::moves::Lost;
use super::{Port, Reader};
use crate::accounts::FileState;
use crate::tail::{Reading, StillThere};
use atalaya_domain::record::{Entry, Frame, Layer, Level, Origin, OriginId, Text};
use atalaya_domain::time::Timestamp;

/// One row.
#[derive(Clone, Copy)]
pub(super) struct Event<'a> {
    pub level: Level,
    /// The generation that it happened to, and where in it: the row is written once for both.
    pub about: OriginId,
    pub at: u64,
    pub message: &'a str,
    pub path: &'a Path,
    /// Bytes concerned.
    pub range: (u64, Option<u64>),
    pub wall: Timestamp,
}

impl<P: Port> Reader<P> {
    /// Truncated generations whose content was not found elsewhere: what is in memory is all.
    pub(super) fn report_lost(
        &mut self,
        lost: Vec<Lost>,
        continued: &HashSet<OriginId>,
        shortened: &HashMap<OriginId, u64>,
        now: Instant,
        wall: Timestamp,
    ) {
        for mut one in lost {
            if continued.contains(&one.origin) {
                continue;
            }
            self.give_out_the_rest(&mut one, now, wall);
            let (level, message, range) = describe(&one, shortened.get(&one.origin).copied());
            self.record_event(Event {
                level,
                about: one.origin,
                at: one.loss.resume,
                message: &message,
                path: &one.path,
                range,
                wall,
            });
        }
    }

    /// What was read of it and not given out yet. The beginning of a line whose end is known to have
    /// been there is left where it was: a copy that is only found by the next look has the whole line,
    /// and is read on at its beginning.
    fn give_out_the_rest(&mut self, one: &mut Lost, now: Instant, wall: Timestamp) {
        let mut frames = Vec::new();
        let mut buffer = std::mem::take(&mut self.buffer);
        if let Some(active) = self.active.get_mut(&one.origin) {
            let reading = Reading {
                input: &self.inputs[active.input].input,
                host: &self.host,
                path: &one.path,
                limits: &self.limits,
                there_until: 0,
                modified: wall,
                wall,
            };
            match (&mut active.tail, &mut one.loss.known) {
                (Some(tail), Some((read, size))) if *size > *read => {
                    tail.settle(&self.limits, None, &mut frames);
                    *read = tail.given();
                }
                (Some(tail), _) => {
                    tail.finish(StillThere::No, &mut buffer, reading, now, &mut frames);
                }
                (None, _) => {}
            }
            active.close(self.catalogue.generations.get_mut(&one.origin));
            active.attached = false;
            active.state = FileState::Gone;
        }
        self.buffer = buffer;
        self.send(frames);
    }

    /// Once for each generation and offset, also over restarts.
    pub(super) fn record_event(&mut self, event: Event<'_>) {
        let about = event.about.as_u128().to_be_bytes();
        let id = OriginId::derive(&[b"event", &about, &event.at.to_le_bytes()]);
        if !matches!(self.port.watermark_of_new(id, Some(event.wall)), Ok(None)) {
            return;
        }
        let origin = Arc::new(Origin {
            id,
            layer: Layer::Infrastructure,
            source: "atalaya/ingest".into(),
            host: self.host.clone(),
        });
        let mut metadata: Vec<(Text, Text)> = vec![
            ("file".into(), event.path.to_string_lossy().into()),
            ("from_byte".into(), event.range.0.to_string().into()),
        ];
        if let Some(until) = event.range.1 {
            metadata.push(("until_byte".into(), until.to_string().into()));
        }
        self.notice(event.message.to_owned());
        let entry = Entry {
            timestamp: event.wall,
            level: event.level,
            message: event.message.into(),
            metadata,
            ..Entry::default()
        };
        self.outbox.push_back(Frame {
            origin,
            from: 0,
            until: 1,
            entries: vec![entry],
        });
    }
}

/// `left`: where the part of it ends that is still in the file.
fn describe(one: &Lost, left: Option<u64>) -> (Level, String, (u64, Option<u64>)) {
    let name = one.path.display();
    let resume = one.loss.resume;
    if let Some(left) = left {
        return (
            Level::Warning,
            format!(
                "{name} was shortened or edited: it is read on at byte {left}, behind the last line that is known"
            ),
            (left, None),
        );
    }
    match one.loss.known {
        Some((read, size)) if size > read => (
            Level::Warning,
            format!(
                "{name} was truncated: bytes {read} to {size} had not been read and no copy of them was found"
            ),
            (read, Some(size)),
        ),
        Some((read, _)) => (
            Level::Info,
            format!("{name} was truncated; all that was seen of it, {read} bytes, had been read"),
            (read, None),
        ),
        None => (
            Level::Warning,
            format!(
                "{name} was truncated or overwritten while nobody was reading: lines after byte {resume} may be lost"
            ),
            (resume, None),
        ),
    }
}
