//! Pieces that more than one screen draws.

pub mod clock;
pub mod empty;
pub mod frame;
pub mod gauge;
pub mod help;
pub mod line_edit;
pub mod safe_text;
