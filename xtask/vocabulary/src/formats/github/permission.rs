//! What a job's token may be used for.

/// One permission; what a job does not list it does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permission {
    pub scope: Scope,
    pub access: Access,
    /// What it is needed for; written beside it.
    pub why: &'static str,
}

/// What it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    Actions,
    Attestations,
    Checks,
    Contents,
    Deployments,
    /// A token that tells others who this job is.
    IdToken,
    Issues,
    Packages,
    PullRequests,
    SecurityEvents,
}

/// How far it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    Read,
    Write,
}

impl Scope {
    /// GitHub's word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Actions => "actions",
            Self::Attestations => "attestations",
            Self::Checks => "checks",
            Self::Contents => "contents",
            Self::Deployments => "deployments",
            Self::IdToken => "id-token",
            Self::Issues => "issues",
            Self::Packages => "packages",
            Self::PullRequests => "pull-requests",
            Self::SecurityEvents => "security-events",
        }
    }
}

impl Access {
    /// GitHub's word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}
