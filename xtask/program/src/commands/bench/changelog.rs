//! How long the changelog of a long history takes, beside git-cliff on the same repository.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use duct::cmd;

use super::sample::{Figure, figure, times};
use crate::context::Context;
use crate::tools::{Program, Tool, Toolbox, progress};
use foundation::files::temporary;
use foundation::interrupt::Interrupt;

const COMMITS: usize = 10_000;
/// A release after so many commits.
const EACH: usize = 250;

pub fn measure(context: &Context, runs: usize, _interrupt: &Interrupt) -> Result<Vec<Figure>> {
    let toolbox = Toolbox::open(context)?;
    toolbox.ensure(&[Tool::GitCliff], progress::on_stderr().as_ref())?;
    let cliff = toolbox.path(Program::GitCliff)?;
    let folder = temporary::folder("flowship-bench-")?;
    let repository = folder.path();
    make(repository)?;
    let peer = || cmd!(&cliff, "--workdir", repository).dir(repository).stderr_null().read();
    let this = std::env::current_exe()?;
    let root = ["--root".as_ref(), repository.as_os_str()];
    let ours = || {
        let words =
            ["release", "notes", "--all", "--from-commits"].map(AsRef::as_ref).into_iter().chain(root);
        cmd(&this, words).read()
    };
    // Whoever leaves something out is quick: both have every release, every feature and every mended fault.
    for (who, text) in [("git-cliff", peer().context("git-cliff")?), ("this program", ours()?)] {
        let releases = text.lines().filter(|line| line.starts_with("## ")).count();
        let told = (0..COMMITS).filter(|number| kind(*number).is_some_and(|kind| kind != "chore"));
        let text = text.to_lowercase();
        let missing = told.filter(|number| !text.contains(&format!("thing {number} of"))).count();
        ensure!(
            releases >= COMMITS / EACH && missing == 0,
            "{who}: {releases} releases, {missing} entries missing"
        );
    }
    let peer = figure(
        "git-cliff, 10,000 commits",
        &times(runs, &mut || peer().map(drop).map_err(Into::into))?,
        None,
    );
    let ours = times(runs, &mut || ours().map(drop).map_err(Into::into))?;
    let ours = figure("release notes --all, 10,000 commits", &ours, Some(&peer));
    Ok(vec![peer, ours])
}

/// The type of a commit; every fifth one is not in the form of Conventional Commits.
fn kind(number: usize) -> Option<&'static str> {
    ["feat", "fix", "chore", "perf"].get(number % 5).copied()
}

/// A repository with a history of one line, tags of releases and real bodies, made in one go.
fn make(folder: &Path) -> Result<()> {
    let mut stream = String::from("blob\nmark :1\ndata 2\na\n\n");
    for number in 0..COMMITS {
        let time = 1_600_000_000 + number * 3600;
        let message = match kind(number) {
            Some(kind) => format!(
                "{kind}(room{}): make thing {number} of the house\n\nBecause of {number}.\n",
                number % 7
            ),
            None => format!("Make thing {number} of the house\n"),
        };
        let who = format!("A <a@example.org> {time} +0000");
        // Writing to a string cannot fail.
        let _ = write!(
            stream,
            "commit refs/heads/main\nmark :{}\ncommitter {who}\ndata {}\n{message}M 100644 :1 f{}\n",
            number + 2,
            message.len(),
            number % 100
        );
        if number % EACH == EACH - 1 {
            let version = number / EACH + 1;
            let _ = write!(stream, "tag v0.{version}.0\nfrom :{}\ntagger {who}\ndata 2\nx\n\n", number + 2);
        }
    }
    cmd!("git", "init", "--quiet", "--initial-branch=main").dir(folder).run()?;
    cmd!("git", "fast-import", "--quiet").dir(folder).stdin_bytes(stream).run()?;
    cmd!("git", "reset", "--quiet", "--hard").dir(folder).run()?;
    Ok(())
}
