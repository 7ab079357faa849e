//! A keyspace for one test on the shared ring, dropped at its end.

use std::sync::Arc;

use atalaya::store::cassandra::schema::{self, SchemaSettings};
use atalaya::store::cassandra::{CassandraLogStore, CassandraOptions, connect};
use scylla::client::session::Session;

/// A name of its own on the shared ring.
pub(crate) fn options() -> CassandraOptions {
    let nodes = xtask::services::cassandra().unwrap();
    let keyspace = format!("t_{:016x}", rand::random::<u64>());
    CassandraOptions::new(nodes.iter().map(ToString::to_string), keyspace)
}

/// Settings of the suites, whose records have fixed dates: nothing expires.
pub(crate) fn for_ever() -> SchemaSettings {
    SchemaSettings {
        retention_days: 0,
        ..SchemaSettings::default()
    }
}

/// Drops its keyspace when the test ends, however it ends.
pub(crate) struct Keyspace {
    pub(crate) session: Arc<Session>,
    pub(crate) options: CassandraOptions,
}

impl Keyspace {
    /// Connected, with nothing made yet.
    pub(crate) async fn unmade() -> Self {
        let options = options();
        Self {
            session: Arc::new(connect(&options).await.unwrap()),
            options,
        }
    }

    pub(crate) async fn make(settings: &SchemaSettings) -> Self {
        let keyspace = Self::unmade().await;
        schema::init(&keyspace.session, &keyspace.options, settings)
            .await
            .unwrap();
        keyspace
    }

    pub(crate) async fn store(&self) -> CassandraLogStore {
        CassandraLogStore::connect(&self.options).await.unwrap()
    }

    pub(crate) fn name(&self) -> &str {
        &self.options.keyspace
    }
}

impl Drop for Keyspace {
    fn drop(&mut self) {
        let drop = format!("DROP KEYSPACE IF EXISTS {}", self.options.keyspace);
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                // Best effort: the name is random, and the ring is for tests.
                self.session.query_unpaged(drop, ()).await.ok();
            });
        });
    }
}
