//! `cargo xtask check npm-advisories`: what the npm registry knows of the packages in production.

use anyhow::{Result, bail};
use serde_json::json;

use super::advisories::{results, shown, today, verdict};
use super::findings_file;
use super::licences::npm_locks;
use crate::context::Context;
use crate::judging::advisory_policy;
use crate::judging::npm_audit::{audit, control};
use crate::tools::{Tool, Toolbox, progress};
use foundation::stdout;
use judges::checks::advisories;
use judges::checks::licences::Kind;

/// # Errors
/// Reported when there is a finding; refused when the policy or a lock cannot be read; otherwise when the registry answers
/// no audits.
pub fn run(context: &Context) -> Result<()> {
    let policy = advisory_policy(context)?;
    let toolbox = Toolbox::open(context)?;
    toolbox.ensure(&[Tool::Node], progress::on_stderr().as_ref())?;
    control(&toolbox, &policy)?;
    let locks = npm_locks(&context.root)?;
    if locks.is_empty() {
        bail!("{}: there is no package-lock.json, so there is nothing to check", context.root.display());
    }
    let mut found = Vec::new();
    for lock in &locks {
        let project = context.path(lock.parent().unwrap_or(lock));
        found.extend(audit(&toolbox, &policy, &project, &lock.display().to_string())?);
    }
    let findings = advisories::judge(found, &policy, Kind::Npm, &today());
    let version = toolbox.locked_version(Tool::Node)?;
    findings_file::write(context, "npm-advisories", "npm audit", &version, &results(&findings))?;
    if context.json {
        stdout::json(&json!({ "locks": locks, "findings": findings }))?;
    } else {
        let mut text = shown(&findings, "no advisories for any production npm package");
        text += &format!(
            "checked {}\n",
            locks.iter().map(|lock| lock.display().to_string()).collect::<Vec<_>>().join(", ")
        );
        stdout::text(&text)?;
    }
    verdict(&findings, false)
}
