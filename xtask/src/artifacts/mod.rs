//! The files that derive from the platform, and their comparison with what lies in the tree.
//!
//! Committed families are functions of the platform alone. To add one: a file here with a `FAMILY`, a line below.

mod artifact;
mod compare;
pub mod containers;
mod environment_examples;
mod flow_facts;
mod gitattributes;
mod ledger;
mod model;
mod node_red_settings;
mod reference;
mod smoke_flow;
#[cfg(test)]
mod tests;
mod tree;
pub mod workflows;

pub use artifact::{Artifact, Family};
pub use compare::{Difference, State, compare};
pub use gitattributes::PATH as GIT_ATTRIBUTES;
pub use ledger::PATH as LEDGER;
pub use model::{PATH as RECORD, data};
pub use tree::{observe, prepare};

/// The committed families, in the order in which they are listed.
pub const FAMILIES: &[Family] = &[
    node_red_settings::FAMILY,
    flow_facts::FAMILY,
    smoke_flow::FAMILY,
    environment_examples::FAMILY,
    containers::IMAGES,
    containers::COMPOSE,
    containers::EDGE,
    workflows::FAMILY,
    reference::FAMILY,
    model::FAMILY,
    gitattributes::FAMILY,
];

/// Every committed artifact of the named families, sorted by path; all families when none is named.
pub fn generate(platform: &vocabulary::model::Platform, only: &[String]) -> Vec<Artifact> {
    let wanted = |family: &&Family| only.is_empty() || only.iter().any(|name| name == family.name);
    let mut artifacts: Vec<_> =
        FAMILIES.iter().filter(wanted).flat_map(|family| (family.generate)(platform)).collect();
    artifacts.sort_by(|left, right| left.path.cmp(&right.path));
    artifacts
}

/// The ledger of a tree in which just these lie.
pub fn ledger(artifacts: &[Artifact]) -> Artifact {
    ledger::artifact(artifacts, &ledger::Ledger::new())
}
