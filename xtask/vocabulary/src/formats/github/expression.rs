//! What GitHub fills in when it runs a workflow.

use super::{AxisValue, InputValue, JobOutput, Needed, StepOutput, Test};

/// A text, some of which GitHub fills in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Text(String),
    Expression(Expression),
    /// One after the other.
    Joined(Vec<Value>),
}

/// What is filled in. A secret is none of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expression {
    Context(Context),
    Step(StepOutput),
    Job(JobOutput),
    /// `success`, `failure`, `cancelled` or `skipped`.
    Result(Needed),
    Input(InputValue),
    Axis(AxisValue),
    /// A variable that is set in the repository or the job's environment, and is no secret.
    Setting(&'static str),
    /// `true` or `false`.
    Holds(Box<Test>),
    /// The first that is there.
    FirstOf(Vec<Expression>),
    /// As JSON.
    Json(Box<Expression>),
    /// The hash of all files that match.
    HashOfFiles(Vec<&'static str>),
}

/// What GitHub knows of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Context {
    /// The workflow's name.
    Workflow,
    /// The branch, tag or pull request.
    Reference,
    /// The name of the branch or tag.
    ReferenceName,
    /// The commit.
    Commit,
    /// What started it.
    Event,
    Actor,
    Repository,
    RunId,
    /// The operating system of the machine.
    System,
    /// `github-hosted` for a machine that GitHub throws away after the job, `self-hosted` for any other.
    MachineOwner,
    /// A folder of the machine that is emptied after the job.
    TemporaryFolder,
    /// The token, with the permissions of the job.
    Token,
    PullRequestNumber,
    /// The commit that a pull request wants to change.
    PullRequestBase,
    /// The names of a pull request's labels, a list.
    PullRequestLabels,
}

impl Context {
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Workflow => "github.workflow",
            Self::Reference => "github.ref",
            Self::ReferenceName => "github.ref_name",
            Self::Commit => "github.sha",
            Self::Event => "github.event_name",
            Self::Actor => "github.actor",
            Self::Repository => "github.repository",
            Self::RunId => "github.run_id",
            Self::System => "runner.os",
            Self::MachineOwner => "runner.environment",
            Self::TemporaryFolder => "runner.temp",
            Self::Token => "github.token",
            Self::PullRequestNumber => "github.event.pull_request.number",
            Self::PullRequestBase => "github.event.pull_request.base.sha",
            Self::PullRequestLabels => "github.event.pull_request.labels.*.name",
        }
    }
}

impl Expression {
    /// It and all in it.
    pub(super) fn walk(&self) -> Vec<&Expression> {
        let inside = match self {
            Self::Json(inner) => inner.walk(),
            Self::FirstOf(inner) => inner.iter().flat_map(Expression::walk).collect(),
            Self::Holds(test) => test.expressions(),
            _ => vec![],
        };
        std::iter::once(self).chain(inside).collect()
    }
}

impl Value {
    /// Every expression in it.
    pub(super) fn expressions(&self) -> Vec<&Expression> {
        match self {
            Self::Text(_) => vec![],
            Self::Expression(expression) => expression.walk(),
            Self::Joined(parts) => parts.iter().flat_map(Value::expressions).collect(),
        }
    }

    /// Every text in it that is taken as it is.
    pub(super) fn texts(&self) -> Vec<&str> {
        match self {
            Self::Text(text) => vec![text],
            Self::Expression(_) => vec![],
            Self::Joined(parts) => parts.iter().flat_map(Value::texts).collect(),
        }
    }

    /// The text, when nothing in it has to be filled in.
    #[must_use]
    pub fn literal(&self) -> Option<String> {
        self.expressions().is_empty().then(|| self.texts().concat())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Expression> for Value {
    fn from(expression: Expression) -> Self {
        Self::Expression(expression)
    }
}

impl From<Context> for Expression {
    fn from(context: Context) -> Self {
        Self::Context(context)
    }
}

impl From<Context> for Value {
    fn from(context: Context) -> Self {
        Self::Expression(context.into())
    }
}
