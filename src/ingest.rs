//! From files to the log engine: tail, cut into lines, parse, batch into frames, append, and move
//! the checkpoint once the store has acknowledged.

pub mod format;
