//! Rust code that the linter would object to.

use vocabulary::model::{Gate, GateGroup, Reads};

use super::{cargo, planted_crate};

pub fn gate() -> Gate {
    Gate {
        id: "clippy",
        group: GateGroup::Rust,
        checks: "clippy finds nothing in the Rust sources",
        commands: vec![cargo(
            &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"],
            planted_crate(
                "pub fn planted() -> u32 {\n    return 1;\n}\n",
                &["clippy", "--quiet", "--target-dir=target/xtask/planted"],
                &["--", "-D", "warnings"],
                "needless_return",
            ),
        )],
        after: vec!["format"],
        requires: vec![],
        reads: Reads::Files(vec![
            ".cargo",
            "flows/catalogue.json",
            "xtask",
            "Cargo.toml",
            "Cargo.lock",
            "rust-toolchain.toml",
        ]),
        negative_control: "xtask/tests/gates/faults.rs::clippy_fails_on_a_lint",
        remedy: "fix what clippy reports",
        limit_seconds: 900,
    }
}
