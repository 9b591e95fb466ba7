//! Gates as a plan: a step for each command. Pure.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::json;
use vocabulary::model::{Evidence, Gate, GateCommand};

use crate::commands::dev::programs::{Programs, XTASK};
use crate::plan::action::{Action, Exec, Native};
use crate::plan::argument::Arg;
use crate::plan::step::{Plan, Step, StepId};

/// Native steps: the pinned programs alone, and these with the npm modules.
pub const INSTALL_TOOLS: &str = "install-tools";
pub const INSTALL_MODULES: &str = "install-modules";
/// Native step: looks for the evidence in the log of the command before it. Its parameter is an [`Asked`].
pub const LOOK_FOR_TESTS: &str = "look-for-tests";

/// The folder whose commands need the npm modules.
const FLOWS: &str = "flows";

/// The target of the plan: it names the lock and the logs.
pub const TARGET: &str = "ci";

/// Where a plan is carried out.
pub struct Place<'a> {
    pub root: &'a Path,
    /// The state folder, where the runner keeps its logs.
    pub state: &'a Path,
    /// `PATH` of the caller.
    pub path: &'a str,
}

/// What [`LOOK_FOR_TESTS`] is asked.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    pub log: PathBuf,
    pub kind: Kind,
}

/// Whose words the log is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Cargo,
    Node,
}

pub fn plan(gates: &[&Gate], programs: &Programs, place: &Place) -> Plan {
    let mut steps = vec![install(INSTALL_TOOLS, "have the pinned programs", vec![])];
    let uses_modules = |gate: &&&Gate| gate.commands.iter().any(|command| command.folder == FLOWS);
    if gates.iter().any(|gate| uses_modules(&gate)) {
        steps.push(install(INSTALL_MODULES, "have the npm packages", vec![INSTALL_TOOLS.into()]));
    }
    for gate in gates {
        steps.extend(of_gate(gate, gates, programs, place));
    }
    let names: Vec<_> = gates.iter().map(|gate| gate.id).collect();
    Plan {
        intent: format!("judge {}", names.join(", ")),
        target: TARGET.to_owned(),
        steps,
        ..Plan::default()
    }
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

/// The ids of a gate's steps, in order: a step for each command, one more where its output is looked through.
pub fn step_ids(gate: &Gate) -> Vec<StepId> {
    let numbered = |position: usize| match gate.commands.len() {
        1 => gate.id.to_owned(),
        _ => format!("{}.{}", gate.id, position + 1),
    };
    let of_command = |(position, command): (usize, &GateCommand)| {
        let id = numbered(position);
        let look = kind(command).map(|_| StepId(format!("{id}.evidence")));
        [StepId(id)].into_iter().chain(look)
    };
    gate.commands.iter().enumerate().flat_map(of_command).collect()
}

fn kind(command: &GateCommand) -> Option<Kind> {
    match command.evidence {
        Evidence::ExitCode => None,
        Evidence::CargoTests => Some(Kind::Cargo),
        Evidence::NodeTests => Some(Kind::Node),
    }
}

fn of_gate(gate: &Gate, all: &[&Gate], programs: &Programs, place: &Place) -> Vec<Step> {
    let after: Vec<StepId> = all
        .iter()
        .filter(|other| gate.after.contains(&other.id))
        .flat_map(|other| step_ids(other).into_iter().last())
        .collect();
    let mut ids = step_ids(gate).into_iter();
    let mut next = || ids.next().expect("there is an id for each step");
    let mut steps: Vec<Step> = Vec::new();
    for command in &gate.commands {
        let install = if command.folder == FLOWS { INSTALL_MODULES } else { INSTALL_TOOLS };
        let before = steps.last().map(|step| step.id.clone());
        let id = next();
        steps.push(Step {
            id: id.clone(),
            title: title(gate, command),
            action: Action::Exec(exec(command, programs, place)),
            needs: [StepId::from(install)].into_iter().chain(before).collect(),
            after: after.clone(),
            time_limit_ms: u64::from(gate.limit_seconds) * 1000,
            remedy: Some(gate.remedy.to_owned()),
            ..Step::default()
        });
        if let Some(kind) = kind(command) {
            let asked = Asked { log: place.state.join(TARGET).join("log").join(format!("{id}.log")), kind };
            steps.push(Step {
                id: next(),
                title: format!("{}: tests were run", gate.id),
                action: Action::Native(Native {
                    name: LOOK_FOR_TESTS.to_owned(),
                    parameters: json!(asked),
                    ..Native::default()
                }),
                needs: vec![id],
                remedy: Some("see why the command before it, whose log is named, ran no test".to_owned()),
                ..Step::default()
            });
        }
    }
    steps
}

fn title(gate: &Gate, command: &GateCommand) -> String {
    if gate.commands.len() > 1 { format!("{}: {}", gate.id, command.program) } else { gate.id.to_owned() }
}

fn exec(command: &GateCommand, programs: &Programs, place: &Place) -> Exec {
    let mut argv = programs.get(command.program).cloned().unwrap_or_else(|| vec![command.program.to_owned()]);
    if command.program == XTASK {
        argv.extend(["--root".to_owned(), place.root.display().to_string()]);
    }
    argv.extend(command.arguments.iter().map(|argument| (*argument).to_owned()));
    let program = argv.remove(0);
    Exec {
        program,
        args: argv.into_iter().map(Arg::from).collect(),
        env: environment(command, programs, place.path),
        cwd: Some(folder(place.root, command.folder)),
        ..Exec::default()
    }
}

fn folder(root: &Path, below: &str) -> PathBuf {
    if below == "." { root.to_owned() } else { root.join(below) }
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
