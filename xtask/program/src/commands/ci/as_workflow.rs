//! `cargo xtask ci --as-workflow JOB`: the commands of a workflow's job, here, in its order.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use serde::Serialize;
use serde_json::json;

use crate::context::Context;
use artifacts::workflows::local::{LocalAction, LocalJob, LocalStep, jobs};
use foundation::columns;
use foundation::exit::{Reported, refused};
use foundation::interrupt::Interrupt;
use foundation::nearest::hint;
use foundation::stdout;
use runner::plan::action::{Action, Exec, Write};
use runner::plan::argument::Arg;
use runner::plan::report::{Outcome, Report, Status};
use runner::plan::runner::Runner;
use runner::plan::step::{OnFailure, Plan, Step, StepId};

/// The target of the plan: it names the lock and the logs. Not that of the gates, which the commands run.
const TARGET: &str = "workflow";

/// Files that GitHub hands to each step, by the variable that names them.
const FILES: [(&str, &str); 2] = [("GITHUB_OUTPUT", "outputs"), ("GITHUB_STEP_SUMMARY", "summary.md")];

/// # Errors
/// Refused when no job is called so, or more than one; reported when one of its commands failed.
pub fn run(context: &Context, name: &str, dry_run: bool) -> Result<()> {
    let jobs = jobs(context.platform)?;
    let job = find(&jobs, name).map_err(refused)?;
    runs_something(job).map_err(refused)?;
    let plan = plan(job, &context.root, context.state());
    if dry_run {
        return show(context, job, &plan);
    }
    let runner = Runner {
        jobs: 1,
        // After a failure the steps that run always do so.
        keep_going: true,
        ..Runner::without_native(context.target(), Interrupt::listen()?)
    };
    let report = runner.run(&plan)?;
    let rows = rows(job, &report);
    if context.json {
        let value = json!({ "job": full_name(job), "outcome": report.outcome, "duration_ms": report.duration_ms, "steps": rows });
        stdout::json(&value)?;
    } else {
        stdout::text(&table(&rows))?;
    }
    match report.outcome {
        Outcome::Done => Ok(()),
        Outcome::Failed => Err(Reported.into()),
        Outcome::Interrupted(_) => report.into_result(),
    }
}

fn full_name(job: &LocalJob) -> String {
    format!("{}/{}", job.workflow, job.id)
}

/// By `JOB` where only one workflow has such a job, or by `WORKFLOW/JOB`; or what is wrong with the name.
fn find<'a>(jobs: &'a [LocalJob], name: &str) -> Result<&'a LocalJob, String> {
    let found: Vec<_> = jobs.iter().filter(|job| job.id == name || full_name(job) == name).collect();
    let all: Vec<_> = jobs.iter().map(full_name).collect();
    match found[..] {
        [job] => Ok(job),
        [] => {
            let known = jobs.iter().map(|job| job.id).chain(all.iter().map(String::as_str));
            let hint = hint(name, known);
            Err(format!("unknown workflow job {name}{hint}\nthe jobs are {}", all.join(", ")))
        }
        _ => {
            let found: Vec<_> = found.into_iter().map(full_name).collect();
            Err(format!("several workflows have a job {name}; choose one of {}", found.join(", ")))
        }
    }
}

/// A run of nothing must not look like a success.
fn runs_something(job: &LocalJob) -> Result<(), String> {
    let left_out: Vec<_> = job
        .steps
        .iter()
        .map_while(|step| match &step.does {
            LocalAction::Skip { why } => Some(format!("\n  {}: {why}", step.name)),
            LocalAction::Run { .. } => None,
        })
        .collect();
    if left_out.len() < job.steps.len() {
        return Ok(());
    }
    Err(format!("no step of {} can run here:{}", full_name(job), left_out.concat()))
}

/// Pure. A step that fails ends the job but for the steps that run always.
fn plan(job: &LocalJob, root: &Path, state: &Path) -> Plan {
    let folder = state.join(TARGET);
    let files = FILES.map(|(variable, file)| (variable, folder.join(file)));
    let mut steps: Vec<Step> = files
        .iter()
        .map(|(variable, path)| {
            Step::new(
                variable.to_lowercase(),
                format!("have an empty file for {variable}"),
                Action::Write(Write { path: path.clone(), contents: "".into(), mode: 0o644 }),
            )
        })
        .collect();
    let prepared: Vec<StepId> = steps.iter().map(|step| step.id.clone()).collect();
    let mut before: Vec<StepId> = Vec::new();
    for (position, step) in job.steps.iter().enumerate() {
        let LocalAction::Run { command, environment, always } = &step.does else { continue };
        let mut env: BTreeMap<String, Arg> = files
            .iter()
            .map(|(variable, path)| ((*variable).to_owned(), path.display().to_string().into()))
            .collect();
        env.insert("CI".to_owned(), "true".into());
        env.extend(environment.iter().map(|(name, value)| ((*name).to_owned(), value.as_str().into())));
        let exec = Exec {
            program: "bash".to_owned(),
            // As GitHub starts it when no shell is named.
            args: ["-e", "-c", command].into_iter().map(Arg::from).collect(),
            env,
            cwd: Some(root.to_owned()),
            ..Exec::default()
        };
        let id = id(position);
        let needs = if *always { vec![] } else { before.clone() };
        steps.push(Step {
            needs: prepared.iter().cloned().chain(needs).collect(),
            after: before.clone(),
            time_limit_ms: u64::from(job.limit_minutes) * 60_000,
            remedy: Some(format!("run only this step: {command}")),
            ..Step::new(id.clone(), step.name.to_owned(), Action::Exec(exec))
        });
        before.push(id);
    }
    Plan {
        intent: format!("run the job {}", full_name(job)),
        target: TARGET.to_owned(),
        steps,
        on_failure: OnFailure::Keep,
    }
}

/// Of the step at a position, from 0.
fn id(position: usize) -> StepId {
    StepId(format!("step-{}", position + 1))
}

/// How one step of the job went.
#[derive(Debug, Serialize)]
struct Row {
    step: &'static str,
    result: StepResult,
    duration_ms: u64,
    /// Why it was left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum StepResult {
    Passed,
    Failed,
    NotRun,
    LeftOut,
}

fn rows(job: &LocalJob, report: &Report) -> Vec<Row> {
    let row = |(position, step): (usize, &LocalStep)| {
        if let LocalAction::Skip { why } = &step.does {
            return Row {
                step: step.name,
                result: StepResult::LeftOut,
                duration_ms: 0,
                reason: Some(why.clone()),
            };
        }
        let ran = report.steps.iter().find(|ran| ran.id == id(position));
        let result = match ran.map(|ran| ran.status) {
            Some(Status::Failed) => StepResult::Failed,
            Some(status) if status.is_good() => StepResult::Passed,
            _ => StepResult::NotRun,
        };
        Row { step: step.name, result, duration_ms: ran.map_or(0, |ran| ran.duration_ms), reason: None }
    };
    job.steps.iter().enumerate().map(row).collect()
}

fn table(rows: &[Row]) -> String {
    let line = |row: &Row| {
        let told = match (row.result, &row.reason) {
            (StepResult::LeftOut, Some(reason)) => format!("skipped: {reason}"),
            (StepResult::LeftOut, None) => "left out".to_owned(),
            (StepResult::NotRun, _) => "not run".to_owned(),
            (StepResult::Passed, _) => format!("passed {:>8.1} s", seconds(row)),
            (StepResult::Failed, _) => format!("FAILED {:>8.1} s", seconds(row)),
        };
        (row.step, told)
    };
    let lines: Vec<_> = rows.iter().map(line).collect();
    let lines = lines.iter().map(|(step, told)| (*step, told.as_str()));
    columns::list(std::iter::once(("STEP", "RESULT")).chain(lines))
}

fn seconds(row: &Row) -> f64 {
    std::time::Duration::from_millis(row.duration_ms).as_secs_f64()
}

fn show(context: &Context, job: &LocalJob, plan: &Plan) -> Result<()> {
    let left_out: Vec<_> = job
        .steps
        .iter()
        .filter_map(|step| match &step.does {
            LocalAction::Skip { why } => Some((step.name, why)),
            LocalAction::Run { .. } => None,
        })
        .collect();
    if context.json {
        let left_out: Vec<_> =
            left_out.iter().map(|(step, why)| json!({ "step": step, "reason": why })).collect();
        return stdout::json(&json!({ "job": full_name(job), "plan": plan, "left_out": left_out }));
    }
    let lines: String = left_out.iter().map(|(step, why)| format!("skipped: {step}: {why}\n")).collect();
    stdout::text(&format!("{}\n{lines}", plan.text()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_job_of_each_workflow_makes_a_valid_plan_in_its_order() {
        let jobs = jobs(&second_platform::platform()).unwrap();
        for job in &jobs {
            let plan = plan(job, Path::new("/tree"), Path::new("/tree/.flowship"));
            assert_eq!(plan.validate(), [""; 0], "{}", full_name(job));
            let commands: Vec<_> = job
                .steps
                .iter()
                .filter_map(|step| match &step.does {
                    LocalAction::Run { command, .. } => Some(command.clone()),
                    LocalAction::Skip { .. } => None,
                })
                .collect();
            let planned: Vec<_> = plan
                .steps
                .iter()
                .filter_map(|step| match &step.action {
                    Action::Exec(exec) => exec.args.last().map(ToString::to_string),
                    _ => None,
                })
                .collect();
            assert_eq!(planned, commands, "{}", full_name(job));
        }
        let names: Vec<_> = jobs.iter().map(full_name).collect();
        assert!(
            names.contains(&"ci/sources".to_owned()) && names.contains(&"ci/required".to_owned()),
            "{names:?}"
        );
    }

    #[test]
    fn jobs_are_found_by_name_and_by_workflow() {
        let job = |workflow, id| LocalJob { workflow, id, limit_minutes: 1, steps: vec![] };
        let jobs = [job("ci", "rust"), job("ci", "security"), job("security", "security")];
        assert_eq!(find(&jobs, "rust").unwrap(), &jobs[0]);
        assert_eq!(find(&jobs, "security/security").unwrap(), &jobs[2]);
        for (name, expected) in [
            (
                "security",
                "several workflows have a job security; choose one of ci/security, security/security",
            ),
            ("rst", "unknown workflow job rst; did you mean rust?"),
            ("ci/rusty", "unknown workflow job ci/rusty; did you mean ci/rust?"),
            ("zebra", "unknown workflow job zebra\nthe jobs are ci/rust, ci/security, security/security"),
        ] {
            assert!(find(&jobs, name).unwrap_err().starts_with(expected), "{:?}", find(&jobs, name));
        }
    }
}
