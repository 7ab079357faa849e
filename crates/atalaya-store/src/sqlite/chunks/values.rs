//! Values of the columns, from and to the domain's types, and errors about them.

use std::collections::HashSet;

use atalaya_domain::chunk::Entries;
use atalaya_domain::record::{Layer, OriginId, RequestId, Whose};

use crate::error::{Backend, StoreError};

pub(in crate::sqlite) fn request_hash(id: &RequestId) -> i64 {
    hash_of(b"", id.as_str())
}

/// No request id has a zero byte at its third place by chance, and one that has costs a read.
pub(in crate::sqlite) fn hash_of_whose(whose: Whose<'_>) -> i64 {
    match whose {
        Whose::User(id) => hash_of(b"u\0", id),
        Whose::Session(id) => hash_of(b"s\0", id),
    }
}

/// The hashes of the users and sessions of a chunk, each once.
pub(in crate::sqlite) fn hashes_of_whose(entries: &Entries) -> Vec<i64> {
    let mut seen = HashSet::new();
    for entry in &**entries {
        seen.extend(entry.user_id.as_deref().map(Whose::User));
        seen.extend(entry.session_id.as_deref().map(Whose::Session));
    }
    seen.into_iter().map(hash_of_whose).collect()
}

/// 48 bits: SQLite keeps them in six bytes.
fn hash_of(kind: &[u8], id: &str) -> i64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(kind).update(id.as_bytes());
    hasher.finalize().as_bytes()[..6]
        .iter()
        .fold(0, |bits, &byte| bits << 8 | i64::from(byte))
}

pub(super) fn origin_bytes(origin: OriginId) -> Vec<u8> {
    origin.as_u128().to_be_bytes().to_vec()
}

pub(in crate::sqlite) fn origin_of(bytes: Vec<u8>) -> Result<OriginId, StoreError> {
    let bytes = bytes
        .try_into()
        .map_err(|_| corrupt("origins", "an id is not 16 bytes long"))?;
    Ok(OriginId::from_u128(u128::from_be_bytes(bytes)))
}

pub(super) fn position_of(bytes: Vec<u8>) -> Result<u64, StoreError> {
    let bytes = bytes
        .try_into()
        .map_err(|_| corrupt("watermarks", "a position is not 8 bytes long"))?;
    Ok(u64::from_be_bytes(bytes))
}

pub(super) const fn number_of(layer: Layer) -> i64 {
    match layer {
        Layer::Application => 0,
        Layer::Infrastructure => 1,
    }
}

pub(in crate::sqlite) fn layer_of(number: i64) -> Result<Layer, StoreError> {
    match number {
        0 => Ok(Layer::Application),
        1 => Ok(Layer::Infrastructure),
        _ => Err(corrupt(
            "chunks",
            format!("layer {number} is neither 0 nor 1"),
        )),
    }
}

pub(in crate::sqlite) fn corrupt(table: &'static str, detail: impl Into<String>) -> StoreError {
    StoreError::Corrupt {
        table,
        detail: detail.into(),
    }
}

pub(in crate::sqlite) fn refused(
    error: impl std::error::Error + Send + Sync + 'static,
) -> StoreError {
    StoreError::Refused {
        backend: Backend::Sqlite,
        source: Box::new(error),
    }
}
