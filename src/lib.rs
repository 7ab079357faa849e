//! Atalaya: a terminal observability console.
//!
//! Reading order, which is also the order of the arrows (each module uses only those above it):
//!
//! 1. [`domain`]: values and arithmetic, no I/O
//! 2. [`query`]: the one query language
//! 3. [`store`]: where records and metrics are kept
//! 4. [`source`]: facts from outside (git, files of other tools); [`notify`]: messages out
//! 5. [`ingest`]: from log files to the store
//! 6. [`config`]: file, environment and flags become [`config::Settings`]
//! 7. [`service`]: use cases; the only code that joins stores
//! 8. [`report`]: a domain value as Markdown, text or JSON; [`shown`]: untrusted text made safe
//! 9. [`api`]: what programs see; [`mcp`]: what language models see; [`tui`] and [`cli`]: what people see; [`telemetry`]: our own log, to a file

pub use atalaya_domain as domain;
pub use atalaya_ingest as ingest;
pub use atalaya_query as query;
pub use atalaya_store as store;

pub mod config;
pub mod http;
pub mod notify;
pub mod source;

pub mod service;

pub mod report;
pub mod shown;
pub mod text_file;

pub mod telemetry;

pub mod api;
pub mod mcp;
pub mod workers;

pub mod host;
pub mod privacy;
pub mod process_group;
pub mod signals;

pub mod tui;

pub mod cli;
