//! Cleans up after killed runs. Every command does this before its own work.

use std::time::Duration;

use anyhow::Result;
use vocabulary::model::environment::EngineKind;

use super::rehearsal;
use super::running;
use crate::context::Context;
use crate::engines::Data;
use foundation::files;
use foundation::interrupt::Interrupt;
use runner::plan::leftovers;
use runner::plan::register::{self, Killed};
use runner::plan::show::Show;
use runner::supervisor::{Recovered, recover};

/// Time that the processes of a killed run get to exit by themselves: a database needs a moment.
const GRACE: Duration = Duration::from_secs(15);

/// Ends and removes what killed runs left, and reports it. Returns the problems.
pub fn clean_up(context: &Context) -> Vec<String> {
    let (killed, mut problems) = register::killed(context.state());
    for run in killed {
        let name = format!("`{}` (process {}) was killed", run.command(), run.process().pid);
        match end(context, run) {
            Ok(processes) => Show::on_stderr().say(&format!(
                "{name}; what it left is gone: {processes} processes, its data, secrets and temporary files"
            )),
            Err(error) => problems.push(format!("{name}, and what it left cannot be removed: {error:#}")),
        }
    }
    problems
}

/// Returns the number of processes.
fn end(context: &Context, run: Killed) -> Result<usize> {
    // The supervisor also has the mark, and ends its services.
    let mut processes = leftovers::end(run.process(), GRACE)?;
    for target in &run.own_targets {
        if let Recovered::Ended(names) = recover(&running::supervisor(context, target))? {
            processes += names.len();
        }
        take_down(context, target)?;
    }
    if run.target() == Some(rehearsal::TARGET) {
        rehearsal::remove(context)?;
    }
    run.forget()?;
    Ok(processes)
}

/// Removes a platform that was started for one run, with its containers, networks and volumes.
fn take_down(context: &Context, target: &str) -> Result<()> {
    if running::engine(context, target)? == EngineKind::Compose {
        let plan = running::plan_down(context, target, Data::Go)?;
        running::take_down(context, &plan, &Show::on_stderr(), &Interrupt::listen()?)?;
    }
    files::remove(&context.state().join(target))
}
