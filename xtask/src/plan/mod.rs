//! What a command means to do, as data, and the one place that does it.
//!
//! A command states an intent, an engine lowers it to a [`Plan`], the [`runner`] acts on it. Everything in
//! [`step`], [`action`], [`argument`] and [`service`] is plain data: printed by `--dry-run`, serialised by `--json`,
//! asserted by tests. Nothing here knows an engine or a service by name.

pub mod action;
pub mod argument;
pub mod interrupt;
pub mod mask;
pub mod processes;
pub mod service;
pub mod step;
pub mod validate;
