//! Reads one generation: content to lines to entries to frames. Knows nothing of paths, rotation
//! or the store; whoever calls it decides when to read and what a change means.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::accounts::Counts;
use super::content::{Content, Got, read_range};
use super::discover::is_utf16;
use super::format::decoder::Tally;
use super::format::{self, Choice, Decoder, Reference, Shape, TimeHint};
use super::identity::{Fingerprint, Mark, PROBE};
use super::lines::{LINE_LIMIT, LineCutter};
use super::{IngestInput, Limits};
use bytes::{holds, line_before, note_gap, remember, still_the_same};

use atalaya_domain::record::{Frame, Origin, OriginId};
use atalaya_domain::time::Timestamp;

/// What a turn came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The budget was used up; there is more.
    More,
    /// Everything that is there was read.
    CaughtUp,
    /// The content is complete and was read (packed files, streams).
    Ended,
    /// The file no longer holds what was read from it: it was truncated or overwritten.
    Changed,
}

/// Whether the file still holds the content at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StillThere {
    Yes,
    /// Only what is in memory is left of it.
    No,
}

/// The frame under construction.
#[derive(Debug)]
struct Building {
    from: u64,
    entries: Vec<atalaya_domain::record::Entry>,
    lines: usize,
    bytes: usize,
}

#[derive(Debug)]
pub struct Tail {
    origin: OriginId,
    content: Content,
    cutter: LineCutter,
    decoder: Option<Decoder>,
    /// What the content is taken for as a whole: the source of its records follows from it.
    shape: Option<Shape>,
    record_origin: Option<Arc<Origin>>,
    building: Building,
    /// The last bytes read, at most [`PROBE`].
    window: Vec<u8>,
    /// The first bytes, until the head of the fingerprint is complete.
    head: Vec<u8>,
    pub print: Fingerprint,
    /// Size and modification time when the content was last seen to be unchanged.
    seen: Option<(u64, i128)>,
    bytes_read: u64,
    cut: u64,
    /// When bytes last came.
    pub grown_at: Instant,
    /// Since when a frame is under construction.
    building_since: Option<Instant>,
    record_pending: bool,
}

/// How a tail begins.
#[derive(Debug)]
pub struct Start {
    pub origin: OriginId,
    pub content: Content,
    /// Where to read on: a line begins here.
    pub offset: u64,
    /// Everything before this is stored or not its own; `None`: before `offset`.
    pub from: Option<u64>,
    pub print: Fingerprint,
    /// What the content was taken for when it was read before.
    pub format: Option<Shape>,
}

/// What a tail needs to know about where its records go.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    pub input: &'a IngestInput,
    pub host: &'a str,
    pub path: &'a std::path::Path,
    pub limits: &'a Limits,
    /// What was in the file before this offset was there when it was opened.
    pub there_until: u64,
    /// When that was written for the last time.
    pub modified: Timestamp,
    pub wall: Timestamp,
}

impl Reading<'_> {
    /// What bytes from this offset on have for a time, if their text has none.
    fn reference(&self, at: u64) -> (Timestamp, Reference) {
        if at < self.there_until {
            (self.modified.min(self.wall), Reference::Modified)
        } else {
            (self.wall, Reference::Arrival)
        }
    }
}

impl Tail {
    /// The caller has compared the content with the fingerprint.
    pub fn new(start: Start, now: Instant) -> io::Result<Self> {
        let Start {
            origin,
            content,
            offset,
            from,
            mut print,
            format,
        } = start;
        let (mut window, mut head) = (Vec::new(), Vec::new());
        let mut cutter = LineCutter::new(offset);
        if let Content::Plain(file) = &content
            && offset > 0
        {
            let reach = usize::try_from(offset).map_or(PROBE, |offset| offset.min(PROBE));
            window = read_range(file, offset - reach as u64, reach)?;
            note_gap(file, &mut print, offset)?;
            if let Some(first) = line_before(file, offset)? {
                cutter.complete_later(&first);
            }
            head = read_range(file, 0, reach)?;
            if print
                .head
                .as_ref()
                .is_none_or(|known| (known.length as usize) < head.len())
            {
                print.head = Some(Mark::new(head.len() as u64, &head));
            }
        }
        print.last.rewind(offset);
        Ok(Self {
            origin,
            content,
            cutter,
            decoder: None,
            shape: format,
            record_origin: None,
            building: Building {
                from: from.unwrap_or(offset),
                entries: Vec::new(),
                lines: 0,
                bytes: 0,
            },
            window,
            head,
            print,
            seen: None,
            bytes_read: 0,
            cut: 0,
            grown_at: now,
            building_since: None,
            record_pending: false,
        })
    }

    pub fn origin(&self) -> OriginId {
        self.origin
    }

    /// Everything before this was given out in frames.
    pub fn given(&self) -> u64 {
        self.building.from
    }

    /// Offset just past the last byte read.
    pub fn read_to(&self) -> u64 {
        self.cutter.fed()
    }

    /// Whether something was read that no frame holds yet.
    pub fn has_more_to_give(&self) -> bool {
        self.building.from < self.cutter.fed()
    }

    /// Whether whole lines were read that no frame holds yet.
    pub fn holds_lines(&self) -> bool {
        self.building.from < self.cutter.line_start()
    }

    pub fn record_origin(&self) -> Option<&Arc<Origin>> {
        self.record_origin.as_ref()
    }

    /// What the content is taken for as a whole.
    pub fn shape(&self) -> Option<Shape> {
        self.shape
    }

    /// How many records each format gave.
    pub fn tally(&self) -> Tally {
        self.decoder
            .as_ref()
            .map(|decoder| decoder.tally().clone())
            .unwrap_or_default()
    }

    /// Everything but `written`, which the store says.
    pub fn counts(&self) -> Counts {
        let decoded = self
            .decoder
            .as_ref()
            .map(Decoder::counts)
            .unwrap_or_default();
        Counts {
            bytes_read: self.bytes_read,
            lines: decoded.lines,
            records: decoded.records,
            joined: decoded.joined,
            skipped: decoded.skipped,
            mismatched: decoded.mismatched,
            cut: self.cut,
            zeros: self.cutter.zeros(),
            written: 0,
        }
    }

    /// Size of the plain file now; `None` for other content.
    pub fn size(&self) -> Option<u64> {
        match &self.content {
            Content::Plain(file) => file.metadata().ok().map(|metadata| metadata.len()),
            Content::Packed { .. } | Content::Stream(_) => None,
        }
    }

    /// Whether the content still is what was read, as far as one can see now.
    pub fn is_unchanged(&mut self) -> bool {
        match &self.content {
            // An error shows itself in the next turn.
            Content::Plain(file) => {
                still_the_same(file, self.cutter.fed(), &self.window, &mut self.seen)
                    .unwrap_or(true)
            }
            Content::Packed { .. } | Content::Stream(_) => true,
        }
    }

    /// A line was begun and has no end yet.
    pub fn has_partial(&self) -> bool {
        self.cutter.has_partial()
            || (self.decoder.is_none() && self.size().is_some_and(|size| size > self.read_to()))
    }

    /// Whether the file holds more than was read.
    pub fn has_unread(&self) -> bool {
        self.size().is_some_and(|size| size > self.read_to())
    }

    /// Size of the content when it was last known to be unchanged.
    pub fn last_size(&self) -> u64 {
        self.seen.map_or(0, |(size, _)| size)
    }

    /// Reads at most about `budget` bytes.
    pub fn turn(
        &mut self,
        buffer: &mut [u8],
        budget: u64,
        reading: Reading<'_>,
        now: Instant,
        out: &mut Vec<Frame>,
    ) -> io::Result<Turn> {
        if let Content::Plain(file) = &self.content
            && !still_the_same(file, self.cutter.fed(), &self.window, &mut self.seen)?
        {
            return Ok(Turn::Changed);
        }
        let mut used = 0;
        while used < budget {
            let at = self.cutter.fed();
            // What was there and what came are read apart: they have different times.
            let there =
                usize::try_from(reading.there_until.saturating_sub(at)).unwrap_or(buffer.len());
            let most = if there == 0 {
                buffer.len()
            } else {
                there.min(buffer.len())
            };
            let mut size = match self.content.read_at(at, &mut buffer[..most])? {
                Got::Bytes(size) => size,
                Got::Nothing => return Ok(Turn::CaughtUp),
                Got::End => return Ok(Turn::Ended),
            };
            let mut sample = size;
            if self.decoder.is_none() && self.tells_nothing(&buffer[..size]) {
                // What came may stand behind what was there, and tell more.
                if let Got::Bytes(all) = self.content.read_at(at, buffer)? {
                    (size, sample) = (size.min(all), all);
                }
                if self.tells_nothing(&buffer[..sample]) {
                    return Ok(Turn::CaughtUp); // read again later
                }
            }
            // Looked at after the reading, and for each piece: a file that is truncated and grows past
            // this place in between would be read on in the middle of its new content.
            if let Content::Plain(file) = &self.content
                && !holds(file, at, &self.window)?
            {
                return Ok(Turn::Changed);
            }
            if self.decoder.is_none() {
                self.begin(&buffer[..sample], reading);
            }
            self.take(&buffer[..size], reading, now, out);
            used += size as u64;
        }
        Ok(Turn::More)
    }

    /// Whether these first bytes of a growing file are too few to tell its format from.
    fn tells_nothing(&self, bytes: &[u8]) -> bool {
        matches!(self.content, Content::Plain(_))
            && bytes.len() < LINE_LIMIT
            && !bytes.contains(&b'\n')
    }

    /// Finds out from the first bytes what the content is.
    fn begin(&mut self, sample: &[u8], reading: Reading<'_>) {
        let choice = match reading.input.format {
            Some(only) => Choice::Only(only),
            None => Choice::Any(format::detect::preferred(reading.path)),
        };
        let shape = reading.input.format.or(self.shape);
        self.shape = Some(shape.unwrap_or_else(|| detected(sample, reading.path)));
        let mut decoder = Decoder::new(
            choice,
            TimeHint {
                reference: Timestamp::default(),
                zone: reading.input.zone,
            },
        );
        let reads_on = !self.head.is_empty();
        if is_utf16(if reads_on { &self.head } else { sample }) {
            self.cutter.keep_zeros();
        }
        decoder.set_head(if reads_on { &self.head } else { sample }, reads_on);
        self.decoder = Some(decoder);
    }

    fn take(&mut self, bytes: &[u8], reading: Reading<'_>, now: Instant, out: &mut Vec<Frame>) {
        let (Some(decoder), Some(shape)) = (&mut self.decoder, self.shape) else {
            return;
        };
        let origin = self
            .record_origin
            .get_or_insert_with(|| record_origin(self.origin, shape, reading));
        let (reference, is) = reading.reference(self.cutter.fed());
        decoder.set_reference(reference, is);
        self.grown_at = now;
        self.bytes_read += bytes.len() as u64;
        remember(
            &mut self.head,
            &mut self.window,
            &mut self.print,
            self.cutter.fed(),
            bytes,
        );

        let Self {
            cutter,
            building,
            cut,
            print,
            ..
        } = self;
        cutter.feed(bytes, |line| {
            building.lines += 1;
            building.bytes += line.bytes.len();
            *cut += u64::from(line.cut.is_some());
            let next = line.next;
            print.last.note(next, line.bytes);
            decoder.line(line, &mut |entry| building.entries.push(entry));
            if building.lines >= reading.limits.frame_lines
                || building.bytes >= reading.limits.frame_bytes
            {
                building.close(decoder.settled(next), origin, out);
            }
        });
        self.record_pending = decoder.settled(cutter.line_start()) < cutter.line_start();
        if self.building.from < self.cutter.line_start() && self.building_since.is_none() {
            self.building_since = Some(now);
        }
    }

    /// Finishes a record that nothing was added to for a while, and gives out a frame that has
    /// waited long enough. `None` means now, whatever the time.
    pub fn settle(&mut self, limits: &Limits, now: Option<Instant>, out: &mut Vec<Frame>) {
        let (Some(decoder), Some(origin)) = (&mut self.decoder, &self.record_origin) else {
            return;
        };
        let Self {
            building, cutter, ..
        } = self;
        let mut due = now.is_none();
        if self.record_pending
            && now.is_none_or(|now| now.duration_since(self.grown_at) >= limits.record_quiet)
        {
            decoder.finish(&mut |entry| building.entries.push(entry));
            self.record_pending = false;
            due = true;
        }
        if let (Some(now), Some(since)) = (now, self.building_since) {
            due |= now.duration_since(since) >= limits.frame_age;
        }
        if due {
            building.close(decoder.settled(cutter.line_start()), origin, out);
            self.building_since = (building.from < cutter.line_start())
                .then_some(now)
                .flatten();
        }
    }

    /// Gives out what is complete without finishing a record that the next line may belong to.
    pub fn give_complete(&mut self, out: &mut Vec<Frame>) {
        if let (Some(decoder), Some(origin)) = (&self.decoder, &self.record_origin) {
            self.building
                .close(decoder.settled(self.cutter.line_start()), origin, out);
        }
    }

    /// The content will not grow any more: a last line without terminator is a line.
    pub fn finish(
        &mut self,
        still_there: StillThere,
        buffer: &mut [u8],
        reading: Reading<'_>,
        now: Instant,
        out: &mut Vec<Frame>,
    ) {
        let mut goes_on = false;
        // Too few bytes came until now to tell the format from.
        if self.decoder.is_none()
            && still_there == StillThere::Yes
            && let Content::Plain(_) = &self.content
            && let Ok(Got::Bytes(size)) = self.content.read_at(self.cutter.fed(), buffer)
        {
            // It grew since the turn: where it ends now is not where it ends.
            goes_on = !self.tells_nothing(&buffer[..size]);
            self.begin(&buffer[..size], reading);
            self.take(&buffer[..size], reading, now, out);
        }
        if goes_on {
            self.give_complete(out);
            return;
        }
        let (Some(decoder), Some(origin)) = (&mut self.decoder, &self.record_origin) else {
            return;
        };
        let is_unterminated =
            matches!(self.content, Content::Plain(_)) && self.cutter.has_partial();
        let Self {
            building,
            cutter,
            cut,
            print,
            ..
        } = self;
        let whole = building.entries.len();
        cutter.finish(|line| {
            *cut += u64::from(line.cut.is_some());
            building.lines += 1;
            print.last.note(line.next, line.bytes);
            decoder.line(line, &mut |entry| building.entries.push(entry));
        });
        decoder.finish(&mut |entry| building.entries.push(entry));
        if is_unterminated
            && building.entries.len() > whole
            && let Some(last) = building.entries.last_mut()
        {
            // When its end comes after all, the whole line is a record of its own.
            last.metadata.push(("unterminated".into(), "true".into()));
        }
        self.record_pending = false;
        self.building_since = None;
        building.close(decoder.settled(cutter.line_start()), origin, out);
    }

    /// How long until [`Tail::settle`] has something to do.
    pub fn due_in(&self, limits: &Limits, now: Instant) -> Option<Duration> {
        let record = self.record_pending.then(|| {
            limits
                .record_quiet
                .saturating_sub(now.duration_since(self.grown_at))
        });
        let frame = self
            .building_since
            .map(|since| limits.frame_age.saturating_sub(now.duration_since(since)));
        match (record, frame) {
            (Some(record), Some(frame)) => Some(record.min(frame)),
            (one, other) => one.or(other),
        }
    }
}

impl Building {
    fn close(&mut self, until: u64, origin: &Arc<Origin>, out: &mut Vec<Frame>) {
        if until <= self.from {
            return; // one long record fills it: it waits for its end, which the decoder bounds
        }
        let entries = std::mem::take(&mut self.entries);
        out.push(Frame {
            origin: Arc::clone(origin),
            from: self.from,
            until,
            entries,
        });
        self.from = until;
        self.lines = 0;
        self.bytes = 0;
    }
}

fn detected(sample: &[u8], path: &std::path::Path) -> Shape {
    let sample = &sample[..sample.len().min(LINE_LIMIT)];
    let text = if is_utf16(sample) {
        std::borrow::Cow::Owned(from_utf16(sample))
    } else {
        String::from_utf8_lossy(sample)
    };
    let mut lines: Vec<&str> = text
        .lines()
        .take(format::detect::DETECT_LINES + 1)
        .collect();
    if lines.len() > 1 && !text.ends_with('\n') {
        lines.pop(); // half a line tells nothing
    }
    format::detect::detect(path, &lines).shape
}

/// Enough of it to tell a format from.
fn from_utf16(sample: &[u8]) -> String {
    let order = if sample[0] == 0xff {
        u16::from_le_bytes
    } else {
        u16::from_be_bytes
    };
    let (units, _) = sample[2..].as_chunks::<2>();
    char::decode_utf16(units.iter().map(|unit| order(*unit)))
        .map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

fn record_origin(id: OriginId, shape: Shape, reading: Reading<'_>) -> Arc<Origin> {
    let input = reading.input;
    Arc::new(Origin {
        id,
        layer: input.layer.unwrap_or_else(|| shape.default_layer()),
        source: input
            .source
            .clone()
            .unwrap_or_else(|| shape.source_in(reading.path)),
        host: reading.host.into(),
    })
}

mod bytes;
#[cfg(test)]
mod tests;
