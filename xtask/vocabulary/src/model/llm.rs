//! The model's endpoint: somebody else's in production, a stand-in of ours while developing.

use serde::{Deserialize, Serialize};

use super::{PortRef, SecretRef};

/// What is used where an environment names no provider, and which secret is the provider's key where it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LlmEndpoint {
    pub stand_in: PortRef,
    /// Path of the stand-in's base URL.
    pub path: &'static str,
    /// The model that the stand-in answers as.
    pub model: &'static str,
    pub key: SecretRef,
}
