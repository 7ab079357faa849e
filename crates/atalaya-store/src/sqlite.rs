//! The embedded stores: two SQLite files in the data directory, WAL, one writer connection and a
//! pool of readers each. Migrations are in `migrations/sqlite`.

pub mod examine;
pub mod metrics;
pub mod open;
pub(crate) mod rows;
mod seal;

mod codec;

pub mod chunks;
