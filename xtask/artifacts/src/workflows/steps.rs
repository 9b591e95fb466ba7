//! Steps, permissions and parts of jobs that several workflows have.

use std::collections::BTreeSet;

use vocabulary::formats::github::{
    Access, Condition, Context, Does, Expression, Given, Job, Machine, Permission, Pin, Scope, Step, Value,
    Variable, Work,
};
use vocabulary::model::{Action, Gate, GateGroup, Platform, Requirement};
use vocabulary::problem::Problem;

/// What workflows use of other people, as the platform pins it.
pub struct Actions<'a> {
    pub check_out: &'a Action,
    pub set_up_python: &'a Action,
    pub cache_rust: &'a Action,
    pub cache: &'a Action,
    pub upload: &'a Action,
    pub download: &'a Action,
    pub upload_sarif: &'a Action,
    pub attest: &'a Action,
}

impl<'a> Actions<'a> {
    /// # Errors
    /// The platform does not pin one of them.
    pub fn of(platform: &'a Platform) -> Result<Self, Problem> {
        let pinned = |name: &str| {
            platform.actions.iter().find(|action| action.name == name).ok_or_else(|| {
                Problem::new(format!("action {name}"), "workflows use it and the platform does not pin it")
                    .remedy("add it to the platform's actions with its version and commit")
            })
        };
        Ok(Self {
            check_out: pinned("actions/checkout")?,
            set_up_python: pinned("actions/setup-python")?,
            cache_rust: pinned("Swatinem/rust-cache")?,
            cache: pinned("actions/cache")?,
            upload: pinned("actions/upload-artifact")?,
            download: pinned("actions/download-artifact")?,
            upload_sarif: pinned("github/codeql-action/upload-sarif")?,
            attest: pinned("actions/attest-build-provenance")?,
        })
    }
}

const PYTHON: &str = "3.12";

/// Minutes that a job may take besides its gates: a cold build of this program, and the tools.
const AROUND_GATES: u32 = 15;

/// Where `cargo xtask ci` leaves what it found, one path a line.
const RESULTS: &str = ".flowship/ci/log\ntarget/xtask";

/// Where it leaves its findings for the page of code scanning.
pub const FINDINGS: &str = "target/xtask/ci.sarif";

/// What decides which tools are installed.
const LOCKS: [&str; 2] = ["ops/ci/requirements.txt", "flows/package-lock.json"];

pub const READS_SOURCES: Permission =
    Permission { scope: Scope::Contents, access: Access::Read, why: "checks out the sources" };

/// How far back the history is had.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum History {
    OneCommit,
    /// And what it was made from.
    Parent,
    Whole,
}

/// A job that needs nothing, runs when it can and may do nothing, for `..`.
pub fn job(id: &'static str, name: &'static str, limit_minutes: u16, steps: Vec<Step>) -> Job {
    Job {
        id,
        name,
        permissions: vec![],
        needs: vec![],
        when: Condition::Succeeded,
        concurrency: None,
        environment: None,
        publishes: false,
        matrix: None,
        outputs: vec![],
        work: Work::Steps { machine: Machine::Ubuntu2404, limit_minutes, steps },
    }
}

pub fn uses(name: &'static str, action: &Action, with: Vec<(&'static str, Value)>) -> Step {
    let action = Pin { name: action.name, commit: action.commit, version: action.version };
    Step { id: None, name, when: Condition::Succeeded, outputs: vec![], does: Does::Uses { action, with } }
}

pub fn run(name: &'static str, command: impl Into<String>, environment: Vec<Variable>) -> Step {
    let does = Does::Run { command: command.into(), environment };
    Step { id: None, name, when: Condition::Succeeded, outputs: vec![], does }
}

/// A variable that GitHub fills in, and what stands for it elsewhere.
pub fn filled(name: &'static str, from: impl Into<Expression>, elsewhere: Option<&'static str>) -> Variable {
    Variable { name, value: Given::Value(Value::Expression(from.into())), elsewhere }
}

/// A variable that only GitHub knows.
pub fn given(name: &'static str, value: impl Into<Value>) -> Variable {
    Variable { name, value: Given::Value(value.into()), elsewhere: None }
}

/// Whose signature a release must have.
pub fn public_key() -> Variable {
    filled("FLOWSHIP_PUBLIC_KEY", Expression::Setting("FLOWSHIP_PUBLIC_KEY"), None)
}

pub fn check_out(actions: &Actions<'_>, history: History) -> Step {
    let mut with = vec![("persist-credentials", "false".into())];
    match history {
        History::OneCommit => {}
        History::Parent => with.push(("fetch-depth", "2".into())),
        History::Whole => with.push(("fetch-depth", "0".into())),
    }
    uses("Check out", actions.check_out, with)
}

pub fn set_up_python(actions: &Actions<'_>) -> Step {
    uses("Set up Python", actions.set_up_python, vec![("python-version", PYTHON.into())])
}

/// What an earlier run has built and installed. Nothing that is published may come from a job that has them.
pub fn caches(actions: &Actions<'_>) -> [Step; 2] {
    let key = Value::Joined(vec![
        "tools-".into(),
        Context::System.into(),
        "-".into(),
        Expression::HashOfFiles(LOCKS.to_vec()).into(),
    ]);
    let tools = vec![("path", "~/.cache/flowship".into()), ("key", key)];
    [uses("Cache the Rust build", actions.cache_rust, vec![]), uses("Cache the tools", actions.cache, tools)]
}

/// The steps that run the gates of a group, after `first`, and keep what they found.
pub fn judge(
    platform: &Platform,
    actions: &Actions<'_>,
    group: GateGroup,
    first: Option<&Gate>,
) -> Vec<Step> {
    let first = first.map_or_else(String::new, |gate| format!("{} ", gate.id));
    // A gate that this machine cannot run is a gate that judged nothing.
    let command = format!("cargo xtask ci {first}--group {} --keep-going --require-all", group.name());
    let mut steps = brought(of_group(platform, group));
    if needs_root(platform, group) {
        steps.extend([run("Run the gates", as_root(&command), vec![]), own_again()]);
    } else {
        steps.push(run("Run the gates", command, vec![]));
    }
    steps.push(keep_results(actions, group));
    steps
}

/// The steps that bring what the gates require and GitHub's machine has not.
pub fn brought<'a>(gates: impl Iterator<Item = &'a Gate>) -> Vec<Step> {
    let required: BTreeSet<_> = gates.flat_map(|gate| &gate.requires).copied().collect();
    required.into_iter().filter_map(bring).collect()
}

fn bring(requirement: Requirement) -> Option<Step> {
    match requirement {
        Requirement::LlvmTools => Some(run(
            "Install the LLVM tools",
            "command -v llvm-profdata-19 || rustup component add llvm-tools",
            vec![],
        )),
        Requirement::Valgrind => Some(run(
            "Have Valgrind",
            "command -v valgrind || { sudo apt-get update --quiet && sudo apt-get install --yes --quiet valgrind; }",
            vec![],
        )),
        // The keys by which Debian's packages are verified.
        Requirement::NewerHaproxy => Some(run(
            "Have Debian's keys",
            "dpkg -s debian-archive-keyring || { sudo apt-get update --quiet && sudo apt-get install --yes --quiet \
             debian-archive-keyring; }",
            vec![],
        )),
        // A machine of GitHub's is thrown away after the job. On any other, the engine may run somebody else's containers.
        Requirement::OwnEngine => Some(run(
            "Start an engine that may be restarted",
            "[ \"$MACHINE\" != github-hosted ] || { sudo systemctl stop docker.socket docker.service containerd.service && \
             sudo ops/scripts/start-engine.sh; }",
            vec![filled("MACHINE", Context::MachineOwner, None)],
        )),
        // These are within reach there.
        Requirement::Browser
        | Requirement::ContainerEngine
        | Requirement::Root
        | Requirement::AdvisoryDatabase
        | Requirement::NpmAudits
        | Requirement::GoAdvisories => None,
    }
}

/// Whether one of its gates at least does.
pub fn needs_root(platform: &Platform, group: GateGroup) -> bool {
    of_group(platform, group).any(|gate| gate.requires.contains(&Requirement::Root))
}

/// The same command as root, with the caller's programs and caches.
pub fn as_root(command: &str) -> String {
    format!("sudo --preserve-env env \"PATH=$PATH\" \"HOME=$HOME\" {command}")
}

/// After [`as_root`]: later steps are the caller's.
pub fn own_again() -> Step {
    let command = "sudo chown --recursive \"$(id --user):$(id --group)\" .flowship target";
    Step { when: Condition::Always, ..run("Take ownership of the files that root wrote", command, vec![]) }
}

fn keep_results(actions: &Actions<'_>, group: GateGroup) -> Step {
    let with = vec![
        ("name", format!("results-{}", group.name()).into()),
        ("path", RESULTS.into()),
        ("include-hidden-files", "true".into()),
        ("if-no-files-found", "warn".into()),
    ];
    Step { when: Condition::Always, ..uses("Upload the results", actions.upload, with) }
}

/// So long the gates of a group may take, one after the other.
pub fn limit_minutes(platform: &Platform, group: GateGroup) -> u16 {
    limit(of_group(platform, group))
}

/// So long all gates may take.
pub fn limit_of_all(platform: &Platform) -> u16 {
    limit(platform.gates.iter())
}

fn limit<'a>(gates: impl Iterator<Item = &'a Gate>) -> u16 {
    let seconds: u32 = gates.map(|gate| gate.limit_seconds).sum();
    // GitHub ends any job after six hours.
    u16::try_from(seconds.div_ceil(60) + AROUND_GATES).unwrap_or(u16::MAX).min(360)
}

pub fn of_group(platform: &Platform, group: GateGroup) -> impl Iterator<Item = &Gate> {
    platform.gates.iter().filter(move |gate| gate.group == group)
}
