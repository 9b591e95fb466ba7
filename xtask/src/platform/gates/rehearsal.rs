//! Production in containers, proven.

use vocabulary::model::{Gate, GateGroup, Reads, Requirement};

use super::xtask;

/// Also of what `cargo xtask rehearse` proves by itself.
pub const ID: &str = "rehearsal";

pub fn gate() -> Gate {
    Gate {
        id: ID,
        group: GateGroup::Containers,
        checks: "production on Compose, built here: it comes up, passes smoke, shows every hardening claim, reaches \
                 what the edges allow, drains",
        commands: vec![xtask(&["rehearse", "compose"])],
        after: vec!["engine"],
        requires: vec![Requirement::ContainerEngine, Requirement::Root],
        reads: Reads::Files(vec![".dockerignore", "flows", "ops", "xtask"]),
        negative_control: "xtask/tests/compose.rs::a_production_file_that_breaks_its_promises_is_found_out",
        remedy: "run `cargo xtask rehearse compose --keep`, then look at the containers with docker",
        limit_seconds: 1800,
    }
}
