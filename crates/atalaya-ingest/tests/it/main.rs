//! The reader on a real file system: one binary.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "tests; seeds are shown when one fails"
)]

mod many;
mod rotation;
mod schemes;
mod shortened;
mod world;
