//! The two seams behind which everything is kept: [`chunks::ChunkStore`] under the
//! [`engine::LogEngine`], and `metrics::MetricsStore`. The rest of the program sees the engine and
//! the trait, never a driver.

pub mod background;
pub mod cassandra;
pub mod check;
pub mod chunks;
pub mod damage;
pub mod engine;
pub mod error;
pub mod health;
pub mod metrics;
pub mod mysql;
pub mod quarantine;
pub mod sqlite;
pub mod sync;
pub mod union;
pub mod view;
