//! Pure: what should be, beside what is.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;
use similar::TextDiff;

use super::ledger::{self, Ledger};
use super::tree::Observed;
use artifacts::Artifact;
use foundation::digest::sha256;

/// After that a diff may be longer than it need be: the shortest of two large files takes minutes.
const PATIENCE: Duration = Duration::from_secs(1);

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
    /// Nothing but the ends of its lines differs.
    LineEnds,
    /// It is executable.
    Mode,
    /// No family makes it any more.
    Orphan,
    /// The same, and somebody has changed it since it was generated.
    EditedOrphan,
}

impl State {
    /// Whether bringing the file in line loses what somebody typed.
    pub fn holds_hand_edits(self) -> bool {
        matches!(self, Self::HandEdited | Self::EditedOrphan)
    }

    /// As the file is called in a list.
    pub fn word(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Stale => "stale",
            Self::HandEdited => "hand-edited",
            Self::LineEnds => "wrong line ends in",
            Self::Mode => "executable",
            Self::Orphan => "orphan",
            Self::EditedOrphan => "orphan with hand edits",
        }
    }

    fn is_orphan(self) -> bool {
        matches!(self, Self::Orphan | Self::EditedOrphan)
    }
}

/// One file that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub path: String,
    pub state: State,
    /// Unified diff from what is to what should be.
    pub diff: String,
}

impl Difference {
    /// Whether the file is to be removed.
    pub fn is_orphan(&self) -> bool {
        self.state.is_orphan()
    }
}

/// Every difference, sorted by path. `whole` tells that `artifacts` are those of all families, so that what is not
/// among them is an orphan, and that the ledger must list them and nothing else.
pub fn compare(artifacts: &[Artifact], observed: &Observed, whole: bool) -> Vec<Difference> {
    let mut differences: Vec<_> =
        artifacts.iter().filter_map(|artifact| difference(artifact, observed)).collect();
    if whole {
        let made: BTreeMap<_, _> = artifacts.iter().map(|artifact| (artifact.path.as_str(), ())).collect();
        let owned = |path: &str| made.contains_key(path) || path == ledger::PATH;
        let orphans = observed.files.iter().filter(|(path, _)| !owned(path));
        differences.extend(orphans.map(|(path, file)| Difference {
            path: path.clone(),
            state: if untouched(path, &file.contents, &observed.ledger) {
                State::Orphan
            } else {
                State::EditedOrphan
            },
            diff: unified(path, &file.contents, ""),
        }));
        differences.extend(ledger_difference(artifacts, observed));
    }
    differences.sort_by(|left, right| left.path.cmp(&right.path));
    differences
}

fn difference(artifact: &Artifact, observed: &Observed) -> Option<Difference> {
    let Some(file) = observed.files.get(&artifact.path) else {
        let diff = unified(&artifact.path, "", &artifact.contents);
        return Some(Difference { path: artifact.path.clone(), state: State::Missing, diff });
    };
    if file.contents != artifact.contents && ends_unified(&file.contents) == artifact.contents {
        let diff = format!(
            "{}: lines end in CR LF or CR; expected LF. Check `git config core.autocrlf` and your editor's settings\n",
            artifact.path
        );
        return Some(Difference { path: artifact.path.clone(), state: State::LineEnds, diff });
    }
    if file.contents != artifact.contents {
        let diff = unified(&artifact.path, &file.contents, &artifact.contents);
        let listed = observed.ledger.contains_key(&artifact.path);
        let state = if listed && !untouched(&artifact.path, &file.contents, &observed.ledger) {
            State::HandEdited
        } else {
            State::Stale
        };
        return Some(Difference { path: artifact.path.clone(), state, diff });
    }
    file.executable.then(|| Difference {
        path: artifact.path.clone(),
        state: State::Mode,
        diff: format!("{}: is executable; expected a file that is not\n", artifact.path),
    })
}

/// The ledger counts as edited by nobody: who merges two branches edits it rightly.
fn ledger_difference(artifacts: &[Artifact], observed: &Observed) -> Option<Difference> {
    difference(&ledger::artifact(artifacts, &Ledger::new()), observed)
}

/// Whether the file is as it was generated.
fn untouched(path: &str, contents: &str, ledger: &Ledger) -> bool {
    ledger.get(path).is_some_and(|hash| *hash == sha256(contents))
}

fn ends_unified(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

fn unified(path: &str, from: &str, to: &str) -> String {
    TextDiff::configure()
        .deadline(Instant::now() + PATIENCE)
        .diff_lines(from, to)
        .unified_diff()
        .context_radius(3)
        .header(&format!("a/{path}"), &format!("b/{path}"))
        .to_string()
}
