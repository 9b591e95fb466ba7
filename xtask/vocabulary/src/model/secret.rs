//! Secrets: who makes them, who reads them, how often they change. Never a value.

use serde::{Deserialize, Serialize};

use super::SecretRef;

/// One secret of the platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    pub name: SecretRef,
    pub purpose: &'static str,
    pub source: SecretSource,
    /// Days after which it is replaced.
    pub rotate_after_days: u16,
}

/// Where a secret's value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecretSource {
    /// Made by Flowship from the system's random numbers: this many bytes, written as lower-case hexadecimal.
    Generated { bytes: u8 },
    /// Given by somebody else. In development, where nobody gives one, it is made as above with 24 bytes.
    Provided { by: &'static str },
}

impl SecretSource {
    /// Random bytes for a value made by Flowship. 24 bytes are 192 bits, above the 128 that NIST SP 800-63B
    /// asks of a look-up secret.
    #[must_use]
    pub fn bytes(self) -> u8 {
        match self {
            SecretSource::Generated { bytes } => bytes,
            SecretSource::Provided { .. } => 24,
        }
    }
}

/// A service reads a secret, always from a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretUse {
    pub secret: SecretRef,
    /// The variable that holds the file's path (ends in `_FILE`); none where the service's own configuration
    /// names the path.
    pub variable: Option<&'static str>,
}
