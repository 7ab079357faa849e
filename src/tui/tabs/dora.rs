//! The DORA tab. It reads nothing yet and says so.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use tokio_util::sync::CancellationToken;

use super::{Context, Tab, TabEvent, TabStatus};
use crate::service::Stores;
use crate::tui::effect::Effect;
use crate::tui::keymap::Scope;
use crate::tui::widgets::empty;

/// Work for the runner; none so far.
#[derive(Clone, Debug)]
pub enum DoraEffect {}

impl DoraEffect {
    pub fn slot(&self) -> &'static str {
        match *self {}
    }
}

/// What the work brought; none so far.
#[derive(Debug)]
pub enum DoraAnswer {}

pub async fn perform(
    effect: DoraEffect,
    _stores: &Stores,
    _cancel: &CancellationToken,
) -> Option<DoraAnswer> {
    match effect {}
}

#[derive(Debug, Default)]
pub struct DoraTab {}

impl Tab for DoraTab {
    fn scopes(&self) -> &'static [Scope] {
        &[Scope::Dora, Scope::List]
    }

    fn update(&mut self, _event: TabEvent, _context: &Context<'_>) -> Vec<Effect> {
        Vec::new()
    }

    fn render(&self, area: Rect, buffer: &mut Buffer, context: &Context<'_>) {
        empty::render(area, buffer, context.theme, "The five delivery metrics are not loaded yet.", &[]);
    }

    fn status(&self, _context: &Context<'_>) -> TabStatus {
        TabStatus::default()
    }

    fn at_top(&self) -> bool {
        true
    }
}
