//! Production comes back by itself, proven by ending the engine under it.

use vocabulary::model::{Gate, GateGroup, Reads, Requirement};

use super::xtask;

pub fn gate() -> Gate {
    Gate {
        id: "engine-restart",
        group: GateGroup::Containers,
        checks: "production on Compose starts again by itself after the engine is stopped or killed, and after the host loses power",
        commands: vec![xtask(&["rehearse", "compose", "--only", "engine-restart"])],
        after: vec!["images", "engine", "rehearsal", "slow-engine"],
        requires: vec![Requirement::ContainerEngine, Requirement::OwnEngine, Requirement::Root],
        reads: Reads::Files(vec![".dockerignore", "flows", "ops", "xtask"]),
        negative_control: "xtask/tests/engine/compose.rs::production_that_stays_down_with_the_engine_is_found_out",
        remedy: "run `cargo xtask rehearse compose --only engine-restart --keep`, then look at the containers with docker",
        limit_seconds: 900,
    }
}
