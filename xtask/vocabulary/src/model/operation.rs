//! Operations of the API: what a request to each may hold. Their time limits are the flows' own, for each route.

use serde::{Deserialize, Serialize};

/// One method on one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    pub method: &'static str,
    /// Below [`super::EdgePolicy::path`]; `{name}` is one segment of any text.
    pub path: &'static str,
    pub purpose: &'static str,
    /// The edge refuses a larger body, in bytes; 0 where it takes none.
    pub body_limit_bytes: u32,
}

impl Operation {
    /// The path with this in the place of each `{name}`.
    #[must_use]
    pub fn path_with(&self, segment: &str) -> String {
        let segments = self.path.split('/').map(|part| if part.starts_with('{') { segment } else { part });
        segments.collect::<Vec<_>>().join("/")
    }
}
