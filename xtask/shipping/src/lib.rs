//! A release as files and its verification; git and GitHub as publishing sees them.

pub mod forge;
pub mod release;
