//! Everything that needs more than one module, a real terminal, real files or a real server.

mod metrics_store_sqlite;
mod metrics_store_suite;
