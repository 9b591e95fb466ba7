//! The rulesets of the hosts' firewalls, read by nftables itself.

use vocabulary::model::{Gate, GateCommand, GateGroup, Proof, Reads, Requirement};

use super::xtask;

pub fn gate() -> Gate {
    Gate {
        id: "firewall",
        group: GateGroup::Containers,
        checks: "nftables accepts the ruleset of every environment's host, and one for each engine",
        commands: vec![GateCommand {
            proof: Proof::InCommand("nftables must first refuse the same ruleset with an unknown command"),
            ..xtask(&["check", "firewall"])
        }],
        after: vec![],
        requires: vec![Requirement::Root],
        reads: Reads::Files(vec!["ops/environments", "xtask"]),
        negative_control: "xtask/tests/commands/firewall.rs::a_ruleset_that_allows_more_or_less_is_noticed",
        remedy: "change xtask/artifacts/src/firewall.rs or ops/environments",
        limit_seconds: 120,
    }
}
