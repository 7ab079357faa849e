//! Third-party samples beside what their own tools make of them.
//!
//! The samples have licences of their own and are in no clone. `cargo xtask test --reference <folder>`
//! says where they are; a sample that is missing is a failure, never a skipped test. What is compared
//! with what stands in `inventory`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
#![allow(
    clippy::unnecessary_wraps,
    reason = "the golden mappings take functions that may answer nothing"
)]

#[path = "../it/decoded.rs"]
mod decoded;
mod devlake;
mod dora_golden;
mod golden;
mod golden_app;
mod golden_inventory;
mod golden_mixtures;
mod golden_system;
mod golden_web;
#[path = "../it/mixtures.rs"]
mod mixtures;
