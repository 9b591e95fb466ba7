//! How changes of the platform itself are reviewed.

use serde::{Deserialize, Serialize};

/// What a change of the platform needs before it lands, besides its gates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// The label that a reviewer sets on a pull request with a change of one of the classes below.
    pub label: &'static str,
    pub asked_for: Vec<ChangeClass>,
}

/// What a change of the platform does to its safety.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeClass {
    /// Something can be reached that could not be: a new edge, a port shown to more.
    WidensReach,
    /// Something is held back, kept or looked at less: memory, time, an alert, a gate. Also what nobody classified.
    LoosensLimit,
    /// Somebody may read or do what they could not.
    NewPermission,
    Neutral,
}

impl ChangeClass {
    /// As people read it.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            ChangeClass::WidensReach => "widens reach",
            ChangeClass::LoosensLimit => "loosens a limit",
            ChangeClass::NewPermission => "new permission",
            ChangeClass::Neutral => "neutral",
        }
    }
}
