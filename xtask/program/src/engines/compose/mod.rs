//! The engine for containers on one host: Docker Compose brings them up; the supervisor follows their logs, asks for
//! their health and watches the sources, so that every command finds them as it finds processes.

pub mod lower;
pub mod observe;
pub mod project;
pub mod rehearsal;

pub use observe::Compose;
