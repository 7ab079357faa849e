//! Everything that can wake the loop.

use std::sync::Arc;

use crossterm::event::Event;

use super::effect::Answer;
use crate::domain::health::Health;
use crate::ingest::accounts::IngestStatus;

#[derive(Debug)]
pub enum AppEvent {
    /// A key, a paste, the mouse.
    Input(Event),
    /// Columns and rows.
    Resized(u16, u16),
    Answer(Answer),
    Ingest(Arc<IngestStatus>),
    Health(Arc<Health>),
    /// The clock moved on; about once a second.
    Tick,
}
