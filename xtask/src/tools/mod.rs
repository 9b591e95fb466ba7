//! External programs: the catalogue, where each is, how it is installed on first need.
//!
//! [`Toolbox::ensure`] installs, [`Toolbox::path`] and [`Toolbox::invocation`] only look.

mod cache;
mod install;
mod npm;
mod pip;
mod requirements;
mod version;

pub mod catalogue;
pub mod progress;
pub mod toolbox;

pub use self::catalogue::{Program, Tool};
pub use self::progress::Progress;
pub use self::toolbox::{Invocation, NpmProject, Toolbox};
