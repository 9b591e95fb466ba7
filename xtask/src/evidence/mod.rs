//! What a gate's pass rests on, kept as data: `.flowship/ci/evidence/GATE.json`, one record for each gate.
//!
//! `cargo xtask ci` writes a record after each gate that passed, and by it tells later that nothing has changed since. A
//! release collects the records that hold for its commit.

pub mod record;
pub mod store;

pub use record::{Confirmation, Figure, Ran, Record};
