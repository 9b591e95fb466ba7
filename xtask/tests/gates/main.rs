//! `cargo xtask ci` as its users run it: each gate fails on the fault that it is there for, and a run is told whole.

mod alerts;
mod dashboards;
mod faults;
mod go_advisories;
mod runs;
mod security;
#[path = "../fixtures/tree.rs"]
mod tree;
