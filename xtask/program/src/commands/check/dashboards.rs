//! `cargo xtask check dashboards`: Grafana's own schema reads the generated dashboards.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde_json::json;

use crate::context::Context;
use crate::tools::{Program, Tool, Toolbox, progress};
use foundation::exit::{Reported, refused};
use foundation::files;
use foundation::stdout;

const FOLDER: &str = artifacts::dashboards::FOLDER;
/// Not even the title is a text.
const FAULT: &str = "{ \"title\": 1 }";

/// # Errors
/// Reported when the schema does not allow something; refused when there are no dashboards; otherwise when the judge cannot be
/// had, or allows a fault.
pub fn run(context: &Context) -> Result<()> {
    let pages = pages(&context.path(FOLDER))?;
    let toolbox = Toolbox::open(context)?;
    toolbox.ensure(&[Tool::DashboardCheck], progress::on_stderr().as_ref())?;
    let argv = toolbox.invocation(Program::DashboardCheck)?.argv([] as [&str; 0]);
    let version = toolbox.locked_version(Tool::DashboardCheck)?;

    let folder = files::temporary::folder("flowship-dashboards-")?;
    let planted = folder.path().join("planted.json");
    fs::write(&planted, FAULT)?;
    if judge(&argv, &[planted])?.is_empty() {
        bail!("Grafana's schema {version} accepts a title that is a number: it checks nothing");
    }
    let findings = judge(&argv, &pages)?;
    if context.json {
        stdout::json(&json!({ "schema": version, "dashboards": pages.len(), "findings": findings }))?;
    }
    if !findings.is_empty() {
        findings.iter().for_each(|finding| eprintln!("{finding}"));
        return Err(Reported.into());
    }
    if !context.json {
        stdout::text(&format!("Grafana's schema {version} accepts {} dashboards\n", pages.len()))?;
    }
    Ok(())
}

fn pages(folder: &Path) -> Result<Vec<PathBuf>> {
    let refuse = |error: &dyn std::fmt::Display| {
        refused(format!("{FOLDER}: {error}; run `cargo xtask generate`, which writes the dashboards there"))
    };
    let entries = fs::read_dir(folder).map_err(|error| refuse(&error))?;
    let mut pages = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    pages.retain(|page| page.extension().is_some_and(|ending| ending == "json"));
    pages.sort();
    if pages.is_empty() { Err(refuse(&"there is no dashboard")) } else { Ok(pages) }
}

/// What is wrong with these pages, a line each.
fn judge(argv: &[OsString], pages: &[PathBuf]) -> Result<Vec<String>> {
    let files = pages.iter().map(|page| page.as_os_str());
    let command = duct::cmd(&argv[0], argv[1..].iter().map(OsString::as_os_str).chain(files));
    let output = command.stdin_null().stdout_capture().stderr_capture().unchecked().run();
    let output = output.with_context(|| Path::new(&argv[0]).display().to_string())?;
    let findings: Vec<_> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
    if output.status.success() != findings.is_empty() || !output.stderr.is_empty() {
        bail!("dashboard-check ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(findings)
}
