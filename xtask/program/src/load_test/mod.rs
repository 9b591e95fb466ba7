//! An environment of its own that releases of this checkout are deployed to, and a load that goes on meanwhile: what drills
//! and measurements of deploys share.

pub mod client;
pub mod load;
pub mod model;
pub mod packages;
pub mod phase;
pub mod process;
pub mod target;
