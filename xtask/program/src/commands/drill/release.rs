//! Which releases the drill deploys.

use std::path::PathBuf;

use anyhow::Result;

use super::draw::Draw;
use super::fault::{self, Fault};
use crate::load_test::packages::Packages;

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    First,
    /// As the first, with other flows.
    Second,
    Broken(Fault),
}

impl Release {
    /// What a draw deploys after `current`.
    pub fn after(current: Self, draw: Draw) -> Self {
        match (draw.fault, current) {
            (Some(fault), _) => Self::Broken(fault),
            (_, Self::First) => Self::Second,
            _ => Self::First,
        }
    }

    /// Its files.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn get(self, packages: &mut Packages) -> Result<PathBuf> {
        match self {
            Self::First => packages.get("first", &|_| Ok(())),
            Self::Second => packages.get("second", &fault::revise),
            Self::Broken(fault) => packages.get(fault.words(), &|tree| fault.plant(tree)),
        }
    }
}
