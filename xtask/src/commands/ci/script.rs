//! Gates as lines of a shell: what one without this runner would have to type.

use anyhow::{Context as _, Result};

use super::super::dev::programs::{programs, tools};
use super::{lower, names_of};
use crate::context::Context;
use crate::plan::action::Action;
use crate::platform::platform;
use crate::tools::{NpmProject, Toolbox, progress};

/// The lines of one gate, in order.
pub struct Script {
    pub gate: &'static str,
    pub lines: Vec<String>,
}

/// The named gates with the very programs, arguments, folders and variables that a run would use; what they need is
/// installed.
///
/// # Errors
/// A gate is unknown, or a program cannot be had.
pub fn script(context: &Context, names: &[&str]) -> Result<Vec<Script>> {
    let platform = platform();
    let toolbox = Toolbox::open(context)?;
    let path = std::env::var("PATH").unwrap_or_default();
    let place =
        lower::Place { root: &context.root, state: context.state(), path: &path, gates_with_tests: &[] };
    let progress = progress::on_stderr();
    let one = |name: &&str| {
        let gate = platform.gates.iter().find(|gate| gate.id == *name);
        let gate = gate.with_context(|| format!("no gate is called {name}"))?;
        toolbox.ensure(&tools(names_of(gate))?, progress.as_ref())?;
        if gate.commands.iter().any(|command| command.folder == lower::FLOWS) {
            toolbox.npm_modules(NpmProject { folder: &context.path("flows") }, progress.as_ref())?;
        }
        let plan = lower::plan(&[gate], &programs(&toolbox, &context.root, names_of(gate))?, &place);
        let lines = plan.steps.iter().filter(|step| matches!(step.action, Action::Exec(_)));
        Ok(Script { gate: gate.id, lines: lines.map(|step| step.action.text()).collect() })
    };
    names.iter().map(one).collect()
}
