//! Everything that needs a real Cassandra or MariaDB. Nothing here is skipped: a test without its
//! server fails and says `cargo xtask services up`. Fault tests start servers of their own.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
#![allow(
    clippy::print_stdout,
    reason = "seeds and histories, shown when a test fails"
)]

mod backup;
mod cassandra_schema;
mod cassandra_store;
mod console_ring;
#[path = "../it/copied.rs"]
mod copied;
mod copy;
mod errors;
mod every_question;
mod follower;
mod foreign;
mod ingest_kill;
mod keyspace;
#[path = "../it/lines.rs"]
mod lines;
mod live_tail;
#[path = "../it/log_store_suite.rs"]
mod log_store_suite;
#[path = "../it/metrics_store_suite.rs"]
mod metrics_store_suite;
mod mysql_store;
mod mysql_vitals;
mod node_kill;
mod own_logs;
#[allow(
    dead_code,
    reason = "shared with the tests without servers, which use all of it"
)]
#[path = "../it/pty.rs"]
mod pty;
mod retry;
mod ring_faults;
mod ring_health;
mod servers;
mod service;
#[allow(
    dead_code,
    reason = "shared with the tests without servers, which use all of it"
)]
#[path = "../it/serving.rs"]
mod serving;
mod tls;
