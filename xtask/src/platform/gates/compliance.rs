//! What security catalogues ask for holds in the files as they lie here.

use vocabulary::model::{Gate, GateGroup, Reads};

use super::xtask;

pub fn gate() -> Gate {
    Gate {
        id: "compliance",
        group: GateGroup::Sources,
        checks: "every row of the catalogue that has something to look at holds: see docs/reference/compliance.md",
        commands: vec![xtask(&["check", "compliance"])],
        after: vec![],
        requires: vec![],
        // The time too: a proven restore grows old. And what a release or a drill has left.
        reads: Reads::World,
        remedy: "mend what the finding names; where the file is generated, where its first line says",
        limit_seconds: 60,
    }
}
