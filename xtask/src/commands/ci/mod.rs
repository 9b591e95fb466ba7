//! `cargo xtask ci`: the quality gates, in parallel where they are independent.

mod evidence;
mod lower;
mod summary;

use anyhow::Result;
use vocabulary::model::{Gate, Platform};

use super::dev::programs::{programs, tools};
use super::dev::running::command_line;
use crate::context::Context;
use crate::exit::{Reported, refused};
use crate::nearest::nearest;
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
    after_help = "Examples:\n  cargo xtask ci                     every gate\n  cargo xtask ci format flows        only these\n  \
                        cargo xtask ci --keep-going        all of them, whatever fails\n  cargo xtask ci --list"
)]
pub struct Options {
    /// Only these gates [default: all]
    #[arg(value_name = "GATE")]
    gates: Vec<String>,
    /// List the gates and what each checks
    #[arg(long)]
    list: bool,
    /// After a failure, run the other gates all the same
    #[arg(long)]
    keep_going: bool,
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
    let platform = platform();
    if options.list {
        return list(context, &platform);
    }
    let gates = chosen(&platform, &options.gates)?;
    let toolbox = Toolbox::open(context)?;
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
    let rows = summary::rows(&gates, &report);
    if context.json {
        stdout::json(&summary::json(&rows, &report))?;
    } else {
        stdout::text(&summary::table(&rows, report.duration_ms))?;
    }
    match report.outcome {
        Outcome::Done => Ok(()),
        Outcome::Failed => Err(Reported.into()),
        Outcome::Interrupted(_) => report.into_result(),
    }
}

fn list(context: &Context, platform: &Platform) -> Result<()> {
    if context.json {
        return stdout::json(&platform.gates);
    }
    let line = |gate: &Gate| format!("{:<10} {}\n", gate.id, gate.checks);
    stdout::text(&platform.gates.iter().map(line).collect::<String>())
}

fn chosen<'a>(platform: &'a Platform, names: &[String]) -> Result<Vec<&'a Gate>> {
    let known: Vec<_> = platform.gates.iter().map(|gate| gate.id).collect();
    let problems: Vec<_> = names
        .iter()
        .filter(|name| !known.contains(&name.as_str()))
        .map(|name| {
            let hint = nearest(name, known.iter().copied());
            format!(
                "no gate is called {name}{}",
                hint.map_or(String::new(), |hint| format!("; did you mean {hint}?"))
            )
        })
        .collect();
    if !problems.is_empty() {
        return Err(refused(format!("{}\nthe gates are {}", problems.join("\n"), known.join(", "))));
    }
    let wanted = |gate: &&Gate| names.is_empty() || names.iter().any(|name| name == gate.id);
    Ok(platform.gates.iter().filter(wanted).collect())
}
