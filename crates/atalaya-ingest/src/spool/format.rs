//! Bytes of one group of frames: plain, without a schema language, little-endian.
//!
//! ```text
//! group  = varint(frames) frame*
//! frame  = origin:16 layer:1 text(source) text(host) from:8 until:8 varint(entries) entry*
//! entry  = timestamp:8 varint(position - from) level:1 text(message) optional(logger)
//!          optional(request_id) optional(user_id) optional(session_id) optional(traceback)
//!          duration varint(metadata) (text(name) text(value))*
//! text     = varint(length) bytes        UTF-8
//! optional = varint(0), or varint(length + 1) bytes
//! duration = 0, or 1 and the bits of a binary64:8
//! varint   = LEB128
//! ```
//!
//! Whoever stores the bytes adds a checksum; [`decode`] refuses what does not fit, and never panics.

use std::sync::Arc;

use atalaya_domain::record::{Entry, Frame, Layer, Level, Origin, OriginId, RequestId, Text};
use atalaya_domain::time::Timestamp;

/// Bytes that are no group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are no group of frames")]
pub struct Malformed;

/// Appends the bytes of a group to `out`.
pub fn encode(frames: &[Frame], out: &mut Vec<u8>) {
    put_varint(out, frames.len() as u64);
    for frame in frames {
        out.extend_from_slice(&frame.origin.id.as_u128().to_le_bytes());
        out.push(match frame.origin.layer {
            Layer::Application => 0,
            Layer::Infrastructure => 1,
        });
        put_text(out, &frame.origin.source);
        put_text(out, &frame.origin.host);
        out.extend_from_slice(&frame.from.to_le_bytes());
        out.extend_from_slice(&frame.until.to_le_bytes());
        put_varint(out, frame.entries.len() as u64);
        for entry in &frame.entries {
            put_entry(out, entry, frame.from);
        }
    }
}

fn put_entry(out: &mut Vec<u8>, entry: &Entry, from: u64) {
    // One growth for the fixed part, so that the pushes below are plain stores.
    out.reserve(64 + entry.message.len());
    out.extend_from_slice(&entry.timestamp.micros().to_le_bytes());
    put_varint(out, entry.position.wrapping_sub(from));
    out.push(entry.level.index() as u8);
    put_text(out, &entry.message);
    put_optional(out, entry.logger.as_deref());
    put_optional(out, entry.request_id.as_ref().map(RequestId::as_str));
    put_optional(out, entry.user_id.as_deref());
    put_optional(out, entry.session_id.as_deref());
    put_optional(out, entry.traceback.as_deref());
    match entry.duration_ms {
        None => out.push(0),
        Some(duration) => {
            out.push(1);
            out.extend_from_slice(&duration.to_bits().to_le_bytes());
        }
    }
    put_varint(out, entry.metadata.len() as u64);
    for (name, value) in &entry.metadata {
        put_text(out, name);
        put_text(out, value);
    }
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn put_optional(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        None => out.push(0),
        Some(text) => {
            put_varint(out, text.len() as u64 + 1);
            out.extend_from_slice(text.as_bytes());
        }
    }
}

/// The frames of a group; all of the bytes must belong to it.
pub fn decode(bytes: &[u8]) -> Result<Vec<Frame>, Malformed> {
    let mut input = Input(bytes);
    let count = input.count(MIN_FRAME)?;
    let mut frames = Vec::with_capacity(count);
    for _ in 0..count {
        frames.push(input.frame()?);
    }
    if input.0.is_empty() {
        Ok(frames)
    } else {
        Err(Malformed)
    }
}

/// No frame and no entry is shorter, so a count cannot ask for more memory than the bytes justify.
const MIN_FRAME: usize = 16 + 1 + 1 + 1 + 8 + 8 + 1;
const MIN_ENTRY: usize = 8 + 1 + 1 + 1 + 5 + 1 + 1;
const MIN_PAIR: usize = 2;

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn byte(&mut self) -> Result<u8, Malformed> {
        Ok(self.array::<1>()?[0])
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(Malformed);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed)
    }

    /// A count of things that take at least `least` bytes each.
    fn count(&mut self, least: usize) -> Result<usize, Malformed> {
        let count = usize::try_from(self.varint()?).map_err(|_| Malformed)?;
        if count > self.0.len() / least {
            Err(Malformed)
        } else {
            Ok(count)
        }
    }

    fn text_of(&mut self, length: u64) -> Result<Text, Malformed> {
        let length = usize::try_from(length).map_err(|_| Malformed)?;
        std::str::from_utf8(self.take(length)?)
            .map(Into::into)
            .map_err(|_| Malformed)
    }

    fn text(&mut self) -> Result<Text, Malformed> {
        let length = self.varint()?;
        self.text_of(length)
    }

    fn optional(&mut self) -> Result<Option<Text>, Malformed> {
        match self.varint()? {
            0 => Ok(None),
            length => self.text_of(length - 1).map(Some),
        }
    }

    fn frame(&mut self) -> Result<Frame, Malformed> {
        let id = OriginId::from_u128(u128::from_le_bytes(self.array()?));
        let layer = match self.byte()? {
            0 => Layer::Application,
            1 => Layer::Infrastructure,
            _ => return Err(Malformed),
        };
        let origin = Arc::new(Origin {
            id,
            layer,
            source: self.text()?,
            host: self.text()?,
        });
        let from = u64::from_le_bytes(self.array()?);
        let until = u64::from_le_bytes(self.array()?);
        let count = self.count(MIN_ENTRY)?;
        let mut entries = Vec::with_capacity(count);
        for _ in 0..count {
            entries.push(self.entry(from)?);
        }
        Ok(Frame {
            origin,
            from,
            until,
            entries,
        })
    }

    fn entry(&mut self, from: u64) -> Result<Entry, Malformed> {
        Ok(Entry {
            timestamp: Timestamp::from_micros(i64::from_le_bytes(self.array()?)),
            position: from.wrapping_add(self.varint()?),
            level: *Level::ALL.get(usize::from(self.byte()?)).ok_or(Malformed)?,
            message: self.text()?,
            logger: self.optional()?,
            request_id: self.optional()?.map(RequestId::new),
            user_id: self.optional()?,
            session_id: self.optional()?,
            traceback: self.optional()?,
            duration_ms: match self.byte()? {
                0 => None,
                1 => Some(f64::from_bits(u64::from_le_bytes(self.array()?))),
                _ => return Err(Malformed),
            },
            metadata: {
                let count = self.count(MIN_PAIR)?;
                let mut pairs = Vec::with_capacity(count);
                for _ in 0..count {
                    pairs.push((self.text()?, self.text()?));
                }
                pairs
            },
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    fn text() -> impl Strategy<Value = Text> {
        ".{0,40}".prop_map(Into::into)
    }

    prop_compose! {
        fn entry()(
            timestamp in any::<i64>(), position in any::<u64>(), level in 0_usize..5, message in text(),
            logger in option::of(text()), request in option::of(text()), user in option::of(text()),
            session in option::of(text()), traceback in option::of(text()),
            duration in option::of(-1e12..1e12_f64), metadata in vec((text(), text()), 0..4),
        ) -> Entry {
            Entry {
                timestamp: Timestamp::from_micros(timestamp), position, level: Level::ALL[level], message,
                logger, request_id: request.map(RequestId::new), user_id: user, session_id: session,
                duration_ms: duration, traceback, metadata,
            }
        }
    }

    prop_compose! {
        pub(crate) fn frame()(
            id in any::<u128>(), infra in any::<bool>(), source in text(), host in text(),
            from in any::<u64>(), until in any::<u64>(), entries in vec(entry(), 0..6),
        ) -> Frame {
            let layer = if infra { Layer::Infrastructure } else { Layer::Application };
            let origin = Arc::new(Origin { id: OriginId::from_u128(id), layer, source, host });
            Frame { origin, from, until, entries }
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(frames in vec(frame(), 0..4)) {
            let mut bytes = Vec::new();
            encode(&frames, &mut bytes);
            prop_assert_eq!(decode(&bytes), Ok(frames));
        }

        #[test]
        fn damaged_bytes_are_refused_or_read_but_never_panic(
            frames in vec(frame(), 0..4), at in any::<prop::sample::Index>(), bit in 0_u8..8, cut in any::<bool>(),
        ) {
            let mut bytes = Vec::new();
            encode(&frames, &mut bytes);
            let at = at.index(bytes.len());
            if cut {
                bytes.truncate(at);
                prop_assert_eq!(decode(&bytes), Err(Malformed));
            } else {
                bytes[at] ^= 1_u8 << bit;
                let _ = decode(&bytes);
            }
        }

        #[test]
        fn random_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }
    }
}
