//! How long a newcomer waits for this program, and a developer after an edit.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use duct::cmd;

use super::sample::{Figure, figure, timed};
use crate::context::Context;
use foundation::files::temporary;
use foundation::interrupt::Interrupt;

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
    cmd!(
        "cargo",
        "clean",
        "--quiet",
        "--target-dir",
        target.path(),
        "--package",
        "xtask",
        "--package",
        "vocabulary"
    )
    .dir(&context.root)
    .stderr_null()
    .run()
    .context("cargo clean")?;
    let ours = timed(&mut build)?;
    touch(&context.path("xtask/platform/src/lib.rs"))?;
    let edit = timed(&mut build)?;
    let one = |what: &str, time: Duration| figure(what, &[time], None);
    Ok(vec![
        one("cold debug build, all", whole),
        one("of it: dependencies", whole.saturating_sub(ours)),
        one("of it: ours", ours),
        one("build after an edit of platform/", edit),
    ])
}

/// Makes cargo take a file for changed.
fn touch(path: &Path) -> Result<()> {
    File::options().write(true).open(path)?.set_modified(SystemTime::now())?;
    Ok(())
}
