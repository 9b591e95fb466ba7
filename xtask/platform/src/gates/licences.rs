//! What others wrote and we ship may be shipped.

use vocabulary::model::{Gate, GateCommand, GateGroup, Proof, Reads, Sarif};

use super::xtask;

pub fn gate() -> Gate {
    Gate {
        id: "licences",
        group: GateGroup::Security,
        checks: "every crate and every production npm package has a licence that ops/ci/licences.toml allows",
        commands: vec![GateCommand {
            sarif: Some(Sarif::File("target/xtask/sarif/licences.sarif")),
            calls: vec!["node"],
            proof: Proof::InCommand("node only installs the packages whose licences are read"),
            ..xtask(&["check", "licences"])
        }],
        after: vec![],
        requires: vec![],
        reads: Reads::Files(vec!["Cargo.toml", "Cargo.lock", "flows", "ops", "xtask"]),
        negative_control: "xtask/tests/gates/security.rs::licences_fails_on_a_copyleft_crate_or_npm_package",
        remedy: "use another package, or allow its licence in ops/ci/licences.toml",
        limit_seconds: 300,
    }
}
