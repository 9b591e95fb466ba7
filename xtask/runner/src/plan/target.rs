//! Where plans are carried out. The lock, the journal, the logs and the audit log lie on that machine, so people who
//! change the same thing meet at one lock, whatever checkout or laptop they work from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, anyhow};

use super::action::{Action, Native};
use super::mask::Outputs;
use super::step::{Step, StepId};

/// A machine, and the folder on it that holds the state of what plans change there: for each name that plans have as
/// their target `STATE/NAME/{lock,journal.jsonl,log/STEP.log}`, for all of them `STATE/audit.jsonl`.
#[derive(Debug, Clone)]
pub enum Target {
    /// This machine.
    Here { state: PathBuf },
    /// A host that is reached over SSH. The `flowship` of the release on that host makes its plans and carries them out.
    Host { address: String, state: PathBuf },
    /// No machine: actions are recorded instead of carried out, for tests of plans. The state is real.
    Recorded { state: PathBuf, recording: Arc<Recording> },
}

impl Target {
    pub fn state(&self) -> &Path {
        match self {
            Self::Here { state } | Self::Host { state, .. } | Self::Recorded { state, .. } => state,
        }
    }
}

/// What the steps of a test were to do, and how they end.
#[derive(Debug)]
pub struct Recording {
    results: BTreeMap<StepId, Result<Outputs, String>>,
    actions: Mutex<Vec<String>>,
}

impl Recording {
    /// `results` are what steps put out, or the errors that they fail with; the other steps succeed and put out nothing.
    pub fn new(results: impl IntoIterator<Item = (StepId, Result<Outputs, String>)>) -> Arc<Self> {
        Arc::new(Self { results: results.into_iter().collect(), actions: Mutex::default() })
    }

    /// `STEP: ACTION` in the order in which they began; undone steps as `undo STEP: ACTION`.
    pub fn actions(&self) -> Vec<String> {
        self.actions.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// # Errors
    /// What the test gave as the step's error. Undoing always succeeds.
    pub(super) fn perform<N: Native>(&self, action: &Action<N>, step: &Step<N>) -> Result<Outputs> {
        let undoes = !std::ptr::eq(action, &raw const step.action);
        let what = format!("{}{}: {}", if undoes { "undo " } else { "" }, step.id, action.text());
        self.actions.lock().unwrap_or_else(PoisonError::into_inner).push(what);
        match self.results.get(&step.id).filter(|_| !undoes) {
            Some(result) => result.clone().map_err(|error| anyhow!(error)),
            None => Ok(Outputs::new()),
        }
    }
}
