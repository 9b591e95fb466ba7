//! What the npm registry knows of packages.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail};
use vocabulary::problem::Problem;

use super::advisory_policy;

use crate::context::Context;
use crate::tools::{Program, Tool, Toolbox, progress};
use foundation::exit::refused;
use foundation::files::temporary;
use judges::checks::advisories::{self, CONTROL_NPM, CONTROL_NPM_LOCK, CONTROL_NPM_MANIFEST, Policy};

/// Whether the registry answers audits: it must name a package that is known to be vulnerable. Installs Node.js when that
/// is missing, as only npm knows which registry the user has set.
///
/// # Errors
/// Why not.
pub fn within_reach(toolbox: &Toolbox, context: &Context) -> Result<()> {
    toolbox.ensure(&[Tool::Node], progress::on_stderr().as_ref())?;
    control(toolbox, &advisory_policy(context)?)
}

/// Has it audit a package that is known to be vulnerable.
///
/// # Errors
/// It does not answer, or does not name that package.
pub fn control(toolbox: &Toolbox, policy: &Policy) -> Result<()> {
    let project = temporary::folder("flowship-npm-")?;
    fs::write(project.path().join("package.json"), CONTROL_NPM_MANIFEST)?;
    fs::write(project.path().join("package-lock.json"), CONTROL_NPM_LOCK)?;
    let found = audit(toolbox, policy, project.path(), "package-lock.json")?;
    if found.iter().any(|finding| finding.place.subject == CONTROL_NPM) {
        return Ok(());
    }
    bail!("the registry has no advisory for {CONTROL_NPM} 0.0.8, so its results mean nothing")
}

/// What it knows of the packages of a project in production; findings name its lock by `name`.
///
/// # Errors
/// npm or the registry does not answer.
pub fn audit(toolbox: &Toolbox, policy: &Policy, project: &Path, name: &str) -> Result<Vec<Problem>> {
    let lock = fs::read_to_string(project.join("package-lock.json"))
        .map_err(|error| refused(format!("{name}: {error}")))?;
    let arguments = [
        "audit",
        "--json",
        "--omit=dev",
        "--package-lock-only",
        "--audit-level=info",
        "--loglevel=error",
        "--no-update-notifier",
        "--fetch-retries=1",
        "--fetch-retry-mintimeout=500",
        "--fetch-timeout=20000",
    ];
    let argv = toolbox.invocation(Program::Npm)?.argv(arguments);
    let output = duct::cmd(&argv[0], &argv[1..])
        .dir(project)
        .stdin_null()
        .stdout_capture()
        .stderr_capture()
        .unchecked()
        .run()
        .context("npm cannot be run")?;
    advisories::npm_findings(&output.stdout, policy, &lock, name).map_err(|problem| {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.trim();
        if said.is_empty() { anyhow!("{problem}") } else { anyhow!("{problem}\n{said}") }
    })
}
