//! The generated files of this repository: every family, and how the tree is compared with what they make and brought
//! to it.

mod catalogues;
mod compare;
mod gitattributes;
mod ledger;
#[cfg(test)]
mod tests;
mod tree;

use anyhow::Result;
use vocabulary::model::Platform;
use vocabulary::problem::Problem;

pub use compare::{Difference, State, compare};
pub use gitattributes::PATH as GIT_ATTRIBUTES;
pub use ledger::PATH as LEDGER;
pub use tree::{observe, prepare};

use artifacts::{self, Artifact, Committed};
use foundation::exit::refused;

/// The committed families, in the order in which they are listed.
pub fn families() -> Vec<Committed> {
    [sources(), vec![gitattributes::FAMILY]].concat()
}

/// All but the list of what the others make.
fn sources() -> Vec<Committed> {
    [artifacts::FAMILIES, &[catalogues::FAMILY]].concat()
}

/// Every committed artifact of the named families, sorted by path; all families when none is named.
///
/// # Errors
/// Refused when the platform lacks something that a family relies on.
pub fn artifacts(platform: &Platform, only: &[String]) -> Result<Vec<Artifact>> {
    let mut wanted = if only.is_empty() { sources() } else { families() };
    wanted.retain(|family| only.is_empty() || only.iter().any(|name| name == family.name));
    let mut made = artifacts::generate(&wanted, platform).map_err(|problems| invalid(&problems))?;
    if only.is_empty() {
        // Asked by itself, the list would make everything once more.
        made.push(gitattributes::listing(&made));
        made.sort_by(|left, right| left.path.cmp(&right.path));
    }
    Ok(made)
}

/// What keeps the families from making anything.
pub fn invalid(problems: &[Problem]) -> anyhow::Error {
    let lines: Vec<_> = problems.iter().map(|problem| format!("\n  {problem}")).collect();
    refused(format!("nothing can be generated from the platform under xtask/platform/src:{}", lines.concat()))
}

/// The ledger of a tree in which just these lie.
pub fn ledger(artifacts: &[Artifact]) -> Artifact {
    ledger::artifact(artifacts, &ledger::Ledger::new())
}
