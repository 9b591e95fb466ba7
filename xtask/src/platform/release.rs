//! How releases are made: from which branch, and what must have passed; whom operators trust.

/// The branch that holds what is released.
pub const BRANCH: &str = "main";
/// The check that a commit must have passed: the job of the CI workflow that needs all others.
pub const REQUIRED_CHECK: &str = "Required";

/// The project's minisign public key, the line that begins with `RW`: `release verify` believes it and no other. None
/// while the project has no key; then the operator says whom to believe.
pub const PUBLIC_KEY: Option<&str> = None;
