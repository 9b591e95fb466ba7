//! Generated files that are what the platform says.

use vocabulary::model::{Gate, GateGroup, Reads};

use super::xtask;

pub fn gate() -> Gate {
    Gate {
        id: "generated",
        group: GateGroup::Sources,
        checks: "generated files are what the platform says, and the platform and its environments are valid",
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
        negative_control: "xtask/tests/gates.rs::generated_fails_on_a_stale_file",
        remedy: "run `cargo xtask generate`; it shows what it changes with --diff",
        limit_seconds: 60,
    }
}
