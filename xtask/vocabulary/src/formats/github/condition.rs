//! When a job or a step runs.

use super::{Expression, Needed};

/// When a job or a step runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// When all before it has succeeded.
    Succeeded,
    /// Also after failures, and when the run is being cancelled.
    Always,
    /// Also after failures.
    NotCancelled,
    /// When all before it has succeeded and this holds.
    Holds(Test),
    /// Also after failures, when this holds.
    NotCancelledAnd(Test),
}

/// Something that is true or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    Equals(Expression, &'static str),
    /// The run is of this branch, and not of a tag of the same name.
    OnBranch(&'static str),
    /// One at least of the needed jobs ended so.
    AnyEnded(Outcome),
    Not(Box<Test>),
    All(Vec<Test>),
    Any(Vec<Test>),
}

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Success,
    Failure,
    Cancelled,
    Skipped,
}

impl Outcome {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
        }
    }
}

impl Test {
    /// A needed job ended so.
    #[must_use]
    pub fn ended(job: Needed, outcome: Outcome) -> Self {
        Self::Equals(Expression::Result(job), outcome.name())
    }

    /// Every expression that it looks at.
    pub(super) fn expressions(&self) -> Vec<&Expression> {
        match self {
            Self::Equals(expression, _) => expression.walk(),
            Self::OnBranch(_) | Self::AnyEnded(_) => vec![],
            Self::Not(test) => test.expressions(),
            Self::All(tests) | Self::Any(tests) => tests.iter().flat_map(Test::expressions).collect(),
        }
    }
}

impl Condition {
    pub(super) fn test(&self) -> Option<&Test> {
        match self {
            Self::Succeeded | Self::Always | Self::NotCancelled => None,
            Self::Holds(test) | Self::NotCancelledAnd(test) => Some(test),
        }
    }
}
