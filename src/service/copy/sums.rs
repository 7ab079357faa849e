//! Sums over the content of records, by which two stores are compared.

use atalaya_domain::chunk::Chunk;
use atalaya_domain::record::{Entry, Origin};

use super::{Sum, short};

/// Over the records of these chunks.
pub fn sum_of(chunks: &[Chunk]) -> Sum {
    let mut sum = Sum::default();
    for chunk in chunks {
        for entry in &chunk.entries {
            sum.add(hash_of(&chunk.summary.origin, entry));
        }
    }
    sum
}

/// Over the record's identity and everything that it says. Metadata by name: its order is not
/// content.
fn hash_of(origin: &Origin, entry: &Entry) -> u128 {
    let mut hasher = blake3::Hasher::new();
    let mut text = |text: Option<&str>| {
        hasher.update(
            &text
                .map_or(u64::MAX, |text| text.len() as u64)
                .to_le_bytes(),
        );
        hasher.update(text.unwrap_or_default().as_bytes());
    };
    for field in [
        &*origin.source,
        &*origin.host,
        origin.layer.name(),
        entry.level.name(),
        &*entry.message,
    ] {
        text(Some(field));
    }
    for field in [
        &entry.logger,
        &entry.user_id,
        &entry.session_id,
        &entry.traceback,
    ] {
        text(field.as_deref());
    }
    text(
        entry
            .request_id
            .as_ref()
            .map(atalaya_domain::record::RequestId::as_str),
    );
    let mut metadata: Vec<_> = entry.metadata.iter().collect();
    metadata.sort_unstable();
    for (name, value) in metadata {
        text(Some(name));
        text(Some(value));
    }
    hasher.update(&origin.id.as_u128().to_le_bytes());
    hasher.update(&entry.position.to_le_bytes());
    hasher.update(&entry.timestamp.micros().to_le_bytes());
    hasher.update(&[u8::from(entry.duration_ms.is_some())]);
    hasher.update(
        &entry
            .duration_ms
            .unwrap_or_default()
            .to_bits()
            .to_le_bytes(),
    );
    short(&hasher)
}
