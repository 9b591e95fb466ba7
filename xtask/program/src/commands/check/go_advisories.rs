//! `cargo xtask check go-advisories`: govulncheck over the services' programs that are written in Go.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde_json::json;
use vocabulary::model::environment::Environment;
use vocabulary::problem::Place;

use super::advisories::{results, shown, stale, today, verdict};
use super::findings_file;
use crate::context::Context;
use crate::engines::process::observe::program_names;
use crate::judging::advisory_policy;
use crate::judging::go_database::{self, Database, is_go};
use crate::tools::{Program, Tool, Toolbox, programs, progress};
use foundation::stdout;
use judges::checks::advisories;
use judges::checks::go_vulnerabilities::{CONTROL_ADVISORY, CONTROL_MODULE, Report};
use judges::checks::licences::Kind;

const LOCK: &str = "ops/ci/requirements.txt";

/// # Errors
/// Reported when there is a finding, or the database is too old to tell; refused when the policy cannot be read;
/// otherwise when there is no database, or a program cannot be read.
pub fn run(context: &Context) -> Result<()> {
    let policy = advisory_policy(context)?;
    let toolbox = Toolbox::open(context)?;
    let tools = programs::tools(program_names(
        &context.platform.units(&Environment::default()),
        &Environment::default(),
    ))?;
    let tools: Vec<Tool> = tools.into_iter().filter(|tool| tool.distribution().is_some()).collect();
    toolbox.ensure(&[&tools[..], &[Tool::Govulncheck]].concat(), progress::on_stderr().as_ref())?;
    let database = go_database::obtain(&toolbox)?;
    let control = scan(&toolbox, &database, "query", CONTROL_MODULE.as_ref())?;
    if !control.describes(CONTROL_ADVISORY) {
        bail!("{} lacks {CONTROL_ADVISORY}, which every complete database contains", database.version);
    }
    let lock = std::fs::read_to_string(context.path(LOCK)).with_context(|| LOCK.to_owned())?;
    let (mut found, mut checked) = (Vec::new(), Vec::new());
    for tool in tools {
        let program = toolbox.path(tool.program())?;
        if !is_go(&toolbox, &program)? {
            continue;
        }
        let report = scan(&toolbox, &database, "binary", &program)?;
        let name = tool.program().command();
        if report.modules() == 0 {
            bail!("{}: govulncheck finds no modules in it, so its result means nothing", program.display());
        }
        let block = format!("{}==", tool.distribution().unwrap_or_default());
        let line = lock.lines().position(|line| line.starts_with(&block)).map_or(1, |at| at + 1);
        let version = toolbox.locked_version(tool)?;
        found.extend(report.findings(&Place::line(LOCK, line), name, policy.go.fail_from));
        checked.push(format!("{name} {version} ({} modules)", report.modules()));
    }
    if checked.is_empty() {
        bail!("none of the services' programs is written in Go, so there is nothing to check");
    }
    let findings = advisories::judge(found, &policy, Kind::Go, &today());
    let version = toolbox.locked_version(Tool::Govulncheck)?;
    findings_file::write(context, "go-advisories", "govulncheck", &version, &results(&findings))?;
    let age = database.age_days();
    if context.json {
        stdout::json(&json!({
            "programs": checked,
            "advisories": database.advisories,
            "database": database.version,
            "newest_change": database.newest,
            "age_days": age,
            "findings": findings,
        }))?;
    } else {
        let mut text = shown(&findings, "no advisories for any program of the services");
        text += &format!(
            "checked {} against {} advisories, last changed {age} days ago, on {}\n",
            checked.join(", "),
            database.advisories,
            database.newest
        );
        stdout::text(&text)?;
    }
    verdict(&findings, stale(age, &policy))
}

fn scan(toolbox: &Toolbox, database: &Database, mode: &str, what: &Path) -> Result<Report> {
    let program = toolbox.path(Program::Govulncheck)?;
    let words = ["-db", &database.url, "-mode", mode, "-format", "json"].map(std::ffi::OsStr::new);
    let output = duct::cmd(&program, words.into_iter().chain([what.as_os_str()]))
        .stdin_null()
        .stdout_capture()
        .stderr_capture()
        .unchecked()
        .run()
        .with_context(|| format!("{} cannot be run", program.display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("govulncheck cannot check {}: {}", what.display(), said.trim());
    }
    Report::read(&output.stdout).with_context(|| format!("govulncheck writes no report\n{}", said.trim()))
}
