//! What the platform's values make of the repository, and what a change of them means. Pure.
//!
//! A room of its own beside `checks`: nothing here is good or bad, it answers people who review. It may use
//! `artifacts` and the model; only commands use it. Tests alone know this very platform.

pub mod ablation;
mod edited;
pub mod impact;
mod lines;
pub mod meaning;
pub mod part;
pub mod source;
pub mod why;
