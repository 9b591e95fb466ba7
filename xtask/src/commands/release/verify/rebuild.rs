//! Builds a release's commit again under other circumstances, and compares the bytes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use flate2::read::MultiGzDecoder;

use super::FOLDER;
use crate::context::Context;
use crate::exit::refused;
use crate::release::commit::git;
use crate::release::manifest::{self, Kind, Manifest};
use crate::release::provenance::{self, Statement};
use crate::release::safe_read::{self, Expected, Found};
use crate::release::{description, hashing, ledger, sums};

/// Other than any that a release is made under.
const UMASK: &str = "0077";
const SURROUNDINGS: [(&str, &str); 3] = [("LC_ALL", "C"), ("LANG", "C"), ("TZ", "Pacific/Kiritimati")];

/// Where the new build differs from the release in `folder`.
///
/// # Errors
/// The commit is not here, or cannot be built.
pub fn differences(
    context: &Context,
    folder: &Path,
    manifest: &Manifest,
    statement: &Statement,
    operator_binary: Option<&Path>,
) -> Result<Vec<String>> {
    let commit = &manifest.release.commit;
    let scratch = tempfile::Builder::new().prefix("flowship-again-").tempdir()?;
    let tree = scratch.path().join("another/place/of/the/tree");
    fs::create_dir_all(&tree)?;
    eprintln!("building {commit} again in {}", tree.display());
    check_out(context, commit, &tree)?;
    let images = manifest.artifacts.iter().any(|artifact| artifact.kind == Kind::Image);
    let cargo_home = scratch.path().join("cargo");
    lend_downloads(&cargo_home)?;
    let evidence = folder.canonicalize()?.join(ledger::FILE);
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("umask {UMASK}; exec \"$@\""), "sh"])
        .arg(std::env::current_exe()?)
        .arg("--root")
        .arg(&tree)
        .args(["release", "package", "--unsigned", "--images", if images { "all" } else { "none" }])
        .args(["--builder", statement.builder().unwrap_or_default()])
        .arg("--evidence")
        .arg(evidence);
    if let Some(file) = operator_binary {
        command.arg("--operator-binary").arg(file.canonicalize()?);
    }
    command.envs(SURROUNDINGS).env("CARGO_HOME", &cargo_home).env_remove("FLOWSHIP_SIGNING_KEY");
    command.current_dir(scratch.path()).stdout(std::io::stderr());
    if images {
        // What was built is of a checkout and its engine; another build of them is another engine's.
        lend(&context.state().join("images"), &tree.join(".flowship/images"))?;
    }
    let status = command.status().context("cannot run this program again")?;
    if !status.success() {
        bail!("the commit {commit} cannot be packaged again: {status}; see above");
    }
    compare(folder, &tree.join(FOLDER), manifest)
}

/// A clone of its own, so that neither this checkout nor its git folder changes.
fn check_out(context: &Context, commit: &str, tree: &Path) -> Result<()> {
    let to = tree.to_string_lossy().into_owned();
    let from = context.root.to_string_lossy().into_owned();
    git(&context.root, &["clone", "--quiet", "--no-checkout", "--no-hardlinks", &from, &to])?;
    git(tree, &["-c", "advice.detachedHead=false", "checkout", "--quiet", "--detach", commit]).map_err(
        |error| {
            refused(format!(
                "{error:#}; the commit of the release is not in {from}: fetch its tag, or run this there"
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

fn lend(from: &Path, to: &Path) -> Result<()> {
    for entry in walkdir::WalkDir::new(from).into_iter().filter_map(Result::ok) {
        let target = to.join(entry.path().strip_prefix(from)?);
        if entry.file_type().is_file() {
            fs::create_dir_all(target.parent().unwrap_or(to))?;
            fs::copy(entry.path(), &target).with_context(|| entry.path().display().to_string())?;
        }
    }
    Ok(())
}

fn compare(released: &Path, again: &Path, manifest: &Manifest) -> Result<Vec<String>> {
    let names = manifest.artifacts.iter().map(|artifact| artifact.name.as_str());
    let statements = [manifest::FILE, provenance::FILE, sums::FILE];
    let mut differences = Vec::new();
    for name in names.chain(statements) {
        let (one, other) = (released.join(name), again.join(name));
        if !other.is_file() {
            differences.push(format!("{name}: was not made again"));
        } else if hashing::of_file(&one)? != hashing::of_file(&other)? {
            let inside = (name == description::bundle(&manifest.release.version))
                .then(|| first_entry(&one, &other, manifest))
                .transpose()?
                .flatten();
            let at = match inside {
                Some(entry) => format!("its first other entry is {entry}"),
                None => format!("they differ from byte {}", first_byte(&one, &other)?),
            };
            differences.push(format!("{name}: other bytes; {at}"));
        }
    }
    if !differences.is_empty() {
        differences.extend(other_tools(manifest, again)?);
    }
    Ok(differences)
}

fn first_byte(one: &Path, other: &Path) -> Result<usize> {
    let (one, other) = (fs::read(one)?, fs::read(other)?);
    Ok(one.iter().zip(&other).position(|(left, right)| left != right).unwrap_or(one.len().min(other.len())))
}

fn first_entry(one: &Path, other: &Path, manifest: &Manifest) -> Result<Option<String>> {
    let top = description::top(&manifest.release.version);
    let entries = |path: &Path| -> Result<BTreeMap<String, Found>> {
        let stream = MultiGzDecoder::new(BufReader::new(File::open(path)?));
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
        format!("built with another {name}: {version}; the release with {then}")
    };
    Ok(now.release.tools.iter().filter(differs).map(tell).collect())
}
