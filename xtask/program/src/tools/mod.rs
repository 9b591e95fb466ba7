//! External programs: the catalogue, where each is, how it is installed on first need.
//!
//! [`Toolbox::ensure`] installs, and has what is in the cache compared with what was installed; [`Toolbox::path`] and
//! [`Toolbox::invocation`] only look whether it is there.

mod cache;
pub mod go_program;
mod install;
mod manifest;
mod npm;
mod pip;
pub mod requirements;
mod rust_component;
pub mod system_package;
pub mod version;
pub mod versions;

pub mod catalogue;
pub mod programs;
pub mod progress;
pub mod toolbox;

pub use self::manifest::State;
pub use self::{catalogue::Program, progress::Progress, toolbox::Invocation};
pub use self::{
    catalogue::Tool,
    toolbox::{NpmProject, Toolbox},
};
