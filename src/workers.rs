//! Background work, each kind in a file of its own and none with a loop that nobody watches.

pub mod firing;
pub mod health;
pub mod ingest;
pub mod jobs;
pub mod notify;
pub mod scheduler;
pub mod supervisor;
pub mod sync_git;

pub use supervisor::{Supervisor, WorkerError};
