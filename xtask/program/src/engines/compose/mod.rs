//! The engine for containers on one host. Docker Compose starts them. The supervisor follows their logs, checks their
//! health and watches the sources, so that every command treats them as it treats processes.

mod contract;
mod definition;
pub mod deployed;
pub mod lower;
pub mod monitoring;
pub mod observe;
pub mod preflight;
pub mod project;
pub mod rehearsal;
mod roll;
mod secrets;
mod starting;
mod store;

pub use observe::Compose;
