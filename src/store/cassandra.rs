//! The server log store: chunks in Apache Cassandra, through the scylla driver.
//!
//! The schema and its reasons are in `cql/`. The log engine above is the one of every store.

pub mod connect;
pub mod errors;
pub mod foreign;
pub mod health;
pub mod probe;
pub mod retry;
pub mod schema;

pub use connect::{CassandraOptions, TlsOptions, connect};
pub use health::RingProbe;
