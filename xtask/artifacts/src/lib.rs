//! The files that derive from the platform, and from an environment where they hold what a site decides. Pure.
//!
//! To add a family: a file here with a `FAMILY`, and a line below.

pub mod alert_rules;
mod artifact;
pub mod containers;
pub mod dashboards;
mod environment_examples;
pub mod firewall;
mod flow_facts;
pub mod log_collector;
mod model;
pub mod monitoring;
pub mod network_policies;
mod node_red_settings;
pub mod reference;
pub mod review;
pub mod secret_policies;
pub mod secret_store;
mod smoke_flow;
mod systemd;
pub mod workflows;

pub use artifact::{Artifact, Committed, MARK, Made, Rendered, banner};
pub use model::{PATH as RECORD, data};

use vocabulary::model::Platform;
use vocabulary::model::environment::Environment;

/// The committed families, in the order in which they are listed.
pub const FAMILIES: &[Committed] = &[
    node_red_settings::FAMILY,
    flow_facts::FAMILY,
    smoke_flow::FAMILY,
    environment_examples::FAMILY,
    secret_policies::FAMILY,
    containers::IMAGES,
    containers::COMPOSE,
    containers::EDGE,
    log_collector::FAMILY,
    systemd::FAMILY,
    alert_rules::RULES,
    alert_rules::RUNBOOKS,
    dashboards::FAMILY,
    workflows::FAMILY,
    reference::FAMILY,
    model::FAMILY,
];

/// The rendered families.
pub const RENDERED: &[Rendered] = &[containers::RENDERED, firewall::FAMILY, monitoring::FAMILY];

/// Every file that one environment has of its own.
///
/// # Errors
/// What keeps one of the families from being made.
pub fn render(platform: &Platform, environment: &Environment) -> Made {
    let made = RENDERED.iter().map(|family| (family.make)(platform, environment));
    Ok(made.collect::<Result<Vec<_>, _>>()?.concat())
}

/// Every artifact of these families, sorted by path.
///
/// # Errors
/// Everything that keeps any of them from being made.
pub fn generate(families: &[Committed], platform: &Platform) -> Made {
    let mut artifacts = Vec::new();
    let mut problems = Vec::new();
    for family in families {
        match (family.make)(platform) {
            Ok(made) => artifacts.extend(made),
            Err(found) => problems.extend(found),
        }
    }
    artifacts.sort_by(|left, right| left.path.cmp(&right.path));
    if problems.is_empty() { Ok(artifacts) } else { Err(problems) }
}
