//! Secrets: what kind each is, who makes it, who reads it, how often it changes. Never a value.

use serde::{Deserialize, Serialize};

use super::SecretRef;

/// One secret of the platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    pub name: SecretRef,
    pub purpose: &'static str,
    pub kind: SecretKind,
    pub source: SecretSource,
    /// Days after which it is replaced.
    pub rotate_after_days: u16,
}

/// What a secret is for its readers. How a value is replaced, how a new one is proven to work and an old one to be refused
/// follow from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecretKind {
    /// What services that run log in to the database with: `USER:PASSWORD`, or the password alone, which is that of `role`.
    /// Two login roles, members of `role`, take turns, so that both values are valid while readers change over.
    DatabaseLogin { role: &'static str },
    /// The password of a database role that nothing stays logged in as.
    DatabasePassword { role: &'static str },
    /// A value that our own services ask of their callers. Both values are accepted while callers change over.
    BearerToken,
    /// A key of somebody else's API, who issues and revokes it.
    ProviderKey,
    /// A certificate with its chain and its private key, one PEM file.
    CertificatePair,
    /// What a service takes over only when it is set up: somebody has to change it in that service too.
    AccountPassword,
}

impl SecretKind {
    /// The login roles that take turns.
    #[must_use]
    pub fn logins(self) -> Option<[String; 2]> {
        match self {
            Self::DatabaseLogin { role } => Some(["a", "b"].map(|turn| format!("{role}_{turn}"))),
            _ => None,
        }
    }

    /// How it is replaced, in words.
    #[must_use]
    pub fn rotation(self) -> &'static str {
        match self {
            Self::DatabaseLogin { .. } => "two login roles take turns",
            Self::DatabasePassword { .. } => "the role gets a new password",
            Self::BearerToken => "both values are accepted while it changes",
            Self::ProviderKey => "you give the new one",
            Self::CertificatePair => "the edge reads the new pair",
            Self::AccountPassword => "by hand",
        }
    }
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
