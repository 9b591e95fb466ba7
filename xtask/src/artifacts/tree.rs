//! Reads the tree's generated files, and brings them to what they should be.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use tempfile::NamedTempFile;
use walkdir::WalkDir;

use super::artifact::{Artifact, MARK};
use super::compare::Difference;
use super::ledger::{self, Ledger};
use crate::files::{self, Root};

/// The files that this program has to do with: those that should be there, those that the ledger lists, those that
/// carry the mark and those that a killed run has left beside.
#[derive(Debug, Default)]
pub struct Observed {
    pub ledger: Ledger,
    /// By path below the root.
    pub files: BTreeMap<String, File>,
}

/// A file as it lies in the tree.
#[derive(Debug)]
pub struct File {
    /// Bytes that are no UTF-8 are replaced: then it differs in any case.
    pub contents: String,
    pub mode: u32,
}

/// Folders that hold no source: builds, running state, what package managers bring.
pub const SKIPPED: [&str; 5] = [".git", "target", ".flowship", "rendered", "node_modules"];

/// What the names of files begin with that are not in their place yet. A run that was killed leaves them behind.
const BESIDE: &str = ".generate-";

/// How far into a file the mark is looked for, in bytes.
const MARK_WITHIN: u64 = 512;

/// # Errors
/// When a file cannot be read for another reason than that it does not exist.
pub fn observe(root: &Path, artifacts: &[Artifact]) -> Result<Observed> {
    let tree = Root::open(root)?;
    let ledger = read(&tree, ledger::PATH)?.map(|file| ledger::parse(&file.contents)).unwrap_or_default();
    let mut paths: Vec<String> = artifacts.iter().map(|artifact| artifact.path.clone()).collect();
    paths.push(ledger::PATH.to_owned());
    paths.extend(ledger.keys().cloned());
    paths.extend(marked(root)?);
    let mut files = BTreeMap::new();
    for path in paths {
        if let Some(file) = read(&tree, &path)? {
            files.insert(path, file);
        }
    }
    Ok(Observed { ledger, files })
}

fn read(tree: &Root, path: &str) -> Result<Option<File>> {
    let Some(read) = files::if_there(tree.read(path, files::TEXT))? else { return Ok(None) };
    let contents = String::from_utf8_lossy(&read.bytes).into_owned();
    Ok(Some(File { contents, mode: read.mode }))
}

fn marked(root: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut start = Vec::new();
    let entries = WalkDir::new(root)
        .into_iter()
        .filter_entry(|entry| !SKIPPED.iter().any(|skipped| entry.file_name() == *skipped));
    for entry in entries {
        let entry = entry.context("cannot walk the tree")?;
        if !entry.file_type().is_file() {
            continue;
        }
        let path = entry.path().strip_prefix(root).expect("an entry lies below the root").to_string_lossy();
        if entry.file_name().to_string_lossy().starts_with(BESIDE) {
            found.push(path.into_owned());
            continue;
        }
        start.clear();
        let opened = fs::File::open(entry.path());
        if opened.and_then(|file| file.take(MARK_WITHIN).read_to_end(&mut start)).is_err() {
            continue;
        }
        if carries_mark(&start) {
            found.push(path.into_owned());
        }
    }
    Ok(found)
}

/// The mark stands at the start of a comment on one of the first lines: sources that speak of it do not count.
fn carries_mark(start: &[u8]) -> bool {
    String::from_utf8_lossy(start)
        .lines()
        .take(3)
        .any(|line| line.trim_start_matches(['#', '/', '<', '!', '-', '"', ' ', '*']).starts_with(MARK))
}

/// Writes what differs, removes orphans, brings the ledger up to date. Everything is written beside before the first
/// file is removed or renamed into place: when one cannot be written, nothing has changed.
///
/// # Errors
/// When a file cannot be written or removed.
pub fn apply(
    root: &Path,
    artifacts: &[Artifact],
    observed: &Observed,
    differences: &[Difference],
) -> Result<()> {
    let orphan =
        |path: &str| differences.iter().any(|difference| difference.is_orphan() && difference.path == path);
    let kept = observed.ledger.iter().filter(|(path, _)| !orphan(path) && observed.files.contains_key(*path));
    let ledger =
        ledger::artifact(artifacts, &kept.map(|(path, hash)| (path.clone(), hash.clone())).collect());
    let differs = |artifact: &&Artifact| {
        observed
            .files
            .get(&artifact.path)
            .is_none_or(|file| file.contents != artifact.contents || file.mode != artifact.mode)
    };
    let staged: Vec<_> =
        artifacts.iter().chain([&ledger]).filter(differs).map(|artifact| stage(root, artifact)).collect();
    let (staged, failed): (Vec<_>, Vec<_>) = staged.into_iter().partition(Result::is_ok);
    together(failed.into_iter().filter_map(Result::err))?;
    let removed = differences.iter().filter(|difference| difference.is_orphan()).map(|difference| {
        fs::remove_file(root.join(&difference.path))
            .with_context(|| format!("cannot remove {}", difference.path))
    });
    together(removed.filter_map(Result::err))?;
    staged.into_iter().flatten().try_for_each(Staged::put)
}

/// All errors as one.
fn together(errors: impl Iterator<Item = anyhow::Error>) -> Result<()> {
    let lines: Vec<_> = errors.map(|error| format!("{error:#}")).collect();
    if lines.is_empty() { Ok(()) } else { Err(anyhow!(lines.join("\n"))) }
}

/// A file that is whole and lies beside its place.
struct Staged {
    beside: NamedTempFile,
    path: PathBuf,
}

impl Staged {
    fn put(self) -> Result<()> {
        self.beside.persist(&self.path).with_context(|| format!("cannot write {}", self.path.display()))?;
        Ok(())
    }
}

fn stage(root: &Path, artifact: &Artifact) -> Result<Staged> {
    let path = root.join(&artifact.path);
    let folder = path.parent().expect("an artifact lies below the root");
    let act = || -> Result<NamedTempFile> {
        fs::create_dir_all(folder)?;
        let mut beside = tempfile::Builder::new().prefix(BESIDE).tempfile_in(folder)?;
        beside.write_all(artifact.contents.as_bytes())?;
        beside.as_file().set_permissions(fs::Permissions::from_mode(artifact.mode))?;
        Ok(beside)
    };
    let beside = act().with_context(|| format!("cannot write {}", path.display()))?;
    Ok(Staged { beside, path })
}
