//! Production in containers, proven.

use vocabulary::model::{Gate, GateGroup, Reads, Requirement};

use super::xtask;

pub fn gate() -> Gate {
    Gate {
        id: "rehearsal",
        group: GateGroup::Containers,
        checks: "production on Compose starts, passes smoke, is hardened as defined, has only the connections that the \
                 edges allow, and drains",
        commands: vec![xtask(&["rehearse", "compose"])],
        after: vec!["engine"],
        requires: vec![Requirement::ContainerEngine, Requirement::Root],
        reads: Reads::Files(vec![".dockerignore", "flows", "ops", "xtask"]),
        negative_control: "xtask/tests/engine/compose.rs::a_production_file_that_breaks_its_promises_is_found_out",
        remedy: "run `cargo xtask rehearse compose --keep`, then look at the containers with docker",
        limit_seconds: 1800,
    }
}
