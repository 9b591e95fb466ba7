//! Plan and Step: what is to be done, in which order, and what undoes it.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::action::{Action, NoNative};

/// Names a step within its plan: `[a-z0-9._-]+`, because it also names the step's log file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepId(pub String);

impl From<&str> for StepId {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for StepId {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// A lowered intent: a graph of steps on one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan<N = NoNative> {
    /// What the user asked for, in words: `bring up dev`.
    pub intent: String,
    /// What is changed; names the lock, the journal and the logs: `dev`. One path component.
    pub target: String,
    /// What becomes of finished steps when another fails or the run is interrupted.
    #[serde(default)]
    pub on_failure: OnFailure,
    pub steps: Vec<Step<N>>,
}

/// What becomes of what was done, when the plan cannot be finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// It stays; a rerun goes on from there.
    #[default]
    Keep,
    /// Steps that finished, failed half way or were interrupted are undone, last started first.
    Undo,
}

/// One step. Write `Step { needs: .., ..Step::new(id, title, action) }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound(deserialize = "N: Deserialize<'de>"))]
pub struct Step<N = NoNative> {
    pub id: StepId,
    /// One line for people: `create the database cluster`.
    pub title: String,
    pub action: Action<N>,
    /// Steps that must have succeeded, or been skipped, before this one starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<StepId>,
    /// Steps that must have ended, well or not, or cannot start any more, before this one starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<StepId>,
    /// Takes back what the action did, whole or half; must be harmless when there is nothing to take back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<Action<N>>,
    /// The step is skipped as "already there" when this file or folder exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unless_exists: Option<PathBuf>,
    /// Until a run of the target's plan succeeds as a whole, a rerun after a failure or a kill skips the step as "already
    /// done". It is remembered by its fingerprint: the action with the outputs it uses (not the values of secrets), and
    /// the fingerprints of the journaled steps it needs.
    #[serde(default)]
    pub journaled: bool,
    /// Files and folders the action makes. A journaled step runs again when one of them is missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub makes: Vec<PathBuf>,
    /// Milliseconds until the action is ended and the step has failed.
    pub time_limit_ms: u64,
    /// What the user can do when the step fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// What the step puts out is secret: its outputs stay in memory and are masked, its log is withheld.
    #[serde(default)]
    pub sensitive: bool,
}

impl<N> Step<N> {
    /// Needs nothing, runs every time, ends after ten minutes.
    pub fn new(id: impl Into<StepId>, title: impl Into<String>, action: Action<N>) -> Self {
        Self {
            id: id.into(),
            title: title.into(),
            action,
            needs: Vec::new(),
            after: Vec::new(),
            undo: None,
            unless_exists: None,
            journaled: false,
            makes: Vec::new(),
            time_limit_ms: 600_000,
            remedy: None,
            sensitive: false,
        }
    }
}
