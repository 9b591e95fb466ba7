//! The judges of `checks`, given what they judge: files of a tree, and what programs and registries answer.

pub mod advisory_database;
pub mod code;
pub mod flows;
pub mod go_database;
pub mod migrations;
pub mod npm_audit;

use std::fs;

use anyhow::Result;

use crate::context::Context;
use foundation::exit::refused;
use judges::checks::advisories::{POLICY, Policy};

/// What is done about advisories.
///
/// # Errors
/// Refused when it cannot be read.
pub fn advisory_policy(context: &Context) -> Result<Policy> {
    let text = fs::read_to_string(context.path(POLICY)).map_err(|error| error.to_string());
    text.and_then(|text| Policy::read(&text))
        .map_err(|problem| refused(format!("{POLICY}: {problem}; see docs/security.md")))
}
