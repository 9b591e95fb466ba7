//! Rust code in one form.

use vocabulary::model::{Gate, GateGroup, Reads};

use super::{cargo, planted_crate};

pub fn gate() -> Gate {
    Gate {
        id: "format",
        group: GateGroup::Sources,
        checks: "Rust sources are formatted",
        commands: vec![cargo(
            &["fmt", "--all", "--check"],
            planted_crate("pub fn planted( ){}\n", &["fmt", "--all", "--check"], &[], "Diff in "),
        )],
        after: vec![],
        requires: vec![],
        reads: Reads::Files(vec!["xtask", "rustfmt.toml", "rust-toolchain.toml", "Cargo.toml"]),
        negative_control: "xtask/tests/gates/faults.rs::format_fails_on_an_unformatted_source",
        remedy: "run `cargo fmt --all`",
        limit_seconds: 120,
    }
}
