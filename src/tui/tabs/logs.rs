//! The Logs tab. (being built)
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use tokio_util::sync::CancellationToken;

use super::{Context, Tab, TabEvent, TabStatus};
use crate::service::Stores;
use crate::tui::effect::Effect;
use crate::tui::keymap::Scope;
use crate::tui::state::SavedLogs;
use crate::tui::widgets::empty;

#[derive(Clone, Debug)]
pub enum LogsEffect {}

impl LogsEffect {
    pub fn slot(&self) -> &'static str {
        match *self {}
    }
}

#[derive(Debug)]
pub enum LogsAnswer {}

pub async fn perform(
    effect: LogsEffect,
    _stores: &Stores,
    _cancel: &CancellationToken,
) -> Option<LogsAnswer> {
    match effect {}
}

#[derive(Debug)]
pub struct LogsTab {
    saved: SavedLogs,
}

impl LogsTab {
    pub fn new(saved: &SavedLogs) -> Self {
        Self { saved: saved.clone() }
    }

    pub fn saved(&self) -> SavedLogs {
        self.saved.clone()
    }
}

impl Tab for LogsTab {
    fn scopes(&self) -> &'static [Scope] {
        &[Scope::Logs, Scope::List]
    }

    fn update(&mut self, _event: TabEvent, _context: &Context<'_>) -> Vec<Effect> {
        Vec::new()
    }

    fn render(&self, area: Rect, buffer: &mut Buffer, context: &Context<'_>) {
        empty::render(area, buffer, context.theme, "The logs are not loaded yet.", &[]);
    }

    fn status(&self, _context: &Context<'_>) -> TabStatus {
        TabStatus::default()
    }

    fn at_top(&self) -> bool {
        true
    }
}
