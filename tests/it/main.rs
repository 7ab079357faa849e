//! Everything that needs more than one module, a real terminal or real files, and nothing but the clone.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
#![allow(
    clippy::print_stdout,
    reason = "seeds and histories, shown when a test fails"
)]

mod alerts;
mod api;
mod api_analytics;
mod api_catalog;
mod api_client;
mod api_limits;
mod api_writes;
mod backup;
mod cli_hostile;
mod cli_logs;
mod cli_manners;
mod clone_only;
mod closing;
mod console_alerts;
mod console_first_run;
mod console_keys;
mod console_read_only;
mod console_resize;
mod console_terminal;
mod copied;
mod db_copy;
mod decoded;
mod delivery_cli;
mod demo_company;
mod dora_cli;
mod dora_own;
mod formats_own;
mod git_histories;
mod git_source;
mod github;
mod heads;
mod hostile;
mod ingest_full_disk;
mod ingest_kill;
mod layers;
mod lines;
mod log_store_suite;
mod mcp;
mod metrics_store_sqlite;
mod metrics_store_suite;
mod mixtures;
mod odd_places;
mod other_user;
mod pdca;
mod pdca_engine;
mod pipeline;
mod pty;
mod quarantine_cli;
mod readers;
mod scheduler;
mod service;
mod serving;
mod spool_backlog;
mod spool_kill;
mod sqlite_store;
mod stores_apart;
mod track_cli;
mod workers;
