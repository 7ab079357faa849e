//! The Cassandra log store: the common suite, and what only a ring can show.

use std::sync::Arc;

use atalaya::store::chunks::ChunkStore;

use crate::keyspace::{Keyspace, for_ever};
use crate::log_store_suite::log_store_suite;

async fn empty() -> (Arc<dyn ChunkStore>, Keyspace) {
    let keyspace = Keyspace::make(&for_ever()).await;
    (Arc::new(keyspace.store().await), keyspace)
}

log_store_suite!(empty);
