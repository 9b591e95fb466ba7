//! How releases are made: from which branch, what must have passed and for which machines; whom operators trust.

use vocabulary::model::Architecture;

/// The branch that holds what is released.
pub const BRANCH: &str = "main";
/// The check that a commit must have passed: the job of the CI workflow that needs all others.
pub const REQUIRED_CHECK: &str = "Required";

/// What operators' machines are. The bundle of a release is for the first, and is packaged on such a machine; each other gets
/// the operator's program in an archive of its own.
pub const ARCHITECTURES: [Architecture; 2] = [Architecture::X86_64, Architecture::Aarch64];

/// Where `release package` puts a release, below the root.
pub const ARTIFACTS: &str = "target/release-artifacts";
/// Where `release operator` puts a program, below the root.
pub const OPERATORS: &str = "target/release-operators";

/// The project's minisign public key, the line that begins with `RW`: `release verify` believes it and no other. None
/// while the project has no key; then the operator says whom to believe.
pub const PUBLIC_KEY: Option<&str> = None;
