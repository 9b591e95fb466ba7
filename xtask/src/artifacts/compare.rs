//! Pure: what should be, beside what is.

use std::collections::BTreeMap;

use serde::Serialize;
use similar::TextDiff;

use super::artifact::Artifact;
use super::ledger::{Ledger, sha256};
use super::tree::Observed;

/// How a file differs from what the platform says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It does not exist.
    Missing,
    /// The platform has changed since it was generated.
    Stale,
    /// Somebody has changed it since it was generated.
    HandEdited,
    /// Its permission bits are others.
    Mode,
    /// No family makes it any more.
    Orphan,
}

/// One file that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub path: String,
    pub state: State,
    /// Unified diff from what is to what should be.
    pub diff: String,
}

/// Every difference, sorted by path. `whole` tells that `artifacts` are those of all families, so that what is not
/// among them is an orphan.
pub fn compare(artifacts: &[Artifact], observed: &Observed, whole: bool) -> Vec<Difference> {
    let mut differences: Vec<_> =
        artifacts.iter().filter_map(|artifact| difference(artifact, observed)).collect();
    if whole {
        let made: BTreeMap<_, _> = artifacts.iter().map(|artifact| (artifact.path.as_str(), ())).collect();
        let orphans = observed.files.iter().filter(|(path, _)| !made.contains_key(path.as_str()));
        differences.extend(orphans.map(|(path, file)| Difference {
            path: path.clone(),
            state: State::Orphan,
            diff: unified(path, &file.contents, ""),
        }));
    }
    differences.sort_by(|left, right| left.path.cmp(&right.path));
    differences
}

fn difference(artifact: &Artifact, observed: &Observed) -> Option<Difference> {
    let Some(file) = observed.files.get(&artifact.path) else {
        let diff = unified(&artifact.path, "", &artifact.contents);
        return Some(Difference { path: artifact.path.clone(), state: State::Missing, diff });
    };
    if file.contents != artifact.contents {
        let diff = unified(&artifact.path, &file.contents, &artifact.contents);
        let state = if edited(&artifact.path, &file.contents, &observed.ledger) {
            State::HandEdited
        } else {
            State::Stale
        };
        return Some(Difference { path: artifact.path.clone(), state, diff });
    }
    (file.mode != artifact.mode).then(|| Difference {
        path: artifact.path.clone(),
        state: State::Mode,
        diff: format!("{}: mode {:o} -> {:o}\n", artifact.path, file.mode, artifact.mode),
    })
}

fn edited(path: &str, contents: &str, ledger: &Ledger) -> bool {
    ledger.get(path).is_some_and(|hash| *hash != sha256(contents.as_bytes()))
}

fn unified(path: &str, from: &str, to: &str) -> String {
    TextDiff::from_lines(from, to)
        .unified_diff()
        .context_radius(3)
        .header(&format!("a/{path}"), &format!("b/{path}"))
        .to_string()
}
