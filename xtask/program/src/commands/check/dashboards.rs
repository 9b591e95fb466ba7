//! `cargo xtask check dashboards`: Grafana's own schema reads the generated dashboards, and the pictures of the docs show them
//! as they are.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::{Context as _, Result, bail};
use serde_json::json;
use vocabulary::model::Platform;

use crate::context::Context;
use crate::dashboard_pictures::mark;
use crate::tools::{Program, Tool, Toolbox, progress};
use foundation::exit::{Reported, refused};
use foundation::files;
use foundation::stdout;

const FOLDER: &str = artifacts::dashboards::FOLDER;
/// Drawn by `dashboards draw`.
const PICTURES: &str = "docs/pictures";
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
    let mut findings = judge(&argv, &pages)?;
    let pictures = match of_kind(&context.path(PICTURES), "svg") {
        Err(error) if error.kind() == io::ErrorKind::NotFound => vec![],
        found => found.context(PICTURES)?,
    };
    for picture in &pictures {
        findings.extend(stale(context.platform, picture)?);
    }
    if context.json {
        stdout::json(&json!({
            "schema": version, "dashboards": pages.len(), "pictures": pictures.len(), "findings": findings,
        }))?;
    }
    if !findings.is_empty() {
        findings.iter().for_each(|finding| eprintln!("{finding}"));
        return Err(Reported.into());
    }
    if !context.json {
        stdout::text(&format!(
            "Grafana's schema {version} accepts {} dashboards, and {} pictures show them as they are\n",
            pages.len(),
            pictures.len()
        ))?;
    }
    Ok(())
}

fn pages(folder: &Path) -> Result<Vec<PathBuf>> {
    let refuse = |error: &dyn std::fmt::Display| {
        refused(format!("{FOLDER}: {error}; run `cargo xtask generate`, which writes the dashboards there"))
    };
    let pages = of_kind(folder, "json").map_err(|error| refuse(&error))?;
    if pages.is_empty() { Err(refuse(&"there is no dashboard")) } else { Ok(pages) }
}

fn of_kind(folder: &Path, ending: &str) -> io::Result<Vec<PathBuf>> {
    let mut found = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    found.retain(|path| path.extension().is_some_and(|own| own == ending));
    found.sort();
    Ok(found)
}

/// Says of a picture that its dashboard, a panel of it or a query has changed since.
fn stale(platform: &Platform, picture: &Path) -> Result<Option<String>> {
    let text = files::text(picture, files::TEXT)?;
    let id = picture.file_stem().unwrap_or_default().to_string_lossy();
    let dashboard = platform.dashboards.iter().find(|one| one.id == id);
    let name = picture.file_name().unwrap_or_default().display();
    Ok(match dashboard {
        None => Some(format!("{PICTURES}/{name}: there is no dashboard {id} any more; remove the picture")),
        Some(one) if text.contains(&mark(one)) => None,
        Some(_) => Some(format!(
            "{PICTURES}/{name}: the dashboard is another one since the picture was drawn; draw it again: \
             `cargo xtask dashboards draw ENV {id} --out {PICTURES}`"
        )),
    })
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
