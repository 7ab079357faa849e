//! Named points at which a test kills the program: one at each step that makes something durable.
//!
//! In a release build the points are nothing. In a test build the variable `FAILPOINTS` chooses
//! them (`spool::after_fsync=3*off->return` dies the fourth time), and a chosen one ends the
//! process on the spot, as `kill -9` would: nothing is flushed, nothing is unwound.

/// Every point, for the test that kills at each of them.
pub const POINTS: [&str; 20] = [
    "checkpoint::before_write",
    "checkpoint::after_write",
    "checkpoint::after_sync",
    "checkpoint::after_rename",
    "spool::segment_created",
    "spool::header_written",
    "spool::before_write",
    "spool::half_written",
    "spool::after_write",
    "spool::after_fsync",
    "spool::before_answer",
    "spool::before_seal",
    "spool::index_written",
    "spool::index_renamed",
    "spool::positions_written",
    "spool::positions_renamed",
    "spool::segment_removed",
    "spool::index_removed",
    "drain::before_send",
    "drain::before_ack",
];

/// Ends the process here if the point is chosen.
pub fn point(name: &'static str) {
    let _ = name; // all that is left of it in a release build
    fail::fail_point!(name, |_| std::process::abort());
}

/// Whether the point is chosen at all; for what a test wants done in two steps.
pub const fn is_testing() -> bool {
    fail::has_failpoints()
}

/// Reads `FAILPOINTS` in a test build; what it returns keeps the points alive.
pub fn choose_points() -> Option<impl Sized> {
    (fail::has_failpoints() && std::env::var_os("FAILPOINTS").is_some())
        .then(fail::FailScenario::setup)
}
