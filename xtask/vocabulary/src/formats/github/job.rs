//! Jobs, and the handles by which others refer to them.

use super::{Concurrency, Condition, InputValue, Permission, Secret, Step, StepOutput, Value};

/// A job, referred to by its value: see [`needs`] and [`Job::output`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    pub id: &'static str,
    pub name: &'static str,
    /// The whole set: what is not listed is `none`.
    pub permissions: Vec<Permission>,
    pub needs: Vec<Needed>,
    pub when: Condition,
    /// None: as many at a time as there are runs of the workflow.
    pub concurrency: Option<Concurrency>,
    pub environment: Option<Deployment>,
    /// Whether it changes what users get: then it has an environment and a concurrency of its own, and neither it nor what
    /// it needs takes anything from a cache.
    pub publishes: bool,
    pub matrix: Option<Matrix>,
    pub outputs: Vec<Output>,
    pub work: Work,
}

/// What a job does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    Steps {
        machine: Machine,
        limit_minutes: u16,
        steps: Vec<Step>,
    },
    /// Runs another workflow of this repository. Each secret that it gets is named.
    Calls {
        /// Below the root: `.github/workflows/NAME.yml`.
        workflow: &'static str,
        with: Vec<(&'static str, Value)>,
        secrets: Vec<(&'static str, Secret)>,
    },
}

/// Machines of GitHub. Others keep what an earlier job left behind, so there are no words for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Machine {
    Ubuntu2404,
    Ubuntu2404Arm,
}

/// A place to which is published; GitHub's settings of it hold who must agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deployment {
    pub name: DeploymentName,
    pub reviewers: Reviewers,
}

/// How a workflow names such a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeploymentName {
    Fixed(&'static str),
    /// Whoever starts the workflow chooses it.
    Input(InputValue),
}

/// Whether somebody must agree before the job starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reviewers {
    Required,
    Nobody,
}

/// The job runs once for each combination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matrix {
    pub axes: Vec<Axis>,
    /// Whether the first that fails ends the others.
    pub fail_fast: bool,
}

/// What varies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Axis {
    pub name: &'static str,
    pub values: Vec<&'static str>,
}

/// A handle on the value that an axis has in one run of the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AxisValue {
    pub(super) axis: &'static str,
}

/// What a job hands to those that need it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output {
    pub name: &'static str,
    pub from: StepOutput,
}

/// A handle on an output of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobOutput {
    pub(super) job: &'static str,
    pub(super) name: &'static str,
}

/// A handle on an earlier job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needed(pub(super) &'static str);

/// Handles on jobs that exist.
#[must_use]
pub fn needs(jobs: &[&Job]) -> Vec<Needed> {
    jobs.iter().map(|job| job.handle()).collect()
}

impl Job {
    /// A handle on it.
    #[must_use]
    pub fn handle(&self) -> Needed {
        Needed(self.id)
    }

    /// An output of it, for jobs that need it. It must be declared.
    #[must_use]
    pub fn output(&self, name: &'static str) -> JobOutput {
        JobOutput { job: self.id, name }
    }

    /// Its steps; none when it calls another workflow.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        match &self.work {
            Work::Steps { steps, .. } => steps,
            Work::Calls { .. } => &[],
        }
    }
}

impl Needed {
    /// The job's id.
    #[must_use]
    pub fn id(self) -> &'static str {
        self.0
    }
}

impl Axis {
    /// Its value in one run of the job that has it.
    #[must_use]
    pub fn value(&self) -> AxisValue {
        AxisValue { axis: self.name }
    }
}

impl DeploymentName {
    /// The name, or the input that holds it, as an expression calls it.
    #[must_use]
    pub fn text(self) -> String {
        match self {
            Self::Fixed(name) => name.to_owned(),
            Self::Input(input) => format!("inputs.{}", input.name),
        }
    }
}

impl Machine {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Ubuntu2404 => "ubuntu-24.04",
            Self::Ubuntu2404Arm => "ubuntu-24.04-arm",
        }
    }
}
