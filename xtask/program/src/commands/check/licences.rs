//! `cargo xtask check licences`: what every crate and npm package says of its licence, against the allowed ones.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use vocabulary::problem::listing;

use super::findings_file;
use crate::context::Context;
use crate::tools::{NpmProject, Program, Toolbox, progress};
use foundation::exit::{Reported, refused};
use foundation::files::{self, Ignored};
use foundation::stdout;
use judges::checks::licences::{self, POLICY, Package, Policy};
use runner::plan::show::waits_for_cargo;

const CRATES: &str = "Cargo.lock";
const NPM: &str = "package-lock.json";

/// # Errors
/// Reported when there is a finding; refused when the policy cannot be read; otherwise when a package cannot be looked
/// at.
pub fn run(context: &Context) -> Result<()> {
    let policy = fs::read_to_string(context.path(POLICY)).map_err(|error| error.to_string());
    let policy = policy.and_then(|text| Policy::read(&text)).map_err(|problem| {
        refused(format!("{POLICY}: {problem}; expected the allowed licences, see docs/security.md"))
    })?;
    let toolbox = Toolbox::open(context)?;
    let mut packages = crates(context, &toolbox)?;
    let of_crates = packages.len();
    for lock in npm_locks(&context.root)? {
        packages.extend(npm_packages(context, &toolbox, &lock)?);
    }
    let of_npm = packages.len() - of_crates;
    if of_crates == 0 || of_npm == 0 {
        bail!("{of_crates} crates and {of_npm} npm packages were found; expected at least one of each");
    }
    let findings = licences::judge(&packages, &policy);
    findings_file::write(context, "licences", "flowship", env!("CARGO_PKG_VERSION"), &findings)?;
    if context.json {
        stdout::json(&json!({ "crates": of_crates, "npm_packages": of_npm, "findings": findings }))?;
    } else {
        let found =
            if findings.is_empty() { "every licence is allowed".to_owned() } else { listing(&findings) };
        stdout::text(&format!("{found}\nchecked {of_crates} crates and {of_npm} production npm packages\n"))?;
    }
    if findings.is_empty() {
        return Ok(());
    }
    eprintln!("use another package, or allow its licence in {POLICY}; see docs/security.md");
    Err(Reported.into())
}

fn crates(context: &Context, toolbox: &Toolbox) -> Result<Vec<Package>> {
    let lock = fs::read_to_string(context.path(CRATES))
        .map_err(|error| refused(format!("{CRATES}: {error}; expected the lock of the Cargo workspace")))?;
    let cargo = toolbox.path(Program::Cargo)?;
    let metadata = |more: &[&str]| -> Result<(Output, String)> {
        let mut command = Command::new(&cargo);
        command.args(["metadata", "--format-version=1", "--locked"]).args(more).current_dir(&context.root);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("cargo cannot be run")?;
        let errors = BufReader::new(child.stderr.take().context("cargo has no standard error")?);
        // Shown at once: another cargo may hold the lock for minutes.
        let reading = thread::spawn(move || {
            let lines = errors.lines().map_while(Result::ok);
            let shown = lines.inspect(|line| {
                if waits_for_cargo(line) {
                    eprintln!("{line}");
                }
            });
            shown.collect::<Vec<_>>().join("\n")
        });
        let output = child.wait_with_output()?;
        Ok((output, reading.join().expect("reading does not panic")))
    };
    // The crates of other systems are not on a machine that has only built for its own.
    let (mut output, mut said) = metadata(&["--offline"])?;
    if !output.status.success() {
        (output, said) = metadata(&[])?;
    }
    if !output.status.success() {
        bail!("cargo does not describe the crates; run `cargo fetch --locked` first\n{}", said.trim());
    }
    licences::crates(&output.stdout, &lock, CRATES).map_err(|problem| anyhow::anyhow!("{CRATES}: {problem}"))
}

/// The locks of all npm projects of the tree, by their path below the root. What lies in a folder `tests` is data of
/// tests: nobody installs by it.
pub fn npm_locks(root: &Path) -> Result<Vec<PathBuf>> {
    let passed_by = |part: &OsStr| part == "tests" || part.as_encoded_bytes().starts_with(b".");
    let is_lock =
        |path: &PathBuf| path.ends_with(NPM) && !path.iter().any(passed_by) && root.join(path).exists();
    Ok(files::sources(root, Ignored::ByAnybody)?.into_iter().filter(is_lock).collect())
}

fn npm_packages(context: &Context, toolbox: &Toolbox, lock: &Path) -> Result<Vec<Package>> {
    let name = lock.display().to_string();
    let text = fs::read_to_string(context.path(lock)).with_context(|| name.clone())?;
    let found =
        licences::npm_packages(&text, &name).map_err(|problem| refused(format!("{name}: {problem}")))?;
    let project = context.path(lock.parent().unwrap_or(lock));
    // The lock holds what the registry told; what it left out stands in the package itself.
    let untold = found.iter().any(|(_, package)| package.licence.is_none());
    if untold && !project.join("node_modules").exists() {
        toolbox.npm_modules(NpmProject { folder: &project }, progress::on_stderr().as_ref())?;
    }
    let with_own = |(folder, package): (String, Package)| {
        let licence = package.licence.clone().or_else(|| {
            let manifest = fs::read(project.join(folder).join("package.json")).ok()?;
            licences::licence_of_manifest(&serde_json::from_slice::<Value>(&manifest).ok()?)
        });
        Package { licence, ..package }
    };
    Ok(found.into_iter().map(with_own).collect())
}
