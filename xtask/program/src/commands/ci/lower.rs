//! Gates as a plan: a step for each command. Pure.

use std::path::{Path, PathBuf};

use serde::Serialize;
use vocabulary::model::{Evidence, Gate, GateCommand, PlantedArgument, PlantedFault, Proof, Sarif};

use crate::tools::programs::{Programs, XTASK, called};
use runner::plan::action::{Action, Exec, Native};
use runner::plan::argument::Arg;
use runner::plan::log;
use runner::plan::step::{OnFailure, Plan, Step, StepId};

/// The native actions of the plan.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "name", content = "parameters", rename_all = "kebab-case")]
pub enum Judge {
    /// The pinned programs.
    InstallTools,
    /// The npm packages, and the pinned programs.
    InstallModules,
    /// Looks for the evidence in the log of the command before it.
    LookForTests(Asked),
    /// Looks at the SARIF file that the command before it must have left.
    LookForFindings(&'static str),
    /// Has the programs of a gate find planted faults.
    FindPlantedFaults(Vec<Planted>),
}

impl Native for Judge {}

/// The ids of the steps that install.
pub const INSTALL_TOOLS: &str = "install-tools";
pub const INSTALL_MODULES: &str = "install-modules";
pub const INSTALLS: [&str; 2] = [INSTALL_TOOLS, INSTALL_MODULES];

/// The folder whose commands need the npm modules.
pub const FLOWS: &str = "flows";

/// The target of the plan: it names the lock and the logs.
pub const TARGET: &str = "ci";

/// Where a plan is carried out.
pub struct Place<'a> {
    pub root: &'a Path,
    /// The state folder, where the runner keeps its logs.
    pub state: &'a Path,
    /// `PATH` of the caller.
    pub path: &'a str,
    /// See [`gates_with_tests`].
    pub gates_with_tests: &'a [String],
}

/// What [`Judge::LookForTests`] is asked.
#[derive(Debug, Clone, Serialize)]
pub struct Asked {
    pub log: PathBuf,
    pub kind: Kind,
    pub gate: String,
    /// All gates of the platform that run tests.
    pub gates_with_tests: Vec<String>,
}

/// What [`Judge::FindPlantedFaults`] is asked about one program.
#[derive(Debug, Clone, Serialize)]
pub struct Planted {
    /// As gates name it.
    pub program: String,
    /// Where the files are written; with them it is removed.
    pub folder: PathBuf,
    /// Names and contents.
    pub files: Vec<(String, String)>,
    pub exec: Exec,
    pub finding: String,
}

/// Whose words the log is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Cargo,
    Node,
}

/// Those of the gates that run tests, by name.
pub fn gates_with_tests(gates: &[Gate]) -> Vec<String> {
    let tests = |gate: &&Gate| gate.commands.iter().any(|command| kind(command).is_some());
    gates.iter().filter(tests).map(|gate| gate.id.to_owned()).collect()
}

pub fn plan(gates: &[&Gate], programs: &Programs, place: &Place) -> Plan<Judge> {
    if gates.is_empty() {
        return Plan {
            intent: "judge nothing".to_owned(),
            target: TARGET.to_owned(),
            on_failure: OnFailure::Keep,
            steps: vec![],
        };
    }
    let mut steps = vec![install(INSTALL_TOOLS, "install the pinned programs", Judge::InstallTools)];
    let uses_modules = |gate: &&&Gate| gate.commands.iter().any(|command| command.folder == FLOWS);
    if gates.iter().any(|gate| uses_modules(&gate)) {
        let modules = install(INSTALL_MODULES, "install the npm packages", Judge::InstallModules);
        steps.push(Step { needs: vec![INSTALL_TOOLS.into()], ..modules });
    }
    for gate in gates {
        steps.extend(of_gate(gate, gates, programs, place));
    }
    let names: Vec<_> = gates.iter().map(|gate| gate.id).collect();
    Plan {
        intent: format!("judge {}", names.join(", ")),
        target: TARGET.to_owned(),
        steps,
        on_failure: OnFailure::Keep,
    }
}

fn install(id: &str, title: &str, action: Judge) -> Step<Judge> {
    Step {
        remedy: Some("see `cargo xtask doctor`".to_owned()),
        ..Step::new(id, title, Action::Native(action))
    }
}

/// The ids of a gate's steps, in order: one for all planted faults, a step for each command, one more where its output is
/// looked through.
pub fn step_ids(gate: &Gate) -> Vec<StepId> {
    let planted = (!faults(gate).is_empty()).then(|| planted_id(gate));
    let numbered = |position: usize| match gate.commands.len() {
        1 => gate.id.to_owned(),
        _ => format!("{}.{}", gate.id, position + 1),
    };
    let of_command = |(position, command): (usize, &GateCommand)| {
        let id = numbered(position);
        let look = kind(command).map(|_| StepId(format!("{id}.evidence")));
        let report = report(command).map(|_| StepId(format!("{id}.report")));
        [StepId(id)].into_iter().chain(look).chain(report)
    };
    planted.into_iter().chain(gate.commands.iter().enumerate().flat_map(of_command)).collect()
}

fn planted_id(gate: &Gate) -> StepId {
    StepId(format!("{}.planted", gate.id))
}

/// Each planted fault once, with the first command that has it.
fn faults(gate: &Gate) -> Vec<(&GateCommand, &PlantedFault)> {
    let mut faults: Vec<(&GateCommand, &PlantedFault)> = Vec::new();
    for command in &gate.commands {
        if let Proof::PlantedFault(fault) = &command.proof
            && !faults.iter().any(|(other, known)| other.program == command.program && *known == fault)
        {
            faults.push((command, fault));
        }
    }
    faults
}

fn planted(gate: &Gate, programs: &Programs, place: &Place) -> Vec<Planted> {
    let folder = place.state.join(TARGET).join("planted");
    let one = |(position, (command, fault)): (usize, (&GateCommand, &PlantedFault))| {
        let folder = folder.join(format!("{}-{}", gate.id, position + 1));
        let argument = |argument: &PlantedArgument| match argument {
            PlantedArgument::Word(word) => (*word).to_owned(),
            PlantedArgument::Path(below) => self::folder(&folder, below).display().to_string(),
        };
        let files = fault.files.iter().map(|file| (file.name.to_owned(), file.text.to_owned()));
        Planted {
            program: command.program.to_owned(),
            files: files.collect(),
            exec: exec(command, fault.arguments.iter().map(argument), programs, place),
            finding: fault.finding.to_owned(),
            folder,
        }
    };
    faults(gate).into_iter().enumerate().map(one).collect()
}

/// The SARIF file that it leaves.
fn report(command: &GateCommand) -> Option<&'static str> {
    match command.sarif {
        Some(Sarif::File(file)) => Some(file),
        Some(Sarif::Instead(_)) | None => None,
    }
}

fn kind(command: &GateCommand) -> Option<Kind> {
    match command.evidence {
        Evidence::ExitCode => None,
        Evidence::CargoTests => Some(Kind::Cargo),
        Evidence::NodeTests => Some(Kind::Node),
    }
}

fn of_gate(gate: &Gate, all: &[&Gate], programs: &Programs, place: &Place) -> Vec<Step<Judge>> {
    let after: Vec<StepId> = all
        .iter()
        .filter(|other| gate.after.contains(&other.id))
        .flat_map(|other| step_ids(other).into_iter().last())
        .collect();
    let mut ids = step_ids(gate).into_iter();
    let mut next = || ids.next().expect("there is an id for each step");
    let mut steps: Vec<Step<Judge>> = Vec::new();
    let planted = planted(gate, programs, place);
    if !planted.is_empty() {
        let install = if gate.commands.iter().any(|command| command.folder == FLOWS) {
            INSTALL_MODULES
        } else {
            INSTALL_TOOLS
        };
        steps.push(Step {
            needs: vec![install.into()],
            after: after.clone(),
            time_limit_ms: u64::from(gate.limit_seconds) * 1000,
            remedy: Some("see docs/gates.md: how gates check their programs".to_owned()),
            ..Step::new(
                next(),
                format!("{}: find the planted faults", gate.id),
                Action::Native(Judge::FindPlantedFaults(planted)),
            )
        });
    }
    for command in &gate.commands {
        let install = if command.folder == FLOWS { INSTALL_MODULES } else { INSTALL_TOOLS };
        let before = steps.last().map(|step| step.id.clone());
        let id = next();
        steps.push(Step {
            needs: [StepId::from(install)].into_iter().chain(before).collect(),
            after: after.clone(),
            time_limit_ms: u64::from(gate.limit_seconds) * 1000,
            remedy: Some(gate.remedy.to_owned()),
            ..Step::new(
                id.clone(),
                title(gate, command),
                Action::Exec(exec(
                    command,
                    command.arguments.iter().map(|argument| (*argument).to_owned()),
                    programs,
                    place,
                )),
            )
        });
        if let Some(kind) = kind(command) {
            let asked = Asked {
                log: log::path_in(&place.state.join(TARGET), &id),
                kind,
                gate: gate.id.to_owned(),
                gates_with_tests: place.gates_with_tests.to_vec(),
            };
            steps.push(Step {
                needs: vec![id.clone()],
                remedy: Some("read the log of the command before it, which ran no test".to_owned()),
                ..Step::new(
                    next(),
                    format!("{}: count the tests", gate.id),
                    Action::Native(Judge::LookForTests(asked)),
                )
            });
        }
        if let Some(file) = report(command) {
            steps.push(Step {
                needs: vec![id],
                remedy: Some(format!("find out why {} wrote no valid {file}", command.program)),
                ..Step::new(
                    next(),
                    format!("{}: collect the findings", gate.id),
                    Action::Native(Judge::LookForFindings(file)),
                )
            });
        }
    }
    steps
}

fn title(gate: &Gate, command: &GateCommand) -> String {
    if gate.commands.len() > 1 { format!("{}: {}", gate.id, command.program) } else { gate.id.to_owned() }
}

fn exec(
    command: &GateCommand,
    arguments: impl Iterator<Item = String>,
    programs: &Programs,
    place: &Place,
) -> Exec {
    let mut argv = programs.get(command.program).cloned().unwrap_or_else(|| vec![command.program.to_owned()]);
    if command.program == XTASK {
        argv.extend(["--root".to_owned(), place.root.display().to_string()]);
    }
    argv.extend(arguments);
    let program = argv.remove(0);
    Exec {
        program,
        args: argv.into_iter().map(Arg::from).collect(),
        env: called(&command.calls, programs, place.path)
            .into_iter()
            .map(|(name, value)| (name, Arg::from(value)))
            .collect(),
        cwd: Some(folder(place.root, command.folder)),
        ..Exec::default()
    }
}

fn folder(root: &Path, below: &str) -> PathBuf {
    if below == "." { root.to_owned() } else { root.join(below) }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use vocabulary::model::{GateGroup, Reads, Requirement};

    use super::*;
    use crate::commands::ci::summary::{self, GateResult};
    use foundation::interrupt::Interrupt;
    use platform::platform;
    use runner::plan::mask::Outputs;
    use runner::plan::perform::StepContext;
    use runner::plan::report::Report;
    use runner::plan::runner::Runner;
    use runner::plan::show::Show;
    use runner::plan::target::Target;

    fn gate(id: &'static str, scripts: &[&'static str], after: &[&'static str]) -> Gate {
        let command = |script: &&'static str| GateCommand {
            program: "sh",
            arguments: vec!["-c", script],
            calls: vec![],
            folder: ".",
            evidence: Evidence::ExitCode,
            sarif: None,
            proof: Proof::OwnTests,
        };
        Gate {
            id,
            group: GateGroup::Sources,
            checks: "something",
            commands: scripts.iter().map(command).collect(),
            after: after.to_vec(),
            requires: vec![],
            reads: Reads::World,
            negative_control: "",
            remedy: "fix it",
            limit_seconds: 1,
        }
    }

    fn run(root: &Path, gates: &[&Gate]) -> Report {
        let state = root.join("state");
        let path = std::env::var("PATH").unwrap();
        let plan =
            plan(gates, &Programs::new(), &Place { root, state: &state, path: &path, gates_with_tests: &[] });
        assert_eq!(plan.validate(), [""; 0]);
        let native = |_: &Judge, _: &StepContext| Ok(Outputs::new());
        let target = Target::Here { state };
        let runner = Runner {
            keep_going: true,
            grace_ms: 200,
            show: Show::to(runner::plan::show::OutputStyle::Plain, Box::new(std::io::sink())),
            ..Runner::new(&target, Interrupt::default(), &native)
        };
        runner.run(&plan).unwrap()
    }

    #[test]
    fn a_gate_that_exceeds_its_limit_is_ended_with_all_it_started() {
        let root = tempfile::tempdir().unwrap();
        let slow = gate("slow", &["trap '' TERM; sleep 600 & echo $! $$ > pids; wait; wait"], &[]);
        let quick = gate("quick", &["true", "true"], &["slow"]);
        let begun = Instant::now();
        let gates = [&slow, &quick];
        let report = run(root.path(), &gates);
        assert!(begun.elapsed().as_secs() < 60);
        let rows = gates.map(|gate| summary::row(gate, &report));
        assert_eq!(rows[0].result, GateResult::Failed);
        assert_eq!(rows[0].error.as_deref(), Some("sh: exceeded its time limit"));
        assert_eq!(rows[1].result, GateResult::Passed, "what only waits for it runs all the same");
        for pid in std::fs::read_to_string(root.path().join("pids")).unwrap().split_whitespace() {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            assert!(stat.is_empty() || stat.contains(") Z "), "{stat}");
        }
    }

    #[test]
    fn the_first_command_that_fails_ends_its_gate() {
        let root = tempfile::tempdir().unwrap();
        let broken = gate("broken", &["exit 3", "touch second"], &[]);
        let gates = [&broken];
        let report = run(root.path(), &gates);
        let rows = gates.map(|gate| summary::row(gate, &report));
        assert_eq!(rows[0].result, GateResult::Failed);
        assert_eq!(rows[0].error.as_deref(), Some("sh: exit code 3"));
        assert!(!root.path().join("second").exists());
    }

    #[test]
    fn the_real_gates_make_a_valid_plan_whichever_are_chosen() {
        let all = platform().gates;
        let place = Place {
            root: Path::new("/tree"),
            state: Path::new("/tree/.flowship"),
            path: "/bin",
            gates_with_tests: &[],
        };
        for count in 1..=all.len() {
            for chosen in all.windows(count) {
                let chosen: Vec<_> = chosen.iter().collect();
                let plan = plan(&chosen, &Programs::new(), &place);
                assert_eq!(plan.validate(), [""; 0]);
                let steps: usize = chosen.iter().map(|gate| step_ids(gate).len()).sum();
                let installs = plan.steps.iter().filter(|step| step.id.0.starts_with("install-")).count();
                assert_eq!(plan.steps.len(), steps + installs);
            }
        }
    }

    /// Whichever are chosen: a gate that is left out passes on no order.
    #[test]
    fn the_engine_is_restarted_when_no_other_gate_needs_it_any_more() {
        let all = platform().gates;
        let needs = |gate: &&Gate| gate.requires.contains(&Requirement::ContainerEngine);
        let restarts = all.iter().find(|gate| gate.id == "engine-restart").unwrap();
        for gate in all.iter().filter(needs).filter(|gate| gate.id != restarts.id) {
            assert!(restarts.after.contains(&gate.id), "{}", gate.id);
        }
    }

    #[test]
    fn every_gate_was_seen_to_fail_by_a_test() {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
        for gate in platform().gates {
            let (file, test) = gate.negative_control.split_once("::").unwrap();
            let text = std::fs::read_to_string(repository.join(file)).unwrap();
            let lines: Vec<_> = text.lines().map(str::trim).collect();
            let at = lines.iter().position(|line| *line == format!("fn {test}() {{")).unwrap_or_default();
            let mut attributes = lines[..at].iter().rev().take_while(|line| line.starts_with("#["));
            assert!(attributes.any(|line| *line == "#[test]"), "{}: {file} has no test {test}", gate.id);
        }
    }

    #[test]
    fn every_run_of_tests_must_show_tests() {
        for gate in platform().gates {
            for command in &gate.commands {
                let first = command.arguments.first() == Some(&"test");
                let tests = first || command.arguments.contains(&"test:browser");
                assert_eq!(kind(command).is_some(), tests, "{}: {:?}", gate.id, command.arguments);
            }
        }
    }
}
