//! The embedded stores: two SQLite files in the data directory, WAL, one writer connection and a
//! pool of readers each. Migrations are in `migrations/sqlite`.

pub mod check;
pub mod closing;
pub(crate) mod errors;
pub mod examine;
pub mod metrics;
mod mirror;
pub mod open;
pub(crate) mod place;
mod reading;
pub(crate) mod rows;
pub mod salvage;
mod seal;

mod codec;

pub mod chunks;
