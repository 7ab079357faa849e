//! The checksum of a stored chunk. SQLite has none of its own: a bit that a disk or a copy turns
//! over would be read as other text, or as a record of another time.
//!
//! ```text
//! length of the content (4 bytes, little-endian; top bit: sealed), zstd frame, CRC-32C (4 bytes)
//! ```
//!
//! The sum is over who the chunk is (its origin, key and counts by minute, which stand in other
//! columns), the length and the frame, so that a block under another chunk's key is found too.
//! CRC-32C finds every single bit and every run of up to 32. Blocks of the first versions have
//! neither bit nor sum and are read as they are.

use atalaya_domain::chunk::ChunkSummary;
use atalaya_domain::record::Layer;

use super::codec::{Damage, encode_minutes};

const SEALED: u32 = 1 << 31;
const SUM_BYTES: usize = 4;

/// Adds the checksum to a block as [`Encoder`](super::codec::Encoder) makes it.
pub(super) fn seal(mut block: Vec<u8>, summary: &ChunkSummary) -> Vec<u8> {
    if let Some(length) = block.first_chunk_mut::<4>() {
        *length = (u32::from_le_bytes(*length) | SEALED).to_le_bytes();
    }
    let sum = sum(summary, &block);
    block.reserve_exact(SUM_BYTES);
    block.extend_from_slice(&sum.to_le_bytes());
    block
}

/// The length of the content and its frame, once the checksum was found right.
pub(super) fn open<'a>(
    data: &'a [u8],
    summary: &ChunkSummary,
) -> Result<(usize, &'a [u8]), Damage> {
    let (length, frame) = data
        .split_first_chunk::<4>()
        .ok_or("the block is cut short")?;
    let length = u32::from_le_bytes(*length);
    if length & SEALED == 0 {
        return Ok((length as usize, frame));
    }
    let (sealed, found) = data
        .split_last_chunk::<SUM_BYTES>()
        .ok_or("the block is cut short")?;
    if sum(summary, sealed) != u32::from_le_bytes(*found) {
        return Err("its checksum is wrong");
    }
    let frame = sealed.get(4..).ok_or("the block is cut short")?;
    Ok(((length & !SEALED) as usize, frame))
}

fn sum(summary: &ChunkSummary, block: &[u8]) -> u32 {
    let (key, origin) = (&summary.key, &summary.origin);
    let layer = |layer| match layer {
        Layer::Application => 0_u8,
        Layer::Infrastructure => 1,
    };
    let mut identity = Vec::with_capacity(256);
    identity.extend([layer(key.bucket.layer), layer(origin.layer)]);
    for instant in [key.bucket.start, key.first_at, summary.last_at] {
        identity.extend(instant.micros().to_le_bytes());
    }
    identity.extend(key.id.into_bytes());
    identity.extend(origin.id.as_u128().to_le_bytes());
    // Zeros between them, so that no text passes into the next one.
    for text in [&*origin.source, &*origin.host] {
        identity.extend(text.as_bytes());
        identity.push(0);
    }
    identity.extend(encode_minutes(&summary.minutes));
    crc32c::crc32c_append(crc32c::crc32c(&identity), block)
}
