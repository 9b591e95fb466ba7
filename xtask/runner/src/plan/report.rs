//! How a run went, for the summary, for `--json` and for the exit code.

use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;

use super::mask::Outputs;
use super::step::StepId;
use foundation::exit::{Interrupted, Reported};

/// A run of a plan.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub intent: String,
    pub target: String,
    pub outcome: Outcome,
    pub duration_ms: u64,
    /// In the order of the plan.
    pub steps: Vec<StepReport>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Done,
    Failed,
    /// By this signal.
    Interrupted(i32),
}

/// A step of a run.
#[derive(Debug, Clone, Serialize)]
pub struct StepReport {
    pub id: StepId,
    pub title: String,
    pub status: Status,
    /// Milliseconds from the start of the run to the start of the step; 0 when it never started.
    pub started_ms: u64,
    pub duration_ms: u64,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Its log, when it ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<PathBuf>,
    /// Masked; without those of sensitive steps.
    #[serde(skip_serializing_if = "Outputs::is_empty")]
    pub outputs: Outputs,
    /// Whether its undo was carried out: `Some(false)` when that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undone: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Done,
    /// Its condition to be skipped held.
    AlreadyThere,
    /// The journal knows that it was done.
    AlreadyDone,
    Failed,
    /// It was under way when the run was interrupted.
    Interrupted,
    /// Something it needs failed, or the run ended before this gate.
    NotStarted,
}

impl Status {
    /// Whether steps that need it can start.
    pub fn is_good(self) -> bool {
        matches!(self, Self::Done | Self::AlreadyThere | Self::AlreadyDone)
    }

    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::AlreadyThere => "already there",
            Self::AlreadyDone => "already done",
            Self::Failed => "FAILED",
            Self::Interrupted => "interrupted",
            Self::NotStarted => "not started",
        }
    }
}

impl Report {
    /// What the command returns when the report has been shown.
    ///
    /// # Errors
    /// [`Reported`] (exit code 1) when a step failed, [`Interrupted`] (130, 143) after a signal.
    pub fn into_result(self) -> Result<()> {
        match self.outcome {
            Outcome::Done => Ok(()),
            Outcome::Failed => Err(Reported.into()),
            Outcome::Interrupted(signal) => Err(Interrupted { signal }.into()),
        }
    }

    /// For the audit log.
    pub fn outcome_words(&self) -> String {
        match self.outcome {
            Outcome::Done => "done".to_owned(),
            Outcome::Failed => {
                let failed = self.steps.iter().filter(|step| step.status == Status::Failed);
                format!("failed: {}", failed.map(|step| step.id.0.as_str()).collect::<Vec<_>>().join(", "))
            }
            Outcome::Interrupted(signal) => {
                format!(
                    "interrupted by {}",
                    signal_hook::low_level::signal_name(signal).unwrap_or("a signal")
                )
            }
        }
    }
}
