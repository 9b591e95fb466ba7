//! What a pass rests on, kept as data: `.flowship/evidence/KIND/NAME.json`, one record for each gate, rehearsal and drill.
//!
//! `cargo xtask ci` writes a record after each gate that passed, and by it tells later that nothing has changed since. A
//! release collects the records that hold for its commit.

pub mod basis;
pub mod record;
pub mod store;
pub mod tree;

pub use record::{Confirmation, Figure, Kind, Ran, Record};
