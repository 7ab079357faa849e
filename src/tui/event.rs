//! Everything that can wake the loop.

use std::sync::Arc;

use crossterm::event::Event;

use super::registry::Answer;
use crate::service::alerts::Firing;
use atalaya_domain::health::Health;
use atalaya_ingest::accounts::IngestStatus;
use atalaya_store::chunks::Troubles;

#[derive(Debug)]
pub enum AppEvent {
    /// A key, a paste, the mouse.
    Input(Event),
    /// Columns and rows.
    Resized(u16, u16),
    Answer(Answer),
    Ingest(Arc<IngestStatus>),
    Health(Arc<Health>),
    /// How many alerts fire.
    Firing(Firing),
    /// What the calls of the log store meet that are under way; about once a second.
    Troubles(Troubles),
    /// The clock moved on; about once a second.
    Tick,
}
