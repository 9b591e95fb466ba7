//! The process engine: services as plain processes of this machine, under a supervisor of ours.

pub mod certificate;
mod contract;
pub mod editor_link;
pub mod instance;
pub mod lower;
pub mod monitoring;
pub mod observe;
mod port_holder;
pub mod ports;
pub mod resolve;
pub mod roll;
mod schema;
pub mod secret_files;
pub mod secret_memory;
pub mod secret_store;
pub mod vault;

pub use observe::Process;
