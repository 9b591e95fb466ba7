//! Owns the processes of the process engine, so that they outlive the command that started them.
//!
//! `xtask supervise --state DIR` is the same program, detached. One runs per state folder, whose files are:
//! `lock` (held for life), `ctl.sock` (JSON lines, see [`protocol`]), `children.json` (what runs, so that the next one
//! finds and ends it after a kill), `supervisor.log`.

mod children;
mod client;
mod control;
mod events;
mod inherited;
mod link;
pub mod log_lines;
pub mod protocol;
mod recover;
mod rotate;
mod serve;
mod services;
mod stamp;
mod tail;
mod watch;
mod worker;

#[cfg(test)]
mod tests;

pub use client::Client;
pub use inherited::variables as outliving_variables;
pub use link::Link;
pub use recover::{Recovered, recover};
pub use serve::supervise;
pub use tail::{last_lines, tail};
