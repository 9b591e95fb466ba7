//! Releases that are deployed to an environment, and what goes wrong.

mod host;
mod refused;
mod site;
mod story;
