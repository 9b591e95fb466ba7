//! Builds a release's commit again under other circumstances, and compares the bytes.

use std::collections::BTreeMap;
use std::fs;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::fs::Mode;
use rustix::process::{Pid, Signal, kill_process, umask};
use serde::Serialize;
use tempfile::TempDir;

use vocabulary::model::ReleasePolicy;

use super::{FOLDER, images, programs};
use crate::commands::release::{operator, operator_build};
use crate::context::Context;
use foundation::digest;
use foundation::exit::{Interrupted, refused};
use foundation::files::{self, temporary};
use foundation::interrupt::Interrupt;
use shipping::release::commit::git;
use shipping::release::gzip::StrictGzip;
use shipping::release::manifest::{self, Kind, Manifest};
use shipping::release::provenance::{self, Statement};
use shipping::release::safe_read::{self, Expected, Found};
use shipping::release::{description, ledger, sums};

/// Between two looks at a build that takes minutes.
const LOOK: Duration = Duration::from_millis(50);
/// Other than any that a release is made under.
const UMASK: u32 = 0o077;
const SURROUNDINGS: [(&str, &str); 3] = [("LC_ALL", "C"), ("LANG", "C"), ("TZ", "Pacific/Kiritimati")];

/// Where the files that came out otherwise stay, below the root: so that a person can look into them.
const KEPT: &str = "target/release-rebuilt";

/// What came of it.
#[derive(Debug, Default, Serialize)]
pub struct Rebuilt {
    /// Where the new build differs from the release.
    pub differences: Vec<String>,
    /// What was released, each with the other thing that was made of the same commit.
    pub differing: Vec<(PathBuf, PathBuf)>,
    /// What this machine cannot build: nothing is said of it.
    pub not_built: Vec<String>,
    pub images: Vec<images::Compared>,
}

impl Rebuilt {
    pub fn is_good(&self) -> bool {
        self.differences.is_empty() && self.images.iter().all(images::Compared::is_good)
    }

    /// For people.
    pub fn text(&self) -> String {
        let aside = if self.images.is_empty() { "" } else { ", images aside" };
        let same = self.differences.is_empty().then(|| format!("✓ rebuild: the same bytes{aside}\n"));
        let differences = self.differences.iter().map(|told| format!("✗ rebuild: {told}\n"));
        let not_built = self.not_built.iter().map(|told| format!("- rebuild: NOT BUILT AGAIN: {told}\n"));
        let differing = self.differing.iter().map(|(released, again)| {
            format!("  to see the differences: diffoscope {} {}\n", released.display(), again.display())
        });
        let images = self.images.iter().map(images::Compared::text);
        let about = (!self.images.is_empty()).then(images::explained);
        let told = same.into_iter().chain(differences).chain(differing);
        told.chain(images).chain(about).chain(not_built).collect()
    }

    /// Puts what differs to where it outlives the scratch folder.
    fn kept(mut self, scratch: &Path, kept: &Path) -> Result<Self> {
        let keep = |path: &mut PathBuf, folder: &Path| -> Result<()> {
            if path.starts_with(scratch) {
                let place = folder.join(path.file_name().unwrap_or_default());
                let copied = fs::create_dir_all(folder).and_then(|()| fs::copy(&*path, &place));
                copied.with_context(|| format!("cannot keep {}", place.display()))?;
                *path = place;
            }
            Ok(())
        };
        for (released, again) in &mut self.differing {
            keep(released, &kept.join("released"))?;
            keep(again, kept)?;
        }
        Ok(self)
    }
}

/// Builds the commit of the release in `folder` again, as far as this machine can.
///
/// # Errors
/// The commit is not here, or cannot be built; what differs cannot be kept; refused when nothing of the release is for this machine.
pub fn rebuild(
    context: &Context,
    folder: &Path,
    manifest: &Manifest,
    statement: &Statement,
    operator_binary: Option<&Path>,
) -> Result<Rebuilt> {
    let release = &manifest.release;
    let own = operator_build::own_architecture()?.target();
    let others = programs::targets(manifest);
    if own != release.target && !others.contains(&own) {
        return Err(refused(format!(
            "nothing in the release is for {own}: build it again on a machine of the kind {}",
            release.target
        )));
    }
    let kept = context.path(KEPT);
    if kept.exists() {
        fs::remove_dir_all(&kept).with_context(|| format!("cannot remove {}", kept.display()))?;
    }
    let again = Again::new(context, &release.commit)?;
    let folder = folder.canonicalize()?;
    if own != release.target {
        let found = program(&again, &folder, manifest, own, operator_binary)?;
        let rest =
            format!("all but {}: for {}", description::operator(&release.version, own), release.target);
        return Rebuilt { not_built: vec![rest], ..found }.kept(again.scratch.path(), &kept);
    }
    let images = images::compare(context, &again, &folder, manifest)?;
    let mut command = again.command()?;
    command
        .args([
            "release",
            "package",
            "--unsigned",
            "--images",
            if images.is_empty() { "none" } else { "all" },
        ])
        .args(["--builder", statement.builder().unwrap_or_default()])
        .arg("--evidence")
        .arg(folder.join(ledger::FILE));
    if let Some(file) = operator_binary {
        command.arg("--operator-binary").arg(file.canonicalize()?);
    }
    if !others.is_empty() {
        let programs = again.scratch.path().join("operators");
        for target in &others {
            programs::unpack(&folder, manifest, target, &programs)?;
        }
        command.arg("--operators").arg(programs);
    }
    if !images.is_empty() {
        // With these, everything that names them must be the same, byte for byte, whatever came of comparing them.
        command.arg("--image-archives").arg(&folder);
    }
    again.run(&mut command)?;
    let not_built =
        others.iter().map(|target| format!("the program for {target}: run this command on such a machine"));
    let found = compare(&folder, &again.tree.join(FOLDER), manifest)?;
    Rebuilt { not_built: not_built.collect(), images, ..found }.kept(again.scratch.path(), &kept)
}

/// The program for this machine, when the bundle is for another.
fn program(
    again: &Again,
    folder: &Path,
    manifest: &Manifest,
    own: &str,
    operator_binary: Option<&Path>,
) -> Result<Rebuilt> {
    let released = again.scratch.path().join("operators");
    programs::unpack(folder, manifest, own, &released)?;
    let released = released.join(operator::file_name(own));
    let built = match operator_binary {
        Some(file) => file.to_owned(),
        None => {
            again.run(again.command()?.args(["release", "operator"]))?;
            again.tree.join(ReleasePolicy::OPERATORS).join(operator::file_name(own))
        }
    };
    if digest::of_file(&released)? == digest::of_file(&built)? {
        return Ok(Rebuilt::default());
    }
    let name = description::operator(&manifest.release.version, own);
    let at = first_byte(&released, &built)?;
    Ok(Rebuilt {
        differences: vec![format!("{name}: the program differs from byte {at}")],
        differing: vec![(released, built)],
        ..Rebuilt::default()
    })
}

/// The commit in another place.
pub struct Again {
    pub scratch: TempDir,
    pub tree: PathBuf,
    cargo_home: PathBuf,
    commit: String,
    interrupt: Interrupt,
}

impl Again {
    fn new(context: &Context, commit: &str) -> Result<Self> {
        let scratch = temporary::folder("flowship-again-")?;
        let tree = scratch.path().join("another/place/of/the/tree");
        fs::create_dir_all(&tree)?;
        eprintln!("building {commit} again in {}", tree.display());
        // Files of the tree become files of images.
        let own = umask(Mode::from_raw_mode(UMASK));
        let checked_out = check_out(context, commit, &tree);
        umask(own);
        checked_out?;
        let cargo_home = scratch.path().join("cargo");
        lend_downloads(&cargo_home)?;
        Ok(Self { scratch, tree, cargo_home, commit: commit.to_owned(), interrupt: Interrupt::listen()? })
    }

    /// This program on that tree, under other circumstances; its arguments are to be added.
    pub fn command(&self) -> Result<Command> {
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!("umask {UMASK:04o}; exec \"$@\""), "sh"])
            .arg(std::env::current_exe()?)
            .arg("--root")
            .arg(&self.tree)
            .envs(SURROUNDINGS)
            .env("CARGO_HOME", &self.cargo_home)
            .current_dir(self.scratch.path())
            .stdout(std::io::stderr());
        Ok(command)
    }

    pub fn run(&self, command: &mut Command) -> Result<()> {
        let mut child = command.spawn().context("cannot run this program again")?;
        let mut told = false;
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            // A Ctrl-C reaches it from the terminal.
            if !told && self.interrupt.signal() == Some(signal_hook::consts::SIGTERM) {
                kill_process(Pid::from_child(&child), Signal::TERM)?;
                told = true;
            }
            std::thread::sleep(LOOK);
        };
        self.go_on()?;
        if !status.success() {
            bail!("the commit {} cannot be built again: {status}; see above", self.commit);
        }
        Ok(())
    }

    /// # Errors
    /// Somebody wants this run to end: what it has made elsewhere goes with its owner.
    pub fn go_on(&self) -> Result<()> {
        match self.interrupt.signal() {
            Some(signal) => Err(Interrupted { signal }.into()),
            None => Ok(()),
        }
    }
}

/// A clone of its own, so that neither this checkout nor its git folder changes.
fn check_out(context: &Context, commit: &str, tree: &Path) -> Result<()> {
    let to = tree.to_string_lossy().into_owned();
    let from = context.root.to_string_lossy().into_owned();
    git(&context.root, &["clone", "--quiet", "--no-checkout", "--no-hardlinks", &from, &to])?;
    git(tree, &["-c", "advice.detachedHead=false", "checkout", "--quiet", "--detach", commit]).map_err(
        |error| {
            refused(format!(
                "{error:#}; the commit of the release is not in {from}: fetch its tag, or run this command in its \
                 checkout"
            ))
        },
    )?;
    Ok(())
}

/// What cargo has downloaded, so that no network is needed; sources are unpacked anew.
fn lend_downloads(cargo_home: &Path) -> Result<()> {
    let own = match std::env::var_os("CARGO_HOME") {
        Some(folder) => PathBuf::from(folder),
        None => std::env::home_dir().unwrap_or_default().join(".cargo"),
    };
    fs::create_dir_all(cargo_home)?;
    for part in ["registry/index", "registry/cache", "config.toml"] {
        lend(&own.join(part), &cargo_home.join(part))?;
    }
    Ok(())
}

pub fn lend(from: &Path, to: &Path) -> Result<()> {
    for entry in walkdir::WalkDir::new(from).into_iter().filter_map(Result::ok) {
        let below = entry.path().strip_prefix(from)?;
        // Joining an empty path would add a slash.
        let target = if below.as_os_str().is_empty() { to.to_owned() } else { to.join(below) };
        if entry.file_type().is_file() {
            fs::create_dir_all(target.parent().unwrap_or(to))?;
            fs::copy(entry.path(), &target).with_context(|| entry.path().display().to_string())?;
        }
    }
    Ok(())
}

fn compare(released: &Path, again: &Path, manifest: &Manifest) -> Result<Rebuilt> {
    // Images are the released ones here: they were compared by their contents.
    let names = manifest.artifacts.iter().filter(|artifact| artifact.kind != Kind::Image);
    let names = names.map(|artifact| artifact.name.as_str());
    let statements = [manifest::FILE, provenance::FILE, sums::FILE];
    let Rebuilt { mut differences, mut differing, .. } = Rebuilt::default();
    for name in names.chain(statements) {
        let (one, other) = (released.join(name), again.join(name));
        if !other.is_file() {
            differences.push(format!("{name}: was not built again"));
        } else if digest::of_file(&one)? != digest::of_file(&other)? {
            let inside = (name == description::bundle(&manifest.release.version))
                .then(|| first_entry(&one, &other, manifest))
                .transpose()?
                .flatten();
            let at = match inside {
                Some(entry) => format!("the first entry that differs is {entry}"),
                None => format!("they differ from byte {}", first_byte(&one, &other)?),
            };
            differences.push(format!("{name}: the bytes differ; {at}"));
            differing.push((one, other));
        }
    }
    if !differences.is_empty() {
        differences.extend(other_tools(manifest, again)?);
    }
    Ok(Rebuilt { differences, differing, ..Rebuilt::default() })
}

fn first_byte(one: &Path, other: &Path) -> Result<usize> {
    let (one, other) = (files::read(one, files::ARCHIVE)?.bytes, files::read(other, files::ARCHIVE)?.bytes);
    Ok(one.iter().zip(&other).position(|(left, right)| left != right).unwrap_or(one.len().min(other.len())))
}

fn first_entry(one: &Path, other: &Path, manifest: &Manifest) -> Result<Option<String>> {
    let top = description::top(&manifest.release.version);
    let entries = |path: &Path| -> Result<BTreeMap<String, Found>> {
        let stream = StrictGzip::new(BufReader::new(files::open_within(path, files::ARCHIVE)?));
        let expected = Expected { top: &top, mtime: manifest.release.committed };
        Ok(safe_read::read(stream, &expected, &|_| false).entries)
    };
    let (one, other) = (entries(one)?, entries(other)?);
    Ok(one.keys().chain(other.keys()).filter(|path| one.get(*path) != other.get(*path)).min().cloned())
}

/// The likely reason.
fn other_tools(manifest: &Manifest, again: &Path) -> Result<Vec<String>> {
    let Ok(now) = manifest::read(again)? else { return Ok(Vec::new()) };
    let told = &manifest.release.tools;
    let differs = |(name, version): &(&String, &String)| told.get(*name) != Some(*version);
    let tell = |(name, version): (&String, &String)| {
        let then = told.get(name).map_or("absent", String::as_str);
        format!("built with {name} {version}; the release with {then}")
    };
    Ok(now.release.tools.iter().filter(differs).map(tell).collect())
}
