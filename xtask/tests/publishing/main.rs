//! `cargo xtask release` as its users run it, beside a real git remote and a stand-in for GitHub.

mod images;
mod interrupted;
#[path = "../surroundings/namespaces.rs"]
mod namespaces;
mod plan;
mod publish;
#[path = "../../shipping/src/forge/registry_server.rs"]
mod registry_server;
mod replaced;
mod signed_tag;
mod tag_kinds;
#[path = "../surroundings/tree.rs"]
mod tree;
mod workshop;
