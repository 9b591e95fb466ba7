//! An opened environment: what it is made of, where it runs on this machine, and what commands do with it. Several
//! commands need each part; commands themselves do not know each other.

pub mod dry_run;
pub mod killed_runs;
mod natives;
pub mod opened;
pub mod private;
pub mod rehearsal;
pub mod running;
pub mod servers;
pub mod smoke;
mod smoke_report;
pub mod step_progress;

/// The environment that is meant when none is named.
pub const DEFAULT: &str = "dev";
