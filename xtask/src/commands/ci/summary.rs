//! The gates of a run, a row each. Pure.

use std::path::PathBuf;

use serde::Serialize;
use serde_json::{Value, json};
use vocabulary::model::Gate;

use super::lower::step_ids;
use crate::plan::report::{Report, Status};

/// How one gate went.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    pub gate: &'static str,
    pub result: GateResult,
    pub duration_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Of the command that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GateResult {
    Passed,
    Failed,
    NotRun,
}

pub fn rows(gates: &[&Gate], report: &Report) -> Vec<Row> {
    gates.iter().map(|gate| row(gate, report)).collect()
}

fn row(gate: &Gate, report: &Report) -> Row {
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
    Row {
        gate: gate.id,
        result,
        duration_ms: steps.iter().map(|step| step.duration_ms).sum(),
        error: failed.and_then(|step| step.error.clone()),
        log: failed.and_then(|step| step.log.clone()),
    }
}

pub fn table(rows: &[Row], duration_ms: u64) -> String {
    let seconds =
        |milliseconds: u64| format!("{:.1} s", std::time::Duration::from_millis(milliseconds).as_secs_f64());
    let mut out = format!("{:<12} {:<8} {:>9}\n", "GATE", "RESULT", "TIME");
    for row in rows {
        let (word, time) = match row.result {
            GateResult::Passed => ("passed", seconds(row.duration_ms)),
            GateResult::Failed => ("FAILED", seconds(row.duration_ms)),
            GateResult::NotRun => ("not run", "-".to_owned()),
        };
        out.push_str(&format!("{:<12} {word:<8} {time:>9}\n", row.gate));
    }
    let count = |result: GateResult| rows.iter().filter(|row| row.result == result).count();
    let not_run = count(GateResult::NotRun);
    out.push_str(&format!("\nin {}\n", seconds(duration_ms)));
    out.push_str(&format!(
        "gates: {} passed, {} failed",
        count(GateResult::Passed),
        count(GateResult::Failed)
    ));
    out.push_str(&if not_run > 0 { format!(", {not_run} skipped\n") } else { "\n".to_owned() });
    out
}

pub fn json(rows: &[Row], report: &Report) -> Value {
    json!({ "outcome": report.outcome, "duration_ms": report.duration_ms, "gates": rows })
}
