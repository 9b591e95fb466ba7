//! How long a newcomer waits for this program, and a developer after an edit.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use duct::cmd;

use super::sample::{Figure, figure, timed};
use crate::context::Context;
use foundation::files::temporary;
use foundation::interrupt::Interrupt;

/// What developers change most, one file of each crate that others stand on.
const EDITED: [&str; 3] =
    ["xtask/platform/src/postgres.rs", "xtask/artifacts/src/reference.rs", "xtask/runner/src/plan/runner.rs"];

/// The crates of this workspace.
fn members(context: &Context) -> Result<Vec<OsString>> {
    let mut names = vec![OsString::from("xtask")];
    for entry in fs::read_dir(context.path("xtask"))? {
        let entry = entry?;
        if entry.path().join("Cargo.toml").is_file() {
            names.push(entry.file_name());
        }
    }
    Ok(names)
}

/// A cold build is too long to repeat: every figure is of one run.
pub fn measure(context: &Context, interrupt: &Interrupt) -> Result<Vec<Figure>> {
    let target = tempfile::tempdir_in(context.state()).or_else(|_| temporary::folder("flowship-bench-"))?;
    let mut build = || -> Result<()> {
        if interrupt.raised() {
            anyhow::bail!("interrupted");
        }
        cmd!("cargo", "build", "--quiet", "--package", "xtask", "--target-dir", target.path())
            .dir(&context.root)
            .stderr_null()
            .run()
            .context("cargo build")?;
        Ok(())
    };
    // Downloads are not part of a build.
    cmd!("cargo", "fetch", "--locked").dir(&context.root).run()?;
    let whole = timed(&mut build)?;
    let clean = ["clean", "--quiet", "--target-dir"].map(OsString::from).into_iter();
    let ours = members(context)?.into_iter().flat_map(|name| ["--package".into(), name]);
    cmd("cargo", clean.chain([target.path().into()]).chain(ours))
        .dir(&context.root)
        .stderr_null()
        .run()
        .context("cargo clean")?;
    let ours = timed(&mut build)?;
    let one = |what: &str, time: Duration| figure(what, &[time], None);
    let mut figures = vec![
        one("cold debug build, all", whole),
        one("of it: dependencies", whole.saturating_sub(ours)),
        one("of it: ours", ours),
    ];
    for file in EDITED {
        touch(&context.path(file))?;
        figures.push(one(&format!("build after an edit of {file}"), timed(&mut build)?));
    }
    Ok(figures)
}

/// Makes cargo take a file for changed.
fn touch(path: &Path) -> Result<()> {
    File::options().write(true).open(path)?.set_modified(SystemTime::now())?;
    Ok(())
}
