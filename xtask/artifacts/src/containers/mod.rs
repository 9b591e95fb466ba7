//! Files for engines that run containers: Dockerfiles, Compose projects, the edge's configuration.

pub mod compose;
mod dockerfiles;
pub mod edge;
mod edge_rules;
mod health;
mod resolve;
pub mod services;
pub mod site;
mod split;
#[cfg(test)]
mod tests;

pub use compose::{FAMILY as COMPOSE, RENDERED};
pub use dockerfiles::FAMILY as IMAGES;
pub use edge::FAMILY as EDGE;
pub use resolve::{secret_file, tree};
