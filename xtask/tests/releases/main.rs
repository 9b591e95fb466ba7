//! `cargo xtask release` as release managers and operators run it: packages are made, verified and published.

#[path = "../fixtures/ended.rs"]
mod ended;
#[path = "../fixtures/namespaces.rs"]
mod namespaces;
mod packages;
mod publishing;
#[path = "../fixtures/registry_server.rs"]
mod registry_server;
#[path = "../fixtures/tree.rs"]
mod tree;
