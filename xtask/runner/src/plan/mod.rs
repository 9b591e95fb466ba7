//! What a command means to do, as data, and the one place that does it.
//!
//! A command states an intent, an engine lowers it to a [`Plan`], the [`runner`] acts on it. Everything in
//! [`step`], [`action`], [`argument`] and [`service`] is plain data: printed by `--dry-run`, serialised by `--json`,
//! asserted by tests. Nothing here knows an engine or a service by name.

pub mod action;
pub mod argument;
pub mod audit;
pub mod child;
mod encodings;
pub mod fingerprint;
pub mod http;
pub mod journal;
pub mod leftovers;
pub mod lock;
pub mod log;
pub mod mask;
pub mod perform;
pub mod print;
pub mod probe;
pub mod register;
pub mod report;
pub mod runner;
pub mod service;
pub mod show;
pub mod step;
pub mod target;
pub mod validate;

#[cfg(test)]
mod tests;
