//! No secret was ever committed: what is in the history is known to whoever has a copy.

use vocabulary::model::{Gate, GateCommand, GateGroup, Proof, Reads, Sarif};

use super::xtask;

pub fn gate() -> Gate {
    Gate {
        id: "secrets-in-history",
        group: GateGroup::Security,
        checks: "gitleaks finds no secret in any commit or in uncommitted changes",
        commands: vec![GateCommand {
            sarif: Some(Sarif::File("target/xtask/sarif/secrets-in-history.sarif")),
            calls: vec!["gitleaks"],
            proof: Proof::InCommand("gitleaks first finds a planted token"),
            ..xtask(&["check", "secrets"])
        }],
        after: vec![],
        requires: vec![],
        reads: Reads::History,
        negative_control: "xtask/tests/gates/security.rs::secrets_in_history_fails_on_a_secret_that_was_removed_again",
        remedy: "revoke the secret where it was issued, then see docs/security.md",
        limit_seconds: 300,
    }
}
