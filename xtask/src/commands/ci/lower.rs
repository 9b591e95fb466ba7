//! Gates as a plan: a step for each command. Pure.

use std::collections::BTreeMap;
use std::path::Path;

use vocabulary::model::{Gate, GateCommand};

use crate::commands::dev::programs::{Programs, XTASK};
use crate::plan::action::{Action, Exec, Native};
use crate::plan::argument::Arg;
use crate::plan::step::{Plan, Step, StepId};

/// Native steps: the pinned programs alone, and these with the npm modules.
pub const INSTALL_TOOLS: &str = "install-tools";
pub const INSTALL_MODULES: &str = "install-modules";

/// The folder whose commands need the npm modules.
const FLOWS: &str = "flows";

pub fn plan(gates: &[&Gate], programs: &Programs, root: &Path, path: &str) -> Plan {
    let mut steps = vec![install(INSTALL_TOOLS, "have the pinned programs", vec![])];
    let uses_modules = |gate: &&&Gate| gate.commands.iter().any(|command| command.folder == FLOWS);
    if gates.iter().any(|gate| uses_modules(&gate)) {
        steps.push(install(INSTALL_MODULES, "have the npm packages", vec![INSTALL_TOOLS.into()]));
    }
    for gate in gates {
        steps.extend(of_gate(gate, gates, programs, root, path));
    }
    let names: Vec<_> = gates.iter().map(|gate| gate.id).collect();
    Plan { intent: format!("judge {}", names.join(", ")), target: "ci".to_owned(), steps, ..Plan::default() }
}

fn install(name: &str, title: &str, needs: Vec<StepId>) -> Step {
    Step {
        id: name.into(),
        title: title.to_owned(),
        action: Action::Native(Native { name: name.to_owned(), ..Native::default() }),
        needs,
        remedy: Some("see `cargo xtask doctor`".to_owned()),
        ..Step::default()
    }
}

/// The ids of a gate's steps, in order.
pub fn step_ids(gate: &Gate) -> Vec<StepId> {
    match gate.commands.len() {
        1 => vec![gate.id.into()],
        count => (1..=count).map(|number| StepId(format!("{}.{number}", gate.id))).collect(),
    }
}

fn of_gate(gate: &Gate, all: &[&Gate], programs: &Programs, root: &Path, path: &str) -> Vec<Step> {
    let ids = step_ids(gate);
    let after: Vec<StepId> = all
        .iter()
        .filter(|other| gate.after.contains(&other.id))
        .flat_map(|other| step_ids(other).into_iter().last())
        .collect();
    gate.commands
        .iter()
        .enumerate()
        .map(|(position, command)| {
            let install = if command.folder == FLOWS { INSTALL_MODULES } else { INSTALL_TOOLS };
            let mut needs = vec![StepId::from(install)];
            needs.extend(position.checked_sub(1).map(|before| ids[before].clone()));
            Step {
                id: ids[position].clone(),
                title: title(gate, command, ids.len() > 1),
                action: Action::Exec(exec(command, programs, root, path)),
                needs,
                after: after.clone(),
                time_limit_ms: u64::from(gate.limit_seconds) * 1000,
                remedy: Some(gate.remedy.to_owned()),
                ..Step::default()
            }
        })
        .collect()
}

fn title(gate: &Gate, command: &GateCommand, several: bool) -> String {
    if several { format!("{}: {}", gate.id, command.program) } else { gate.id.to_owned() }
}

fn exec(command: &GateCommand, programs: &Programs, root: &Path, path: &str) -> Exec {
    let mut argv = programs.get(command.program).cloned().unwrap_or_else(|| vec![command.program.to_owned()]);
    if command.program == XTASK {
        argv.extend(["--root".to_owned(), root.display().to_string()]);
    }
    argv.extend(command.arguments.iter().map(|argument| (*argument).to_owned()));
    let program = argv.remove(0);
    Exec {
        program,
        args: argv.into_iter().map(Arg::from).collect(),
        env: environment(command, programs, path),
        cwd: Some(root.join(command.folder)),
        ..Exec::default()
    }
}

/// The called programs on PATH, and each one's own path in `FLOWSHIP_NAME`.
fn environment(command: &GateCommand, programs: &Programs, path: &str) -> BTreeMap<String, Arg> {
    let called: Vec<_> =
        command.calls.iter().filter_map(|name| Some((*name, programs.get(name)?.first()?))).collect();
    let mut env: BTreeMap<String, Arg> = called
        .iter()
        .map(|(name, file)| (format!("FLOWSHIP_{}", name.to_uppercase()), Arg::from(file.as_str())))
        .collect();
    let folders: Vec<_> =
        called.iter().filter_map(|(_, file)| Some(Path::new(file).parent()?.display().to_string())).collect();
    if !folders.is_empty() {
        env.insert("PATH".to_owned(), Arg::from(format!("{}:{path}", folders.join(":"))));
    }
    env
}
