//! An opened environment: its values, where it runs on this machine, and what commands do with it. Several commands need
//! each part, and commands do not use each other.

pub mod by_the_release;
pub mod contracting;
pub mod deployed;
pub mod deployer;
pub mod deploying;
pub mod drift;
pub mod dry_run;
pub mod edge_client;
pub mod fetched_certificate;
pub mod host;
pub mod killed_runs;
mod natives;
pub mod opened;
pub mod operations;
mod prerequisites;
pub mod private;
pub mod rehearsal;
mod rolling;
pub mod rotating;
pub mod running;
pub mod secret_audit;
pub mod secret_changes;
pub mod secret_server;
pub mod servers;
mod settings;
pub mod smoke;
mod smoke_edge;
mod smoke_report;
pub mod starting;
pub mod step_progress;

/// The default environment.
pub const DEFAULT: &str = "dev";
