//! External programs: the catalogue, where each is, how it is installed on first need.
//!
//! [`Toolbox::ensure`] installs, [`Toolbox::path`] and [`Toolbox::invocation`] only look.

mod cache;
mod install;
mod npm;
mod pip;
pub mod requirements;
mod rust_component;
pub mod version;

pub mod catalogue;
pub mod progress;
pub mod toolbox;

pub use self::{catalogue::Program, progress::Progress, toolbox::Invocation};
pub use self::{
    catalogue::Tool,
    toolbox::{NpmProject, Toolbox},
};
