//! Facts from outside: git history, GitHub's answers, Cassandra's own command, the older tool's
//! files.
//!
//! A source reads and translates; it stores nothing. Reading the same thing again gives the same
//! ids, which is what makes every sync and import safe to repeat.

pub mod git;
pub mod github;
pub mod nodetool;
pub mod sdlc_file;
