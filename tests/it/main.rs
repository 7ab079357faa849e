//! Everything that needs more than one module, a real terminal, real files or a real server.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
#![allow(
    clippy::print_stdout,
    reason = "seeds and histories, shown when a test fails"
)]
#![allow(
    clippy::unnecessary_wraps,
    reason = "the golden mappings take functions that may answer nothing"
)]

mod cli_logs;
mod cli_manners;
mod console_first_run;
mod console_keys;
mod console_read_only;
mod console_resize;
mod console_terminal;
mod copied;
mod db_copy;
mod demo_company;
mod devlake;
mod dora_cli;
mod dora_golden;
mod git_source;
mod golden;
mod golden_app;
mod golden_inventory;
mod golden_system;
mod golden_web;
mod hostile;
mod ingest_full_disk;
mod ingest_kill;
mod ingest_rotation;
mod layers;
mod lines;
mod log_store_suite;
mod metrics_store_sqlite;
mod metrics_store_suite;
mod other_user;
mod pdca;
mod pty;
mod quarantine_cli;
mod readers;
mod spool_backlog;
mod spool_kill;
mod sqlite_store;
mod track_cli;
