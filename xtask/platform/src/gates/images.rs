//! The images that are shipped, before anything runs in them.

use vocabulary::model::{Gate, GateGroup, Reads, Requirement};

use super::xtask;

pub fn gate() -> Gate {
    Gate {
        id: "images",
        group: GateGroup::Containers,
        checks: "the images build, and the scan of the shipped images finds nothing",
        commands: vec![xtask(&["image", "build", "--stand-ins-if-locked"]), xtask(&["image", "scan"])],
        after: vec!["smoke"],
        requires: vec![Requirement::ContainerEngine],
        reads: Reads::Files(vec![".dockerignore", "flows", "ops", "xtask"]),
        negative_control: "xtask/tests/engine/images/real.rs::a_scan_finds_what_was_planted_and_says_what_it_did_not_do",
        remedy: "run `cargo xtask image scan`; it says what to do about each finding",
        limit_seconds: 1200,
    }
}
