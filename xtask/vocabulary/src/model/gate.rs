//! Quality gates: what must hold before a change lands.

use serde::{Deserialize, Serialize};

/// One gate of `cargo xtask ci`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// As typed on the command line.
    pub id: &'static str,
    pub group: GateGroup,
    pub checks: &'static str,
    /// Run in order; the first that fails ends the gate.
    pub commands: Vec<GateCommand>,
    /// Gates that must have ended, well or not, before this one starts: they use the same scarce thing.
    pub after: Vec<&'static str>,
    /// What the machine must have; without it the gate is not run, which the summary says with the reason.
    pub requires: Vec<Requirement>,
    pub reads: Reads,
    /// The test that plants a fault and sees this gate fail, as `FILE::NAME` with the file below the root: a gate that
    /// never failed proves nothing. The evidence of a release names it.
    pub negative_control: &'static str,
    /// What to do when it fails.
    pub remedy: &'static str,
    /// Seconds after which it is stopped and has failed.
    pub limit_seconds: u32,
}

impl Gate {
    /// The programs that it runs, and those that these call.
    pub fn programs(&self) -> impl Iterator<Item = &'static str> + use<'_> {
        self.commands
            .iter()
            .flat_map(|command| [command.program].into_iter().chain(command.calls.iter().copied()))
    }
}

/// Gates that need the same of a machine: the CI workflow has a job for each group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GateGroup {
    /// Files are read, little is built.
    Sources,
    /// Rust is built and tested.
    Rust,
    /// Node-RED and PostgreSQL run as processes.
    Node,
    /// Secrets, advisories, licences.
    Security,
    /// Containers run.
    Containers,
    /// What takes too long for every change: it runs each week and before a release.
    Slow,
}

impl GateGroup {
    /// As it is written in tables and as the id of its job.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sources => "sources",
            Self::Rust => "rust",
            Self::Node => "node",
            Self::Security => "security",
            Self::Containers => "containers",
            Self::Slow => "slow",
        }
    }
}

/// What a gate's judgement depends on, besides its programs and their arguments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reads {
    /// These files, and all in these folders, as paths below the root. While none has changed since the gate passed, it
    /// would pass again.
    Files(#[serde(borrow)] Vec<&'static str>),
    /// All files, what git has staged of them, and every commit that leads to the one that is checked out.
    History,
    /// More than the machine holds, such as what is published on the network: an earlier result tells nothing.
    World,
}

impl Reads {
    /// Whether a change of this file, a path below the root, may change the judgement.
    #[must_use]
    pub fn concerns(&self, path: &str) -> bool {
        match self {
            Self::Files(files) => files.iter().any(|file| lies_in(path, file)),
            Self::History | Self::World => true,
        }
    }
}

/// Whether a path is this file, or lies in this folder.
fn lies_in(path: &str, file: &str) -> bool {
    path.strip_prefix(file).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What no program of the catalogue can bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Requirement {
    /// One that answers and can build.
    ContainerEngine,
    /// One that answers, and that the gate may stop, kill and start: this repository's script started it, and nobody
    /// else uses it.
    OwnEngine,
    /// The caller is root.
    Root,
    /// The tools that read the coverage of what this Rust compiler builds.
    LlvmTools,
    /// It counts instructions.
    Valgrind,
    /// Chromium, or a browser that is driven as it is.
    Browser,
    /// HAProxy of a later version than the oldest that runs the edge.
    NewerHaproxy,
    /// The RustSec database, given or within reach.
    AdvisoryDatabase,
    /// An npm registry that tells of advisories; mirrors often do not.
    NpmAudits,
    /// A Go module proxy that has the Go vulnerability database.
    GoAdvisories,
}

impl Requirement {
    /// Whether only somebody outside the machine can answer it.
    #[must_use]
    pub const fn is_outside(self) -> bool {
        matches!(self, Self::AdvisoryDatabase | Self::NpmAudits | Self::GoAdvisories)
    }

    /// Why a gate is not run without it.
    #[must_use]
    pub fn absent(self) -> &'static str {
        match self {
            Self::ContainerEngine => "no container engine",
            Self::OwnEngine => "no engine that may be restarted",
            Self::Root => "the caller is not root",
            Self::LlvmTools => "no LLVM tools",
            Self::Valgrind => "no Valgrind",
            Self::Browser => "no browser",
            Self::NewerHaproxy => "no newer HAProxy",
            Self::AdvisoryDatabase => "no advisory database",
            Self::NpmAudits => "the npm registry answers no audits",
            Self::GoAdvisories => "no Go vulnerability database",
        }
    }
}

/// One program of a gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateCommand {
    /// Name in the catalogue of programs, or `xtask` for this very program.
    pub program: &'static str,
    pub arguments: Vec<&'static str>,
    /// Programs of the catalogue that it calls by name: they are put on its PATH.
    pub calls: Vec<&'static str>,
    /// Folder below the root in which it runs.
    pub folder: &'static str,
    pub evidence: Evidence,
    /// How it tells its findings to programs that show them beside the code.
    pub sarif: Option<Sarif>,
    pub proof: Proof,
}

impl GateCommand {
    /// The name by which gates call this very program.
    pub const XTASK: &str = "xtask";
}

/// Why it is believed when a program finds nothing: one that does nothing finds nothing either.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// Before it judges the tree, it finds a fault that was planted for it.
    PlantedFault(PlantedFault),
    /// For this very program where it judges alone: its tests, which are built from the same sources.
    OwnTests,
    /// For this very program where it calls others: how it sees that they do their work, as a sentence.
    InCommand(&'static str),
}

/// Files with a fault in them, and how a program is asked about them. It runs in the folder of its command, so that
/// the same configuration is in force, and must exit with another code than 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlantedFault {
    /// In a folder that is made for them and removed.
    pub files: Vec<PlantedFile>,
    pub arguments: Vec<PlantedArgument>,
    /// What it must print, and the files do not hold: a program that prints what it reads finds nothing.
    pub finding: &'static str,
}

/// One of the files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlantedFile {
    pub name: &'static str,
    pub text: &'static str,
}

/// One argument for the program that is to find a planted fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PlantedArgument {
    Word(&'static str),
    /// The path of a file in the folder of the planted ones; `.` is the folder.
    Path(&'static str),
}

/// How a program tells its findings in SARIF 2.1.0, the format in which GitHub and editors take them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sarif {
    /// It leaves this file, a path below the root, whether it finds something or not. Below `target/xtask/sarif/`.
    File(&'static str),
    /// Called with these arguments instead of its own, it writes them to standard output. That is done after it failed.
    Instead(#[serde(borrow)] Vec<&'static str>),
}

/// What the output of a program must show besides its exit code: a run of no tests exits with 0 too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// The exit code tells all.
    ExitCode,
    /// At least one test passed, no test program was without one, and no more were ignored than may be, as `cargo test`
    /// sums them up.
    CargoTests,
    /// The same of test files, as the spec reporter of `node --test` writes it.
    NodeTests,
}
