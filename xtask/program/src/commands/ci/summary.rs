//! The gates of a run, a row each. Pure.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};
use vocabulary::model::Gate;

use super::evidence::{self, IGNORED, LIMITS, MAY_IGNORE, TESTS};
use super::lower::{INSTALLS, step_ids};
use foundation::columns;
use runner::evidence::Record;
use runner::plan::report::{Outcome, Report, Status, StepReport};

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
    /// Why it was not run; with what to do in `error`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How many tests passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tests: Option<u64>,
    /// How many tests were ignored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignored: Option<u64>,
    /// How many tests may be ignored, where it counted them in this run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub may_ignore: Option<u64>,
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
    let sum = |output: &str| evidence::sum(&steps, output);
    let ran = steps.iter().filter(|step| step.log.is_some()).map(|step| Piece {
        title: step.title.clone(),
        status: step.status,
        started_ms: step.started_ms,
        duration_ms: step.duration_ms,
    });
    let (reason, remedy) = (result == GateResult::NotRun).then(|| why_not_run(report)).unzip();
    Row {
        result,
        reason: reason.map(str::to_owned),
        tests: sum(TESTS),
        ignored: sum(IGNORED),
        may_ignore: sum(MAY_IGNORE),
        duration_ms: steps.iter().map(|step| step.duration_ms).sum(),
        error: failed.and_then(|step| step.error.clone()).or(remedy.map(str::to_owned)),
        log: failed.and_then(|step| step.log.clone()),
        steps: ran.collect(),
        ..empty(gate)
    }
}

/// And what to do.
fn why_not_run(report: &Report) -> (&'static str, &'static str) {
    let not_installed =
        |step: &StepReport| step.status == Status::Failed && INSTALLS.contains(&step.id.0.as_str());
    if matches!(report.outcome, Outcome::Interrupted(_)) {
        ("the run was interrupted", "run it again")
    } else if report.steps.iter().any(not_installed) {
        ("its programs were not installed", "read the error above; `cargo xtask doctor` shows each program")
    } else {
        ("a gate before it failed", "fix that gate, or use --keep-going")
    }
}

/// The row of a gate that this machine cannot run.
pub fn not_run(gate: &Gate, reason: &str, why: &str) -> Row {
    Row { error: Some(why.to_owned()), reason: Some(reason.to_owned()), ..empty(gate) }
}

/// The row of a gate in a run that ended before its first step.
pub fn not_begun(gate: &Gate) -> Row {
    let reason = "the program of another gate is missing";
    not_run(gate, reason, "install it as shown above, or use --keep-going")
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
        tests: record.tests,
        ignored: record.ignored,
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
        tests: None,
        ignored: None,
        may_ignore: None,
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
    let cells = columns::widest(rows.iter().map(|row| row.gate)).max(12);
    let tests = if rows.iter().any(|row| row.tests.is_some()) { "  TESTS" } else { "" };
    let mut out = format!("{} {:<9} {:>8}{tests}\n", columns::left("GATE", cells), "RESULT", "TIME");
    for row in rows {
        let gate = columns::left(row.gate, cells);
        let (word, time) = match row.result {
            GateResult::Passed => ("passed", seconds(row.duration_ms)),
            GateResult::Unchanged => ("unchanged", seconds(row.duration_ms)),
            GateResult::Failed => ("FAILED", seconds(row.duration_ms)),
            GateResult::NotRun => ("not run", "-".to_owned()),
        };
        match &row.reason {
            Some(reason) => out.push_str(&format!("{gate} not run: {reason}\n")),
            None => out.push_str(&format!("{gate} {word:<9} {time:>8}{}\n", counted(row))),
        }
    }
    out.push_str(&to_do(rows));
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

/// `  1203 passed, 10 ignored`.
fn counted(row: &Row) -> String {
    let ignored = row.ignored.filter(|count| *count > 0);
    let ignored = ignored.map_or(String::new(), |count| format!(", {count} ignored"));
    row.tests.map_or(String::new(), |count| format!("  {count} passed{ignored}"))
}

/// What somebody has to do who wants the gates run that were not, or a limit that is as low as it can be.
fn to_do(rows: &[Row]) -> String {
    let mut lines: Vec<String> = Vec::new();
    for row in rows {
        let (Some(reason), Some(error)) = (&row.reason, &row.error) else { continue };
        // What programs said besides is in the JSON.
        let line = format!("{reason}: {}", error.lines().next().unwrap_or_default());
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    for row in rows {
        if let (Some(ignored), Some(may)) = (row.ignored, row.may_ignore)
            && ignored < may
        {
            let gate = row.gate;
            lines.push(format!(
                "{gate}: {LIMITS} allows {may} ignored tests, but there are only {ignored}: lower `most`"
            ));
        }
    }
    if lines.is_empty() { String::new() } else { format!("\n{}\n", lines.join("\n")) }
}

pub fn json(rows: &[Row], outcome: Outcome, duration_ms: u64) -> Value {
    json!({ "outcome": outcome, "duration_ms": duration_ms, "gates": rows })
}
