//! `cargo xtask check npm-advisories`: what the npm registry knows of the packages in production.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::json;

use super::advisories::{listing, policy, results, today, verdict};
use super::findings_file;
use super::licences::npm_locks;
use crate::checks::advisories::{self, CONTROL_NPM, CONTROL_NPM_LOCK, CONTROL_NPM_MANIFEST, Finding, Policy};
use crate::checks::licences::Kind;
use crate::context::Context;
use crate::exit::refused;
use crate::files::temporary;
use crate::stdout;
use crate::tools::{Program, Tool, Toolbox, progress};

/// # Errors
/// Reported when there is a finding; refused when the policy or a lock cannot be read; otherwise when the registry answers
/// no audits.
pub fn run(context: &Context) -> Result<()> {
    let policy = policy(context)?;
    let toolbox = Toolbox::open(context)?;
    toolbox.ensure(&[Tool::Node], progress::on_stderr().as_ref())?;
    control(&toolbox, &policy)?;
    let locks = npm_locks(&context.root)?;
    if locks.is_empty() {
        bail!("{}: there is no package-lock.json, so nothing to ask about", context.root.display());
    }
    let mut found = Vec::new();
    for lock in &locks {
        let project = context.path(lock.parent().unwrap_or(lock));
        found.extend(audit(&toolbox, &policy, &project, &lock.display().to_string())?);
    }
    let findings = advisories::judge(found, &policy, Kind::Npm, &today());
    let version = toolbox.locked_version(Tool::Node)?;
    findings_file::write(context, "npm-advisories", "npm audit", version, &results(&findings))?;
    if context.json {
        stdout::json(&json!({ "locks": locks, "findings": findings }))?;
    } else {
        let mut text = listing(&findings, "no advisory against any npm package of production");
        text += &format!(
            "asked about {}\n",
            locks.iter().map(|lock| lock.display().to_string()).collect::<Vec<_>>().join(", ")
        );
        stdout::text(&text)?;
    }
    verdict(&findings, false)
}

/// Whether the registry answers audits: it must name a package that is known to be vulnerable. Installs Node.js when that
/// is missing, as only npm knows which registry the user has set.
///
/// # Errors
/// Why not.
pub fn within_reach(toolbox: &Toolbox, context: &Context) -> Result<()> {
    toolbox.ensure(&[Tool::Node], progress::on_stderr().as_ref())?;
    control(toolbox, &policy(context)?)
}

fn control(toolbox: &Toolbox, policy: &Policy) -> Result<()> {
    let project = temporary::folder("flowship-npm-")?;
    fs::write(project.path().join("package.json"), CONTROL_NPM_MANIFEST)?;
    fs::write(project.path().join("package-lock.json"), CONTROL_NPM_LOCK)?;
    let found = audit(toolbox, policy, project.path(), "package-lock.json")?;
    if found.iter().any(|finding| finding.package == CONTROL_NPM) {
        return Ok(());
    }
    bail!("the registry knows of no advisory against {CONTROL_NPM} 0.0.8, so that its silence tells nothing")
}

fn audit(toolbox: &Toolbox, policy: &Policy, project: &Path, name: &str) -> Result<Vec<Finding>> {
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
