//! What the project's commands and its tests share: the real servers, and the programs they need.

pub mod services;
pub mod tools;
