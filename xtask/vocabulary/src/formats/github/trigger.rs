//! What starts a workflow.

/// What starts a workflow. The dangerous ones (`pull_request_target`, `workflow_run`) do not exist here: they run what a
/// stranger wrote with the rights of the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trigger {
    PullRequest {
        /// GitHub's own choice when there is none: opened, synchronize, reopened.
        events: Vec<PullRequestEvent>,
        /// Only changes of files that match one of these; any when there is none.
        paths: Vec<&'static str>,
    },
    /// A merge queue asks whether pull requests may be merged, which it has put together on a branch of its own.
    MergeGroup,
    Push {
        branches: Vec<&'static str>,
        tags: Vec<&'static str>,
        paths: Vec<&'static str>,
    },
    /// Five cron fields, UTC.
    Schedule(&'static str),
    /// By hand.
    Manual {
        inputs: Vec<Input>,
    },
    /// By another workflow.
    Called {
        inputs: Vec<Input>,
        secrets: Vec<super::Secret>,
    },
}

/// What happens to a pull request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullRequestEvent {
    Opened,
    Synchronize,
    Reopened,
    /// Its title, its text or the branch that it wants to change.
    Edited,
    Labeled,
    Unlabeled,
}

/// What who starts a workflow is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Input {
    pub name: &'static str,
    pub about: &'static str,
    pub required: bool,
    pub kind: InputKind,
}

/// What can be given, and what holds when nothing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputKind {
    Text {
        default: &'static str,
    },
    Flag {
        default: bool,
    },
    Choice {
        options: &'static [&'static str],
        default: &'static str,
    },
    /// One of the repository's environments. It has no default.
    Environment,
}

/// A handle on what was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InputValue {
    pub(super) name: &'static str,
}

impl Input {
    /// What was given. The workflow must declare the input.
    #[must_use]
    pub fn value(&self) -> InputValue {
        InputValue { name: self.name }
    }
}

impl Trigger {
    /// GitHub's word.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Trigger::PullRequest { .. } => "pull_request",
            Trigger::MergeGroup => "merge_group",
            Trigger::Push { .. } => "push",
            Trigger::Schedule(_) => "schedule",
            Trigger::Manual { .. } => "workflow_dispatch",
            Trigger::Called { .. } => "workflow_call",
        }
    }

    pub(super) fn inputs(&self) -> &[Input] {
        match self {
            Trigger::Manual { inputs } | Trigger::Called { inputs, .. } => inputs,
            _ => &[],
        }
    }
}

impl PullRequestEvent {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Synchronize => "synchronize",
            Self::Reopened => "reopened",
            Self::Edited => "edited",
            Self::Labeled => "labeled",
            Self::Unlabeled => "unlabeled",
        }
    }
}
