//! Steps of a job.

use super::{Condition, Value};

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Only a step with an id has outputs.
    pub id: Option<&'static str>,
    pub name: &'static str,
    pub when: Condition,
    /// What it puts out and others may use.
    pub outputs: Vec<&'static str>,
    pub does: Does,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Does {
    Uses {
        action: Pin,
        with: Vec<(&'static str, Value)>,
    },
    /// `environment` is the only way for an expression into a command.
    Run {
        command: String,
        environment: Vec<Variable>,
    },
}

/// An environment variable of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    pub name: &'static str,
    pub value: Given,
    /// What stands for it where the step is run without GitHub. None: the step cannot do without the real one.
    pub elsewhere: Option<&'static str>,
}

/// What a variable is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Given {
    Value(Value),
    Secret(Secret),
}

/// A secret of the repository or of the job's environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Secret {
    pub name: &'static str,
}

/// An action at one commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pin {
    pub name: &'static str,
    /// 40 hexadecimal digits.
    pub commit: &'static str,
    /// Written beside the commit for people and update tools.
    pub version: &'static str,
}

/// A handle on an output of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepOutput {
    /// None when the step has no id.
    pub(super) step: Option<&'static str>,
    pub(super) name: &'static str,
}

impl Step {
    /// An output of it, for later steps of its job and for the job's own outputs. It must be declared.
    #[must_use]
    pub fn output(&self, name: &'static str) -> StepOutput {
        StepOutput { step: self.id, name }
    }
}
