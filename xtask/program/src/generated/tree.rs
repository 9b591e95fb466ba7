//! Reads the tree's generated files, and brings them to what they should be.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::compare::Difference;
use super::ledger::{self, Ledger};
use artifacts::{Artifact, MARK};
use foundation::files::{self, BESIDE, Error, Errors, NoIndex, Root, Staged};

/// The files that this program has to do with: those that should be there, those that the ledger lists, those that git
/// tracks and that carry the mark, and those that a killed run has left beside. What neither the ledger nor git's index
/// lists belongs to somebody else, and so does a checkout inside this one.
#[derive(Debug, Default)]
pub struct Observed {
    pub ledger: Ledger,
    /// By path below the root.
    pub files: BTreeMap<String, File>,
    /// Why git's index was not asked, where there is one.
    pub no_index: Option<String>,
}

/// A file as it lies in the tree.
#[derive(Debug)]
pub struct File {
    /// Bytes that are no UTF-8 are replaced: then it differs in any case.
    pub contents: String,
    /// As git sees it: whether its owner may run it. The other bits are those of whoever has checked it out.
    pub executable: bool,
}

/// How far into a file the mark is looked for, in bytes.
const MARK_WITHIN: u64 = 512;

/// # Errors
/// Everything that lies in the place of a file, or of a folder above it, and is none; and every file that cannot be read.
pub fn observe(root: &Path, artifacts: &[Artifact]) -> Result<Observed, Errors> {
    let tree = Root::open(root).map_err(|error| Errors(vec![error]))?;
    let mut problems = Vec::new();
    let ledger = read(&tree, ledger::PATH).unwrap_or_else(|error| {
        problems.push(error);
        None
    });
    let ledger = ledger.map(|file| ledger::parse(&file.contents)).unwrap_or_default();
    let wanted: BTreeSet<&str> =
        artifacts.iter().map(|artifact| artifact.path.as_str()).chain([ledger::PATH]).collect();
    let mut paths: BTreeSet<String> = wanted.iter().map(|path| (*path).to_owned()).collect();
    paths.extend(ledger.keys().cloned());
    let left = tree.while_none_is_staged(|| left_beside(&tree, &paths, &mut problems));
    paths.extend(left.into_iter().flatten());
    let mut no_index = None;
    match files::tracked(root) {
        Ok(tracked) => paths.extend(marked(&tree, tracked)),
        Err(NoIndex::NoRepository) => {}
        Err(NoIndex::Failed(why)) => no_index = files::is_checkout(root).then_some(why),
    }
    let mut files = BTreeMap::new();
    for path in paths {
        let ours = wanted.contains(path.as_str());
        match (checkout_above(root, &path), ours) {
            (Some(path), true) => problems.push(Error::Checkout { path }),
            (Some(_), false) => continue,
            (None, _) => {}
        }
        match read(&tree, &path) {
            Ok(file) => files.extend(file.map(|file| (path, file))),
            // Where no file is wanted any more, something else may lie.
            Err(Error::Link { .. } | Error::NoFolder { .. } | Error::Special { .. }) if !ours => {}
            Err(error) => problems.push(error),
        }
    }
    if problems.is_empty() { Ok(Observed { ledger, files, no_index }) } else { Err(Errors(problems)) }
}

/// The folder below the root that holds `path` and is another checkout.
fn checkout_above(root: &Path, path: &str) -> Option<PathBuf> {
    let above = Path::new(path).ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty());
    above.map(|folder| root.join(folder)).find(|folder| files::is_checkout(folder))
}

fn read(tree: &Root, path: &str) -> Result<Option<File>, Error> {
    let Some(read) = files::if_there(tree.read(path, files::TEXT))? else { return Ok(None) };
    let contents = String::from_utf8_lossy(&read.bytes).into_owned();
    Ok(Some(File { contents, executable: read.mode & 0o100 != 0 }))
}

/// What killed runs have left in the folders of these files.
fn left_beside(tree: &Root, paths: &BTreeSet<String>, problems: &mut Vec<Error>) -> Vec<String> {
    let folders: BTreeSet<&Path> = paths.iter().filter_map(|path| Path::new(path).parent()).collect();
    let mut left = Vec::new();
    for folder in folders {
        match tree.names(folder) {
            Ok(names) => {
                let names = names.into_iter().filter(|name| name.to_string_lossy().starts_with(BESIDE));
                left.extend(names.filter_map(|name| Some(folder.join(name).to_str()?.to_owned())));
            }
            // Each file in it has the same problem, and reading it will say so.
            Err(Error::Link { .. } | Error::NoFolder { .. }) => {}
            Err(error) => problems.push(error),
        }
    }
    left
}

fn marked(tree: &Root, tracked: Vec<PathBuf>) -> impl Iterator<Item = String> {
    let mut start = Vec::new();
    tracked.into_iter().filter_map(move |path| {
        start.clear();
        // Whatever lies there instead of a file, this program has not written.
        tree.file(&path).ok()?.take(MARK_WITHIN).read_to_end(&mut start).ok()?;
        if carries_mark(&start) { path.into_os_string().into_string().ok() } else { None }
    })
}

/// The mark stands at the start of a comment on one of the first lines: sources that speak of it do not count.
fn carries_mark(start: &[u8]) -> bool {
    String::from_utf8_lossy(start)
        .lines()
        .take(3)
        .any(|line| line.trim_start_matches(['#', '/', '<', '!', '-', '"', ' ', '*']).starts_with(MARK))
}

/// What is about to change: every file is written beside its place already.
pub struct Changes {
    tree: Root,
    staged: Vec<(String, Staged)>,
    removed: Vec<String>,
    ledger: Option<Staged>,
}

/// Writes beside their places all files that differ. Nothing in the tree has changed yet.
///
/// # Errors
/// Every file that cannot be written; then nothing is left beside.
pub fn prepare(
    root: &Path,
    artifacts: &[Artifact],
    observed: &Observed,
    differences: &[Difference],
) -> Result<Changes, Errors> {
    let tree = Root::open(root).map_err(|error| Errors(vec![error]))?;
    let orphan =
        |path: &str| differences.iter().any(|difference| difference.is_orphan() && difference.path == path);
    let kept = observed.ledger.iter().filter(|(path, _)| !orphan(path) && observed.files.contains_key(*path));
    let ledger =
        ledger::artifact(artifacts, &kept.map(|(path, hash)| (path.clone(), hash.clone())).collect());
    let differs = |artifact: &&Artifact| {
        let file = observed.files.get(&artifact.path);
        file.is_none_or(|file| file.contents != artifact.contents || file.executable)
    };
    let stage = |artifact: &Artifact| tree.stage(&artifact.path, artifact.contents.as_bytes());
    let mut problems = Vec::new();
    let mut staged = Vec::new();
    for artifact in artifacts.iter().filter(differs) {
        match stage(artifact) {
            Ok(file) => staged.push((artifact.path.clone(), file)),
            Err(error) => problems.push(error),
        }
    }
    let ledger = differs(&&ledger).then(|| stage(&ledger)).transpose().unwrap_or_else(|error| {
        problems.push(error);
        None
    });
    if !problems.is_empty() {
        // The last first, so that a folder which was made for several is empty when its maker removes it.
        while staged.pop().is_some() {}
        return Err(Errors(problems));
    }
    let removed = differences.iter().filter(|difference| difference.is_orphan());
    let removed = removed.map(|difference| difference.path.clone()).collect();
    Ok(Changes { tree, staged, removed, ledger })
}

impl Changes {
    /// Renames and removes. The paths of what has changed, and every problem. The ledger follows only when there was
    /// none, so that a file which could not be written does not pass for an edited one.
    pub fn carry_out(self) -> (BTreeSet<String>, Errors) {
        let Self { tree, staged, removed, ledger } = self;
        let mut changed = BTreeSet::new();
        let mut problems = Vec::new();
        let mut note = |path: String, outcome: Result<(), Error>| match outcome {
            Ok(()) => drop(changed.insert(path)),
            Err(error) => problems.push(error),
        };
        for (path, file) in staged {
            note(path, file.put());
        }
        for path in removed {
            let outcome = tree.remove(&path);
            note(path, outcome);
        }
        if let (Some(ledger), true) = (ledger, problems.is_empty()) {
            match ledger.put() {
                Ok(()) => drop(changed.insert(ledger::PATH.to_owned())),
                Err(error) => problems.push(error),
            }
        }
        (changed, Errors(problems))
    }
}
