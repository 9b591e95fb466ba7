//! The gates of a run, a row each. Pure.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};
use vocabulary::model::Gate;

use super::lower::step_ids;
use crate::evidence::Record;
use crate::plan::report::{Outcome, Report, Status};

/// How one gate went.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    pub gate: &'static str,
    pub group: &'static str,
    pub result: GateResult,
    /// Of an unchanged one: the time it took when it ran.
    pub duration_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Why this machine cannot run it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Of an unchanged one: when the run began that it still rests on, in RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Of the command that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<PathBuf>,
    /// Its programs, in the order in which they ran.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Piece>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GateResult {
    Passed,
    /// It passed before, and nothing that it depends on has changed since.
    Unchanged,
    Failed,
    NotRun,
}

/// When a part of a gate ran, in milliseconds from the start of the run.
#[derive(Debug, Clone, Serialize)]
pub struct Piece {
    pub title: String,
    pub status: Status,
    pub started_ms: u64,
    pub duration_ms: u64,
}

pub fn row(gate: &Gate, report: &Report) -> Row {
    let ids = step_ids(gate);
    let steps: Vec<_> = report.steps.iter().filter(|step| ids.contains(&step.id)).collect();
    let failed = steps.iter().find(|step| step.status == Status::Failed);
    let result = match failed {
        Some(_) => GateResult::Failed,
        None if steps.len() == ids.len() && steps.iter().all(|step| step.status.is_good()) => {
            GateResult::Passed
        }
        None => GateResult::NotRun,
    };
    let ran = steps.iter().filter(|step| step.log.is_some()).map(|step| Piece {
        title: step.title.clone(),
        status: step.status,
        started_ms: step.started_ms,
        duration_ms: step.duration_ms,
    });
    Row {
        result,
        duration_ms: steps.iter().map(|step| step.duration_ms).sum(),
        error: failed.and_then(|step| step.error.clone()),
        log: failed.and_then(|step| step.log.clone()),
        steps: ran.collect(),
        ..empty(gate)
    }
}

/// The row of a gate that this machine cannot run.
pub fn not_run(gate: &Gate, reason: &str, why: &str) -> Row {
    Row { error: Some(why.to_owned()), reason: Some(reason.to_owned()), ..empty(gate) }
}

/// The row of a gate in a run that ended before its first step.
pub fn not_begun(gate: &Gate) -> Row {
    empty(gate)
}

/// The row of a gate for which a program is missing.
pub fn lacking(gate: &Gate, why: &str) -> Row {
    Row { result: GateResult::Failed, error: Some(why.to_owned()), ..empty(gate) }
}

/// The row of a gate for which its last pass stands.
pub fn unchanged(gate: &Gate, record: &Record) -> Row {
    Row {
        result: GateResult::Unchanged,
        duration_ms: record.duration_ms,
        since: Some(record.started_at.clone()),
        ..empty(gate)
    }
}

fn empty(gate: &Gate) -> Row {
    Row {
        gate: gate.id,
        group: gate.group.name(),
        result: GateResult::NotRun,
        duration_ms: 0,
        error: None,
        reason: None,
        since: None,
        log: None,
        steps: vec![],
    }
}

/// `12.3 s`.
pub fn seconds(milliseconds: u64) -> String {
    format!("{:.1} s", Duration::from_millis(milliseconds).as_secs_f64())
}

pub fn table(rows: &[Row], duration_ms: u64) -> String {
    let width = rows.iter().map(|row| row.gate.len()).max().unwrap_or(0).max(12);
    let mut out = format!("{:<width$} {:<9} {:>8}\n", "GATE", "RESULT", "TIME");
    for row in rows {
        let (word, time) = match row.result {
            GateResult::Passed => ("passed", seconds(row.duration_ms)),
            GateResult::Unchanged => ("unchanged", seconds(row.duration_ms)),
            GateResult::Failed => ("FAILED", seconds(row.duration_ms)),
            GateResult::NotRun => ("not run", "-".to_owned()),
        };
        match &row.reason {
            Some(reason) => out.push_str(&format!("{:<width$} not run: {reason}\n", row.gate)),
            None => out.push_str(&format!("{:<width$} {word:<9} {time:>8}\n", row.gate)),
        }
    }
    let count = |result: GateResult| rows.iter().filter(|row| row.result == result).count();
    out.push_str(&format!("\nin {}\n", seconds(duration_ms)));
    let mut counts = vec![format!("{} passed", count(GateResult::Passed))];
    for (result, word) in [(GateResult::Unchanged, "unchanged"), (GateResult::Failed, "failed")] {
        if result == GateResult::Failed || count(result) > 0 {
            counts.push(format!("{} {word}", count(result)));
        }
    }
    if count(GateResult::NotRun) > 0 {
        counts.push(format!("{} skipped", count(GateResult::NotRun)));
    }
    out.push_str(&format!("gates: {}\n", counts.join(", ")));
    out
}

pub fn json(rows: &[Row], outcome: Outcome, duration_ms: u64) -> Value {
    json!({ "outcome": outcome, "duration_ms": duration_ms, "gates": rows })
}
