//! The checkout and its remote, through `git` and `gh`: what a release is made from, and where it becomes public.
//!
//! [`remote::Remote`] is the seam: publishing knows only its questions and acts, [`github::GitHub`] carries them out.

pub mod command;
pub mod github;
pub mod registry;
pub mod remote;
pub mod repository;

#[cfg(test)]
#[path = "../../../tests/fixtures/registry_server.rs"]
mod registry_server;
#[cfg(test)]
mod tests;
