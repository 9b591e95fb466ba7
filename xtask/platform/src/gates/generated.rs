//! Generated files that are what the platform says.

use vocabulary::model::{Gate, GateGroup, Reads};

use super::xtask;

pub fn gate() -> Gate {
    Gate {
        id: "generated",
        group: GateGroup::Sources,
        checks: "the generated files are up to date, and the platform and its environments are valid",
        commands: vec![xtask(&["generate", "--check"]), xtask(&["environment", "check"])],
        after: vec![],
        requires: vec![],
        reads: Reads::Files(vec![
            ".dockerignore",
            ".gitattributes",
            ".github",
            "docs",
            "flows",
            "ops",
            "xtask",
            "Cargo.toml",
            "Cargo.lock",
        ]),
        negative_control: "xtask/tests/gates/faults.rs::generated_fails_on_a_stale_file",
        remedy: "run `cargo xtask generate`; --diff shows the changes",
        limit_seconds: 60,
    }
}
