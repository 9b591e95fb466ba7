//! How releases are made: from which branch, and what must have passed.

/// The branch that holds what is released.
pub const BRANCH: &str = "main";
/// The check that a commit must have passed: the job of the CI workflow that needs all others.
pub const REQUIRED_CHECK: &str = "Required";
