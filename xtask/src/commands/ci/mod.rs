//! `cargo xtask ci`: the quality gates, in parallel where they are independent.

mod as_workflow;
mod changed;
mod chosen;
mod evidence;
mod list;
mod lower;
mod requirements;
mod summary;

use anyhow::Result;
use vocabulary::model::{Gate, Requirement};

use super::dev::programs::{programs, tools};
use super::dev::running::command_line;
use crate::context::Context;
use crate::exit::Reported;
use crate::plan::interrupt::Interrupt;
use crate::plan::mask::Outputs;
use crate::plan::perform::{Call, Hands, NoHands};
use crate::plan::report::Outcome;
use crate::plan::runner::{Runner, cores};
use crate::plan::show::Show;
use crate::platform::platform;
use crate::stdout;
use crate::tools::{NpmProject, Toolbox, progress};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cargo xtask ci                     every gate\n  cargo xtask ci format flows        only these\n  cargo xtask ci --group sources     only those of a group\n  \
                        cargo xtask ci --keep-going        all of them, whatever fails\n  cargo xtask ci --require-all       a gate that cannot run here fails\n  cargo xtask ci --as-workflow sources   what GitHub would run in this job\n  cargo xtask ci --list"
)]
pub struct Options {
    /// Only these gates [default: all]
    #[arg(value_name = "GATE")]
    gates: Vec<String>,
    /// Only the gates of this group; may be given several times
    #[arg(long, value_name = "GROUP")]
    group: Vec<String>,
    #[command(flatten)]
    list: list::List,
    /// Run the commands of this job of a GitHub workflow here, in its order; as JOB or as WORKFLOW/JOB
    #[arg(long, value_name = "JOB", conflicts_with_all = ["gates", "group", "list", "keep_going", "require_all", "jobs"])]
    as_workflow: Option<String>,
    /// After a failure, run the other gates all the same
    #[arg(long)]
    keep_going: bool,
    /// A gate that this machine cannot run counts as failed
    #[arg(long)]
    require_all: bool,
    /// With --require-all: a gate may be left out for want of this, such as npm-audits
    #[arg(long, value_name = "REQUIREMENT", requires = "require_all", value_parser = requirements::named)]
    may_lack: Vec<Requirement>,
    /// Show the plan and do nothing
    #[arg(long)]
    dry_run: bool,
    /// At most so many gates at the same time [default: one per processor]
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
}

/// # Errors
/// Reported when a gate failed; refused when one is unknown.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    if let Some(job) = &options.as_workflow {
        return as_workflow::run(context, job, options.dry_run);
    }
    let platform = platform();
    let asked = chosen::chosen(&platform, &options.gates, &options.group)?;
    if options.list.list {
        return list::run(context, &platform, &asked, &options.list);
    }
    let toolbox = Toolbox::open(context)?;
    let needed = asked.iter().flat_map(|gate| gate.requires.iter().copied());
    // Asking outside may install what asks: a dry run does neither.
    let needed = needed.filter(|one| !(options.dry_run && one.is_outside()));
    let absent = requirements::absent(context, &toolbox, needed);
    let (gates, unable): (Vec<&Gate>, Vec<&Gate>) =
        asked.iter().partition(|gate| !gate.requires.iter().any(|one| absent.contains_key(one.absent())));
    let names: Vec<_> = gates
        .iter()
        .flat_map(|gate| &gate.commands)
        .flat_map(|command| [command.program].into_iter().chain(command.calls.iter().copied()))
        .collect();
    let programs = programs(&toolbox, &context.root, names.iter().copied())?;
    let path = std::env::var("PATH").unwrap_or_default();
    let place = lower::Place { root: &context.root, state: context.state(), path: &path };
    let plan = lower::plan(&gates, &programs, &place);
    if options.dry_run {
        return if context.json { stdout::json(&plan) } else { stdout::text(&plan.text()) };
    }
    let native = |call: &Call<'_>| {
        if call.name == lower::LOOK_FOR_TESTS {
            return evidence::look(call);
        }
        let progress = progress::on_stderr();
        toolbox.ensure(&tools(names.iter().copied())?, progress.as_ref())?;
        if call.name == lower::INSTALL_MODULES {
            toolbox.npm_modules(NpmProject { folder: &context.path("flows") }, progress.as_ref())?;
        }
        Ok(Outputs::new())
    };
    let runner = Runner {
        state: context.state(),
        command: command_line(),
        jobs: options.jobs.unwrap_or_else(cores).max(1),
        keep_going: options.keep_going,
        grace_ms: 10_000,
        interrupt: Interrupt::listen()?,
        show: Show::on_stderr(),
        hands: Hands { native: &native, ..NoHands::hands() },
    };
    let report = runner.run(&plan)?;
    let not_able = |gate: &&Gate| {
        let found = gate.requires.iter().find_map(|one| absent.get_key_value(one.absent()));
        found.map(|(reason, why)| summary::not_run(gate, reason, why))
    };
    let mut rows = summary::rows(&gates, &report);
    rows.extend(unable.iter().filter_map(not_able));
    let borne = |one: &Requirement| options.may_lack.contains(one) && absent.contains_key(one.absent());
    let wrongly_left_out = |gate: &&&Gate| !gate.requires.iter().any(borne);
    let incomplete = options.require_all && unable.iter().any(|gate| wrongly_left_out(&gate));
    if incomplete {
        eprintln!("--require-all: every gate has to be run");
    }
    if context.json {
        stdout::json(&summary::json(&rows, &report))?;
    } else {
        stdout::text(&summary::table(&rows, report.duration_ms))?;
    }
    match report.outcome {
        Outcome::Done if incomplete => Err(Reported.into()),
        Outcome::Done => Ok(()),
        Outcome::Failed => Err(Reported.into()),
        Outcome::Interrupted(_) => report.into_result(),
    }
}
