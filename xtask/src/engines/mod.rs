//! Engines: each lowers the same intents to plans of its own.

pub mod compose;
pub mod process;
