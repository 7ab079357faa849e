//! The server log store: chunks in Apache Cassandra, through the scylla driver.
//!
//! The schema and its reasons are in `cql/`. The log engine above is the one of every store.

pub mod connect;
pub mod errors;
pub mod foreign;
pub mod health;
pub mod log_store;
pub mod probe;
pub mod retry;
pub mod schema;

mod arrivals;
mod codec;
mod consistency;
mod encryption;
mod outages;
mod place;
mod read;
mod statements;
mod stats;
mod write;
mod writer_cursor;

pub use connect::{CassandraOptions, TlsOptions, connect};
pub use consistency::ConsistencyLevel;
pub use health::RingProbe;
pub use log_store::CassandraLogStore;
