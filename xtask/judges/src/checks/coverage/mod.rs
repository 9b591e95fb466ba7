//! How much of each room the tests run, and whether that is enough. Pure.
//!
//! Judged are the lines of a language as a whole and of each room: against the floor that `ops/ci/coverage.toml` sets,
//! and against what was recorded, from which it may not drop by more than a few points.

mod judge;
pub mod lcov;
mod thresholds;

pub use judge::{Judgement, judge};
pub use thresholds::{Language, Recorded, Thresholds};
