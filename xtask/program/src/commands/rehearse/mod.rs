//! `cargo xtask rehearse`: brings the production stack up on this machine, proves what it promises, takes it down.

mod crash_loop;
mod drain;
mod edge;
mod engine_restart;
mod hardening;
mod late;
mod oom;
mod reachability;
mod record;
mod stack;

use anyhow::{Context as _, Result, bail};

use crate::context::Context;
use crate::engines::compose::rehearsal::{self, Check, Rehearse};
use crate::images::own_engine::OwnEngine;
use crate::images::stand_in::WARNING;
use crate::session::dry_run;
use crate::session::rehearsal::COMPOSE;
use crate::tools::programs::tools;
use crate::tools::progress;
use foundation::exit::refused;
use foundation::files;
use foundation::interrupt::Interrupt;
use foundation::stdout;
use runner::plan::mask::Outputs;
use runner::plan::perform::StepContext;
use runner::plan::report::Outcome;
use runner::plan::runner::Runner;
use stack::Stack;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask image build --stand-ins && cargo xtask rehearse compose
  cargo xtask rehearse compose --only reachability
  cargo xtask rehearse compose --slow --restart-engine
  cargo xtask rehearse compose --dry-run

It needs root, to enter the containers' network namespaces.
Exit code 0 when every check passed, 1 when one failed, 2 when the rehearsal cannot run here.")]
pub struct Options {
    /// The engine that runs the production stack
    #[arg(value_enum)]
    engine: Engine,
    /// Only these checks, besides starting and removing the stack
    #[arg(long, value_name = "CHECK", value_enum)]
    only: Vec<Check>,
    /// Also run late-dependency, which takes more than a minute
    #[arg(long)]
    slow: bool,
    /// Also run engine-restart, which stops and kills the engine; only if ops/scripts/start-engine.sh started it
    #[arg(long)]
    restart_engine: bool,
    /// Run this many workers [default: the platform's number]; only the default leaves a record
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=32))]
    replicas: Option<u32>,
    /// Leave the stack running afterwards
    #[arg(long)]
    keep: bool,
    /// Only show the plan
    #[arg(long)]
    dry_run: bool,
}

/// Engines whose production stack can be rehearsed here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Engine {
    /// Containers on one host
    Compose,
}

/// # Errors
/// Refused when this machine cannot run a rehearsal; otherwise when a check fails.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    let Engine::Compose = options.engine;
    let checks = rehearsal::chosen(&options.only, options.slow, options.restart_engine);
    let stack = Stack::prepare(context, options.replicas)?;
    if checks.contains(&Check::EngineRestart) {
        let allowed = OwnEngine::find(&stack.engine, &stack.seen.project.name);
        allowed.map_err(|error| refused(format!("engine-restart cannot run: {error:#}")))?;
    }
    let plan = rehearsal::plan(&stack.seen, &checks, options.keep);
    if !stack.seen.stand_ins.is_empty() {
        eprintln!("{WARNING}\n  for {}", stack.seen.stand_ins.join(", "));
    }
    if options.dry_run {
        return dry_run::show(context, &plan);
    }
    let interrupt = Interrupt::listen()?;
    let native = |action: &Rehearse, step: &StepContext| perform(&stack, &interrupt, action, step);
    let runner = Runner {
        // One check at a time: each needs the whole stack.
        jobs: 1,
        keep_going: true,
        grace_ms: 60_000,
        ..Runner::new(context.target(), interrupt.clone(), &native)
    };
    // Passing some of the checks does not prove the whole.
    let sought = match options.only[..] {
        [] if options.replicas.is_none() => Some(record::sought(context, &stack, COMPOSE, &checks)?),
        _ => None,
    };
    let report = runner.run(&plan)?;
    if report.outcome == Outcome::Done && !options.keep {
        files::remove(&stack.secrets)?;
    }
    if let (Some(sought), Outcome::Done) = (sought, &report.outcome) {
        record::keep(context, &stack, sought, &report)?;
    }
    if context.json {
        stdout::json(&report)?;
    } else {
        let held = report.steps.iter().filter(|step| step.status.is_good()).count();
        stdout::text(&format!("rehearsed: {held} of {} steps held\n", plan.steps.len()))?;
    }
    report.into_result()
}

fn perform(stack: &Stack, interrupt: &Interrupt, action: &Rehearse, step: &StepContext) -> Result<Outputs> {
    let told = match action {
        Rehearse::InstallTools { programs } => {
            stack.toolbox.ensure(&tools(programs.iter().copied())?, progress::on_stderr().as_ref())?;
            vec![]
        }
        Rehearse::MakeSecrets => stack.make_secrets()?,
        Rehearse::Check(Check::Smoke) => stack.smoke(interrupt)?,
        Rehearse::Check(Check::Edge) => edge::check(stack)?,
        Rehearse::Check(Check::Hardening) => hardening::check(stack)?,
        Rehearse::Check(Check::Reachability) => reachability::check(stack)?,
        Rehearse::Check(Check::Drain) => drain::check(stack)?,
        Rehearse::Check(Check::Oom) => oom::check(stack, interrupt)?,
        Rehearse::Check(Check::CrashLoop) => crash_loop::check(stack, interrupt)?,
        Rehearse::Check(Check::EngineRestart) => engine_restart::check(stack, interrupt)?,
        Rehearse::Check(Check::MissingSecret) => stack.missing_secret()?,
        Rehearse::Check(Check::LateDependency) => late::check(stack, interrupt)?,
    };
    for line in told {
        step.log.line(&line);
    }
    Ok(Outputs::new())
}

/// All problems as one error; `good` when there are none.
fn judged(problems: &[String], good: Vec<String>) -> Result<Vec<String>> {
    if problems.is_empty() { Ok(good) } else { bail!("{}", problems.join("\n")) }
}

/// The output of a program that succeeded.
fn said(argv: &[&str]) -> Result<String> {
    said_to(argv, "")
}

/// The same for a program that gets a text on its standard input.
fn said_to(argv: &[&str], text: &str) -> Result<String> {
    let (program, arguments) = argv.split_first().context("no program")?;
    let asked = duct::cmd(*program, arguments).stdin_bytes(text).stdout_capture().stderr_capture();
    let output = asked.unchecked().run().with_context(|| format!("{program} cannot be run"))?;
    if !output.status.success() {
        bail!("{}: {}", argv.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
