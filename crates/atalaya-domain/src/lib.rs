//! Values and arithmetic: what the product speaks of, free of I/O, clocks, tokio and ratatui.
//!
//! Reading order: [`time`], [`length`], [`record`] (one log event), [`chunk`] (a run of them), [`delivery`]
//! (cycles, deployments, incidents), [`dora`] (the five metrics), [`stats`] (tests and intervals),
//! [`pdca`] (Plan-Do-Check-Act), [`quality`] (of the recorded rows), [`health`], [`alert`], [`job`] and [`lease`] (what runs when, and who runs it),
//! [`layout`] (how a keyspace of logs is made), and what every
//! layer needs: [`error_class`] (what an error asks of its reader), [`backoff`] (pauses between
//! attempts). [`backup`]: what an archive says of itself, and which ones may go. [`token`] and [`limit`]:
//! who may ask the HTTP API, and how often.

pub mod pipeline;
pub mod time;

pub mod alert;
pub mod backoff;
pub mod backup;
pub mod chunk;
pub mod delivery;
pub mod dora;
pub mod error_class;
pub mod health;
pub mod job;
pub mod layout;
pub mod lease;
pub mod length;
pub mod limit;
pub mod pattern;
pub mod pdca;
pub mod quality;
pub mod record;
pub mod stats;
pub mod token;
