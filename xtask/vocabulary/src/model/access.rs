//! What people may do, by role: one table. Policies of the secret store and the pages for reviewers derive from it.

use serde::{Deserialize, Serialize};

/// A role that people have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// Lower-case letters and dashes.
    pub id: &'static str,
    pub who: &'static str,
    pub editor: EditorAccess,
    pub secrets: Vec<SecretRight>,
    pub dashboards: Dashboards,
    pub approves: Vec<Approval>,
    /// Whether they log in to hosts, as the user that runs the services.
    pub login: bool,
    /// What they run on environments, as typed after the program's name.
    pub commands: Vec<&'static str>,
}

/// Whether they change flows in Node-RED's editor, which runs what is typed there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EditorAccess {
    None,
    /// On their own machine: no other tier opens the editor.
    Development,
}

/// What they may do in the secret store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SecretRight {
    /// Names, and when each was changed.
    List,
    /// Write a new value, without seeing any.
    Replace,
    Read,
    /// Copy the sealed store, for backups.
    Snapshot,
    /// Close it for everybody, at once.
    Seal,
}

impl SecretRight {
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::List => "list names and ages",
            Self::Replace => "replace values",
            Self::Read => "read values",
            Self::Snapshot => "take snapshots",
            Self::Seal => "seal",
        }
    }
}

/// The role in Grafana.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dashboards {
    None,
    Viewer,
    Editor,
    Admin,
}

impl Dashboards {
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::None => "-",
            Self::Viewer => "Viewer",
            Self::Editor => "Editor",
            Self::Admin => "Admin",
        }
    }
}

/// The environments on GitHub whose required reviewers they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Approval {
    Release,
    Staging,
    Production,
}

impl Approval {
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Staging => "of tier staging",
            Self::Production => "of tier production",
        }
    }
}
