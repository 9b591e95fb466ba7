//! `cargo xtask check advisories`: cargo-audit over Cargo.lock.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use serde_json::json;
use vocabulary::problem::{Problem, listing};

use super::findings_file;
use crate::context::Context;
use crate::judging::advisory_database::{self, Database};
use crate::judging::advisory_policy;
use crate::tools::{Program, Tool, Toolbox, progress};
use foundation::clock;
use foundation::exit::{Reported, refused};
use foundation::files::temporary;
use foundation::stdout;
use judges::checks::advisories::{self, CONTROL_ADVISORY, CONTROL_LOCK, CargoReport, POLICY, Policy};
use judges::checks::licences::Kind;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask check advisories
  cargo xtask check advisories --advisory-db advisory-db.tar.gz

Without --advisory-db, the database is downloaded once a day from github.com/RustSec/advisory-db.")]
pub struct Options {
    /// The RustSec advisory database: a folder, or a .tar.gz of one
    #[arg(long, value_name = "DIR|FILE", env = advisory_database::GIVEN)]
    advisory_db: Option<PathBuf>,
}

const LOCK: &str = "Cargo.lock";
const TOOL: &str = "cargo-audit";

/// # Errors
/// Reported when there is a finding, or the database is too old to tell; refused when the policy, the lock or a given
/// database cannot be read; otherwise when there is no database.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    let policy = advisory_policy(context)?;
    let lock = fs::read_to_string(context.path(LOCK))
        .map_err(|error| refused(format!("{LOCK}: {error}; expected the lock of the Cargo workspace")))?;
    let toolbox = Toolbox::open(context)?;
    toolbox.ensure(&[Tool::CargoAudit, Tool::Git], progress::on_stderr().as_ref())?;
    let given = options.advisory_db.as_deref().filter(|path| !path.as_os_str().is_empty());
    let database = advisory_database::obtain(&toolbox, given)?;

    let (control, _) = audit(&toolbox, &database, CONTROL_LOCK)?;
    if !control.names(CONTROL_ADVISORY) {
        bail!(
            "{} lacks {CONTROL_ADVISORY}, which every complete database contains, so its results mean nothing",
            database.origin
        );
    }
    let (report, unknown) = audit(&toolbox, &database, &lock)?;
    let found = report.findings(&policy, &lock, LOCK);
    let findings = advisories::judge(found, &policy, Kind::Crate, &today());
    let age = database.age_days();
    let version = toolbox.locked_version(Tool::CargoAudit)?;
    findings_file::write(context, "advisories", TOOL, &version, &results(&findings))?;
    if context.json {
        stdout::json(&json!({
            "crates": report.lockfile.dependency_count,
            "advisories": report.database.advisory_count,
            "database": database.origin,
            "newest_advisory": database.newest,
            "age_days": age,
            "unknown_whether_yanked": unknown,
            "findings": findings,
        }))?;
    } else {
        let mut text = shown(&findings, "no advisories for any crate");
        text += &format!(
            "checked {} crates against {} advisories, the newest {age} days old, from {} ({})\n",
            report.lockfile.dependency_count,
            report.database.advisory_count,
            database.newest,
            database.origin
        );
        if unknown > 0 {
            text += &format!(
                "NOT CHECKED whether {unknown} crates were withdrawn: cargo's index is not on this machine\n"
            );
        }
        stdout::text(&text)?;
    }
    verdict(&findings, stale(age, &policy))
}

/// Whether a database of this age, in days, tells nothing any more. Warns when it is old.
pub fn stale(age: u64, policy: &Policy) -> bool {
    let limits = policy.database;
    let useless = age > limits.useless_after_days;
    if useless || age > limits.old_after_days {
        let limit = if useless { limits.useless_after_days } else { limits.old_after_days };
        let word = if useless { "error" } else { "warning" };
        eprintln!("{word}: the database is older than {limit} days ({POLICY}): use a newer one");
    }
    useless
}

/// As `2026-11-24`, UTC.
pub fn today() -> String {
    clock::utc(clock::now_ms() / 1000)[..10].to_owned()
}

/// The findings, or the good news.
pub fn shown(findings: &[Problem], none: &str) -> String {
    let text = if findings.is_empty() { none.to_owned() } else { listing(findings) };
    text + "\n"
}

/// # Errors
/// Reported when a finding fails, or something else did.
pub fn verdict(findings: &[Problem], failed: bool) -> Result<()> {
    let heavy = findings.iter().any(Problem::is_error);
    if heavy {
        eprintln!("update to a fixed version, or tolerate it for a time in {POLICY}; see docs/security.md");
    }
    if heavy || failed { Err(Reported.into()) } else { Ok(()) }
}

pub fn results(findings: &[Problem]) -> Vec<Problem> {
    findings.iter().filter(|one| one.is_error()).cloned().collect()
}

/// The report on a lock file, and of how many crates it could not be told whether they were withdrawn.
fn audit(toolbox: &Toolbox, database: &Database, lock: &str) -> Result<(CargoReport, usize)> {
    let program = toolbox.path(Program::CargoAudit)?;
    // A configuration of the tree's or the user's must not have it look away: it reads the first that it finds, this one.
    let nowhere = temporary::folder("flowship-advisories-")?;
    fs::create_dir(nowhere.path().join(".cargo"))?;
    fs::write(nowhere.path().join(".cargo/audit.toml"), "")?;
    let folder = database.folder.as_os_str();
    let output = duct::cmd(
        &program,
        ["audit", "--no-fetch", "--stale", "--json", "--file", "-", "--db"]
            .map(std::ffi::OsStr::new)
            .iter()
            .chain([&folder]),
    )
    .dir(nowhere.path())
    .stdin_bytes(lock)
    .stdout_capture()
    .stderr_capture()
    .unchecked()
    .run()
    .with_context(|| format!("{} cannot be run", program.display()))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let report = CargoReport::read(&output.stdout)
        .map_err(|error| anyhow::anyhow!("{TOOL} writes no report: {error}\n{}", said.trim()))?;
    let unknown =
        said.lines().filter(|line| line.contains("couldn't check if the package is yanked")).count();
    Ok((report, unknown))
}
