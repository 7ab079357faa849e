//! Atalaya: a terminal observability console.
//!
//! Reading order, which is also the order of the arrows (each module uses only those above it):
//!
//! 1. [`domain`]: values and arithmetic, no I/O
//! 2. [`query`]: the one query language
//! 3. [`store`]: where records and metrics are kept
//! 4. [`source`]: facts from outside (git, files of other tools)
//! 5. [`ingest`]: from log files to the store
//! 6. [`config`]: file, environment and flags become [`config::Settings`]
//! 7. [`service`]: use cases; the only code that joins stores
//! 8. [`report`]: a domain value as Markdown, text or JSON; [`shown`]: untrusted text made safe
//! 9. [`tui`] and [`cli`]: what people see; [`telemetry`]: our own log, to a file

pub mod domain;

pub mod query;

pub mod store;

pub mod source;

pub mod ingest;

pub mod config;

pub mod service;

pub mod report;
pub mod shown;

pub mod telemetry;

pub mod tui;

pub mod cli;
