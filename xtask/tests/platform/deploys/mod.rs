//! Releases that are deployed to an environment, and what goes wrong.

mod refused;
mod site;
mod story;
