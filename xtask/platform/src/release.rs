//! How releases are made: from which branch, what must have passed and for which machines; whom operators trust.

use vocabulary::model::{Architecture, ReleasePolicy};

pub fn policy() -> ReleasePolicy {
    ReleasePolicy {
        branch: "main",
        required_check: "Required",
        architectures: vec![Architecture::X86_64, Architecture::Aarch64],
        public_keys: vec![],
    }
}
