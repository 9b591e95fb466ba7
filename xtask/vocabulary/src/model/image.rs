//! Container images that services run from.

use serde::{Deserialize, Serialize};

/// Where a service's image comes from. A digest is never invented.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Image {
    /// Somebody else's image.
    Pinned {
        /// Name and tag.
        reference: &'static str,
        /// `sha256:` and 64 hexadecimal digits, of the multi-architecture index.
        digest: &'static str,
    },
    /// Ours, built from this Dockerfile's target.
    Built { dockerfile: &'static str, target: &'static str },
    /// Its digest is not known yet; nothing that would run it is emitted.
    Pending { reason: &'static str },
    /// Not a container: runs only as a process, or outside the platform.
    None,
}
