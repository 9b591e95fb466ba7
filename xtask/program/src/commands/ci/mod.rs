//! `cargo xtask ci`: the quality gates, in parallel where they are independent.

mod as_workflow;
mod changed;
mod chosen;
mod evidence;
mod known;
mod list;
mod lower;
mod planted;
mod recorder;
mod reports;
mod requirements;
mod summary;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Instant;

use anyhow::{Result, anyhow};
use vocabulary::model::{Gate, Requirement};

use self::lower::Judge;
use self::summary::{GateResult, Row};
use crate::context::Context;
use crate::session::dry_run;
use crate::tools::programs::{programs, tools};
use crate::tools::{NpmProject, Toolbox, progress, versions};
use foundation::clock::{millis, now_ms, utc};
use foundation::exit::Reported;
use foundation::interrupt::Interrupt;
use foundation::stdout;
use runner::evidence::basis::programs_of;
use runner::plan::mask::Outputs;
use runner::plan::perform::StepContext;
use runner::plan::report::Outcome;
use runner::plan::runner::{Runner, cores};
use runner::plan::show::Show;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask ci                          run every gate that a change must pass
  cargo xtask ci --slow                   also run the slow ones, as before a release
  cargo xtask ci format flows             run only these
  cargo xtask ci --group sources          run only the gates of a group
  cargo xtask ci --keep-going             continue after a failure
  cargo xtask ci --fresh                  also run unchanged gates
  cargo xtask ci --require-all            fail if a gate cannot run here
  cargo xtask ci --as-workflow sources    run the steps of this GitHub job
  cargo xtask ci --list")]
pub struct Options {
    /// Only these gates [default: all but the slow ones]
    #[arg(value_name = "GATE")]
    gates: Vec<String>,
    /// Only the gates of this group; can be repeated
    #[arg(long, value_name = "GROUP")]
    group: Vec<String>,
    #[command(flatten)]
    list: list::List,
    /// Run the commands of this GitHub job here, in order; JOB or WORKFLOW/JOB
    #[arg(long, value_name = "JOB", conflicts_with_all = ["gates", "group", "slow", "list", "keep_going", "require_all", "jobs"])]
    as_workflow: Option<String>,
    /// Continue with the other gates after a failure
    #[arg(long)]
    keep_going: bool,
    /// Also run the gates of the group slow, which takes another hour
    #[arg(long, conflicts_with_all = ["gates", "group"])]
    slow: bool,
    /// Also run gates whose inputs have not changed since they passed (always in CI)
    #[arg(long)]
    fresh: bool,
    /// Fail if this machine cannot run a gate
    #[arg(long)]
    require_all: bool,
    /// With --require-all: allow this requirement to be missing, such as npm-audits; can be repeated
    #[arg(long, value_name = "REQUIREMENT", requires = "require_all", value_parser = requirements::named)]
    may_lack: Vec<Requirement>,
    /// Only show the plan
    #[arg(long)]
    dry_run: bool,
    /// Maximum number of gates that run at the same time [default: one per processor]
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
}

/// # Errors
/// Reported when a gate failed; refused when one is unknown.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    if let Some(job) = &options.as_workflow {
        return as_workflow::run(context, job, options.dry_run);
    }
    let platform = context.platform;
    let asked = chosen::chosen(platform, &options.gates, &options.group, options.slow || options.list.list)?;
    if options.list.list {
        return list::run(context, platform, &asked, &options.list);
    }
    let begun = Instant::now();
    let began_ms = now_ms();
    let toolbox = Toolbox::open(context)?;
    let mut rows: BTreeMap<&str, Row> = BTreeMap::new();

    let basis = versions::basis(context, &toolbox, asked.iter().flat_map(|gate| programs_of(gate)))?;
    if known::may_stand(options.fresh, |name| std::env::var(name).ok()) {
        for gate in &asked {
            match known::pass(gate, &basis.expected(gate), context.state()) {
                Ok(Some(record)) => {
                    rows.insert(gate.id, summary::unchanged(gate, &record));
                    if !options.dry_run {
                        known::confirm(&record, &basis.tree, context.state())?;
                    }
                }
                Ok(None) => {}
                Err(error) => eprintln!("{}: cannot read the record of its last pass: {error:#}", gate.id),
            }
        }
    }

    let needed = open(&asked, &rows).into_iter().flat_map(|gate| gate.requires.iter().copied());
    // Asking outside may install what asks: a dry run does neither.
    let needed = needed.filter(|one| !(options.dry_run && one.is_outside()));
    let absent = requirements::absent(context, &toolbox, needed);
    let mut incomplete = false;
    for gate in open(&asked, &rows) {
        let found = gate.requires.iter().find_map(|one| absent.get_key_value(one.absent()));
        let Some((reason, why)) = found else { continue };
        rows.insert(gate.id, summary::not_run(gate, reason, why));
        let borne = |one: &Requirement| options.may_lack.contains(one) && absent.contains_key(one.absent());
        incomplete |= options.require_all && !gate.requires.iter().any(borne);
    }
    for gate in open(&asked, &rows) {
        if let Err(error) = programs(&toolbox, &context.root, gate.programs()) {
            let why = format!("{error:#}");
            eprintln!("✗ {}: {why}", gate.id);
            rows.insert(gate.id, summary::lacking(gate, &why));
        }
    }
    let lacking = rows.values().any(|row| row.result == GateResult::Failed);

    // A program that is missing is a failure, found before any work.
    let mut gates = if lacking && !options.keep_going { vec![] } else { open(&asked, &rows) };
    known::longest_first(&mut gates, context.state());
    let names: Vec<_> = gates.iter().flat_map(|gate| gate.programs()).collect();
    let programs = programs(&toolbox, &context.root, names.iter().copied())?;
    let path = std::env::var("PATH").unwrap_or_default();
    let gates_with_tests = lower::gates_with_tests(&platform.gates);
    let place = lower::Place {
        root: &context.root,
        state: context.state(),
        path: &path,
        gates_with_tests: &gates_with_tests,
    };
    let plan = lower::plan(&gates, &programs, &place);
    if options.dry_run {
        return dry_run::show(context, &plan);
    }
    let native = |action: &Judge, step: &StepContext| match action {
        Judge::LookForTests(asked) => evidence::look(asked, step, &context.root),
        Judge::FindPlantedFaults(planted) => planted::find(planted, step, context, &toolbox),
        Judge::LookForFindings(file) => {
            let runs = reports::look_for_findings(&context.root, file)?;
            step.log.line(&format!("{file} tells of {runs} programs"));
            Ok(Outputs::new())
        }
        Judge::InstallTools | Judge::InstallModules => {
            let progress = progress::on_stderr();
            toolbox.ensure(&tools(names.iter().copied())?, progress.as_ref())?;
            if matches!(action, Judge::InstallModules) {
                toolbox.npm_modules(NpmProject { folder: &context.path("flows") }, progress.as_ref())?;
            }
            Ok(Outputs::new())
        }
    };
    reports::forget_findings(&context.root, &gates)?;
    let (outcome, report) = if gates.is_empty() {
        (if lacking { Outcome::Failed } else { Outcome::Done }, None)
    } else {
        let (told, heard) = channel();
        let runner = Runner {
            jobs: options.jobs.unwrap_or_else(cores),
            keep_going: options.keep_going,
            show: Show::on_stderr().telling(told),
            ..Runner::new(context.target(), Interrupt::listen()?, &native)
        };
        let at = now_ms();
        let at = |after_ms: u64| utc((at + after_ms) / 1000);
        let (report, refused) = thread::scope(|scope| -> Result<_> {
            let (gates, basis, toolbox) = (&gates, &basis, &toolbox);
            let recorder = scope.spawn(move || recorder::listen(heard, gates, basis, context, toolbox, &at));
            // With the runner the way to the recorder ends.
            let report = { runner }.run(&plan)?;
            let refused = recorder.join();
            let refused =
                refused.map_err(|_| anyhow!("a defect in this program: a record was not written"))??;
            Ok((report, refused))
        })?;
        for (gate, why) in gates.iter().filter_map(|gate| Some((*gate, refused.get(gate.id)?))) {
            eprintln!("✗ {}: {why}", gate.id);
            rows.insert(gate.id, summary::lacking(gate, why));
        }
        let failed = (lacking || !refused.is_empty()) && report.outcome == Outcome::Done;
        (if failed { Outcome::Failed } else { report.outcome }, Some(report))
    };
    for gate in open(&asked, &rows) {
        let row =
            report.as_ref().map_or_else(|| summary::not_begun(gate), |report| summary::row(gate, report));
        rows.insert(gate.id, row);
    }
    let rows: Vec<Row> = asked.iter().filter_map(|gate| rows.remove(gate.id)).collect();
    let duration_ms = millis(begun.elapsed());
    let run = reports::Run {
        rows: &rows,
        started_at: &utc(began_ms / 1000),
        duration_ms,
        commit: basis.tree.commit.as_deref(),
        interrupted: matches!(outcome, Outcome::Interrupted(_)),
    };
    reports::write(&context.root, &asked, &run, &|name| programs.get(name).cloned())?;
    if incomplete {
        eprintln!("--require-all: every gate must run");
    }
    if context.json {
        stdout::json(&summary::json(&rows, outcome, duration_ms))?;
    } else {
        stdout::text(&summary::table(&rows, duration_ms))?;
    }
    match (outcome, report) {
        (Outcome::Done, _) if incomplete => Err(Reported.into()),
        (Outcome::Done, _) => Ok(()),
        (Outcome::Interrupted(_), Some(report)) => report.into_result(),
        _ => Err(Reported.into()),
    }
}

/// The gates about which nothing is known yet.
fn open<'a>(asked: &[&'a Gate], rows: &BTreeMap<&str, Row>) -> Vec<&'a Gate> {
    asked.iter().filter(|gate| !rows.contains_key(gate.id)).copied().collect()
}
