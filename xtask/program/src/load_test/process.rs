//! A service of the platform as a process of this one, not of a supervisor.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};
use vocabulary::model::Unit;

use crate::engines::process::instance::COMPILE_CACHE;
use crate::engines::process::resolve::Resolver;
use crate::tools::{Program, Toolbox};

/// The command that starts a unit which Node.js runs. What it prints is dropped.
///
/// # Errors
/// It is no process, or Node.js is not installed.
pub fn command(toolbox: &Toolbox, resolver: &Resolver<'_>, unit: &Unit<'_>) -> Result<Command> {
    let process = unit.service.process.as_ref();
    let process = process.with_context(|| format!("{} is no process", unit.name()))?;
    let told = &process.commands[0];
    let mut command = Command::new(toolbox.path(Program::Node)?);
    command
        .args(told.arguments.iter().filter_map(|argument| resolver.value(unit, argument)))
        .envs(resolver.variables(unit, told))
        .env(COMPILE_CACHE, resolver.instance.compile_cache())
        .current_dir(resolver.working_folder(process))
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    Ok(command)
}
