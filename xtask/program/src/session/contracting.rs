//! The contract migrations of an environment on this machine: who may still need what they remove, and what came of them.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::Result;
use foundation::clock::{millis, now_ms, utc};
use foundation::exit::{self, refused};
use foundation::interrupt::Interrupt;
use foundation::program_name::PROGRAM;
use foundation::stdout;
use runner::plan::report::{self, Report};
use runner::plan::show::Show;
use vocabulary::problem::{Problem, listing};

use super::deployed::State;
use super::deployer::{self, Ended};
use super::deploying::{By, why};
use super::opened::Opened;
use super::{dry_run, running};
use crate::context::Context;
use crate::deployment::history::{self, Change, Entry, Outcome};
use crate::deployment::releases::{self, Installed};
use crate::deployment::{Deployed, contracted};
use crate::engines::Intent;
use crate::engines::roll::contract::RUN;
use crate::engines::roll::running::Running;

/// Runs the contract migrations of the release of this program, which runs.
///
/// # Errors
/// Refused when something may still need what they remove; reported when they fail.
pub fn carry_out(
    context: &Context,
    deployed: &Deployed,
    installed: &Installed,
    dry_run: bool,
    by: &By,
) -> Result<()> {
    let name = &deployed.name;
    let lock = if dry_run {
        deployer::refuse_at_work(deployed)?;
        None
    } else {
        Some(deployer::hold_off(deployed)?)
    };
    let state = State::of(context, deployed)?;
    let own = context.platform.database.contract.map(|contract| contracted::of(installed, contract));
    let run: BTreeSet<&String> = state.history.iter().flat_map(|entry| &entry.migrations).collect();
    let mut pending = own.transpose()?.unwrap_or_default();
    pending.retain(|path| !run.contains(path));
    if pending.is_empty() {
        if context.json {
            return stdout::json(&serde_json::json!({ "code": 0, "migrations": [] }));
        }
        return stdout::text(&format!("{name}: {} has no contract migrations left to run\n", installed.id));
    }
    let problems = problems(context, deployed, installed, &state, &pending)?;
    if !problems.is_empty() {
        return Err(refused(format!("{name} was not touched:\n{}", listing(&problems))));
    }
    let place = Context::deployed(installed.tree(), deployed.state.clone(), context);
    let opened = Opened::deployed(&place, state.environment, &installed.identity()?, Intent::Contract)?;
    if dry_run {
        return dry_run::show(context, &opened.plan());
    }
    let begun = Instant::now();
    let report =
        running::carry_out(&place, &opened, &opened.plan(), &Show::on_stderr(), &Interrupt::listen()?)?;
    drop(lock);
    let (result, asked) = (outcome(&report), by.who());
    let (who, host) = asked.rsplit_once('@').unwrap_or((&asked, ""));
    let entry = Entry {
        at: utc(now_ms() / 1000),
        who: who.to_owned(),
        host: host.to_owned(),
        command: by.command(),
        change: Change::Contract,
        from: Some(installed.id.clone()),
        to: installed.id.clone(),
        digest: installed.digest()?,
        migrations: if result == Outcome::Done { pending.into_iter().collect() } else { Vec::new() },
        result,
        settings: None,
        why: why(&report),
        duration_ms: millis(begun.elapsed()),
    };
    history::append(&deployed.folder(), &entry)?;
    let text = paragraph(name, &entry);
    let code = report.clone().into_result().err().as_ref().map_or(0, exit::code);
    if context.json {
        let shown =
            Ended { code, error: None, report: Some(serde_json::to_value(&report)?), entry: Some(entry) };
        stdout::json(&shown)?;
    } else {
        stdout::text(&text)?;
    }
    report.into_result()
}

/// Why they cannot be run now.
fn problems(
    context: &Context,
    deployed: &Deployed,
    installed: &Installed,
    state: &State,
    pending: &BTreeSet<String>,
) -> Result<Vec<Problem>> {
    let name = deployed.name.as_str();
    let mut problems = Vec::new();
    let again = |problem: Problem| {
        problem.remedy(format!("run `{PROGRAM} deploy {name} --version {}` first", installed.id))
    };
    // What a killed run of this command has left is no problem: the plan begins with ending that.
    let run = state.releases(context.platform);
    if run.len() > 1 {
        let run = run.into_iter().collect::<Vec<_>>().join(", ");
        problems.push(again(Problem::new(name, format!("replicas run different releases: {run}"))));
    }
    let workers = state.workers(context.platform);
    let serves = |worker: &&Running| worker.release.as_deref() == Some(&installed.id) && !worker.held;
    if !workers.into_values().any(|worker| serves(&worker)) {
        problems.push(again(Problem::new(name, format!("no replica of {} runs", installed.id))));
    }
    for other in releases::list(&deployed.releases())? {
        let tree = other.tree_digests()?;
        if other.is_pruned() || pending.iter().all(|path| tree.contains_key(path)) {
            continue;
        }
        let lacks = pending.iter().filter(|path| !tree.contains_key(*path)).map(String::as_str);
        problems.push(
            Problem::new(
                format!("release {}", other.id),
                format!(
                    "it can still be rolled back to, and does not have {}",
                    lacks.collect::<Vec<_>>().join(", ")
                ),
            )
            .remedy(format!(
                "`{PROGRAM} releases prune {name} --keep 1` removes all but the running release"
            )),
        );
    }
    Ok(problems)
}

fn outcome(report: &Report) -> Outcome {
    let changed = report
        .steps
        .iter()
        .any(|step| step.id.0 == RUN && !matches!(step.status, report::Status::NotStarted));
    match report.outcome {
        report::Outcome::Done => Outcome::Done,
        _ if changed || report.steps.iter().any(|step| step.undone == Some(false)) => Outcome::Failed,
        _ => Outcome::RolledBack,
    }
}

/// What happened, for people.
fn paragraph(name: &str, entry: &Entry) -> String {
    let seconds = Duration::from_millis(entry.duration_ms).as_secs_f64();
    let why = entry.why.as_deref().unwrap_or_default();
    match entry.result {
        Outcome::Done => format!(
            "ran {} in {name} (took {seconds:.1} s); releases without {} cannot run in {name} any more\n",
            entry.migrations.join(", "),
            if entry.migrations.len() == 1 { "it" } else { "them" },
        ),
        Outcome::RolledBack => format!("the database of {name} was not changed. Reason: {why}\n"),
        Outcome::Failed => format!(
            "the database of {name} may have been changed: fix the reason, then run `{PROGRAM} contract {name}` again. \
             Reason: {why}\n"
        ),
    }
}
