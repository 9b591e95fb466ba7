//! The releases of an environment on this machine, side by side. Each is its files as they were released, and its bundle
//! unpacked; both are checked again before anything relies on them.
//!
//! `releases/ID/files/` has the files of the release, `releases/ID/tree/` the unpacked bundle, and
//! `releases/ID/installed.json` the digest of every file of the tree. An ID is the version and the first digits of the
//! bundle's digest, so another artifact with the same version is another release.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::BufReader;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use flate2::bufread::MultiGzDecoder;
use serde::{Deserialize, Serialize};
use vocabulary::problem::Problem;

use super::SITE;
use crate::engines::process::instance::ReleaseId;
use foundation::digest;
use foundation::exit::refused;
use foundation::files;
use shipping::release::bundle::OPERATOR;
use shipping::release::description::{self, Release};
use shipping::release::judge::Verdict;
use shipping::release::sums::Sums;

const RECORD: &str = "installed.json";
/// What installing npm packages adds to a tree.
const MODULES: &str = "flows/node_modules";
/// Held while a release is installed.
const LOCK: &str = ".lock";
/// Folders that are not whole yet begin with it.
const PARTIAL: &str = ".partial-";
/// A digest is long enough to tell releases of one version apart.
const DIGITS: usize = 12;

/// A release on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// `1.2.0-0123456789ab`
    pub id: String,
    pub folder: PathBuf,
}

/// What `installed.json` says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    /// SHA-256 of the bundle.
    bundle: String,
    /// SHA-256 by path: of a link, that of where it leads.
    tree: BTreeMap<String, String>,
}

/// The name of a release on a machine: `1.2.0-0123456789ab`.
pub fn id(version: &str, bundle_sha256: &str) -> String {
    format!("{version}-{}", &bundle_sha256[..DIGITS.min(bundle_sha256.len())])
}

/// The name that a release has once it is installed; none when it does not say enough of itself.
pub fn name_of(verdict: &Verdict) -> Option<String> {
    let version = &verdict.manifest.as_ref()?.release.version;
    Some(id(version, verdict.files.get(&description::bundle(version))?))
}

impl Installed {
    /// Where a release of this name is, or would be.
    pub fn at(store: &Path, id: &str) -> Self {
        Self::in_folder(&store.join(id))
    }

    /// The release in this folder, which has its name.
    pub fn in_folder(folder: &Path) -> Self {
        let id = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self { id, folder: folder.to_owned() }
    }

    /// SHA-256 of each file of its tree, as it was installed.
    ///
    /// # Errors
    /// Its record cannot be read.
    pub fn tree_digests(&self) -> Result<BTreeMap<String, String>> {
        self.record().map(|record| record.tree)
    }

    /// The unpacked bundle.
    pub fn tree(&self) -> PathBuf {
        self.folder.join("tree")
    }

    /// The release's files, as they were released.
    pub fn files(&self) -> PathBuf {
        self.folder.join("files")
    }

    /// The settings that it was last deployed with, once it was.
    pub fn settings(&self) -> PathBuf {
        self.folder.join(SITE)
    }

    /// Whether only services that still run keep it. Nothing can be rolled back to it.
    pub fn is_pruned(&self) -> bool {
        !self.files().is_dir()
    }

    /// The program of the release.
    pub fn program(&self) -> PathBuf {
        self.tree().join(OPERATOR)
    }

    /// What it says of itself.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn release(&self) -> Result<Release> {
        let path = self.tree().join(description::FILE);
        let text = files::text(&path, files::TEXT)?;
        Release::parse(&text).map_err(|problem| anyhow::anyhow!("{}: {problem}", path.display()))
    }

    /// What a replica reports that runs it.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn identity(&self) -> Result<ReleaseId> {
        Ok(ReleaseId { id: self.id.clone(), flows_rev: self.release()?.flows_rev })
    }

    /// SHA-256 of its bundle.
    ///
    /// # Errors
    /// Its record cannot be read.
    pub fn digest(&self) -> Result<String> {
        self.record().map(|record| record.bundle)
    }

    fn record(&self) -> Result<Record> {
        let path = self.folder.join(RECORD);
        let text = files::text(&path, files::TEXT)?;
        serde_json::from_str(&text).with_context(|| path.display().to_string())
    }

    /// Everything that is missing from it or has changed since it was installed.
    pub fn problems(&self) -> Vec<Problem> {
        let place = || format!("release {}", self.id);
        let again = |seen: String| {
            Problem::new(place(), seen)
                .expected("the files as they were installed")
                .remedy("deploy it again from its files")
        };
        let record = match self.record() {
            Ok(record) => record,
            Err(error) => return again(format!("{error:#}")).into(),
        };
        let tree = match digests(&self.tree()) {
            Ok(tree) => tree,
            Err(error) => return again(format!("{error:#}")).into(),
        };
        let paths: BTreeSet<_> = record.tree.keys().chain(tree.keys()).collect();
        let of_one = |path: &String| match (record.tree.get(path), tree.get(path)) {
            (Some(_), None) => Some(again(format!("{path} is missing"))),
            (None, Some(_)) => Some(again(format!("{path} was added"))),
            (one, other) => (one != other).then(|| again(format!("{path} has changed"))),
        };
        let mut problems: Vec<_> = paths.into_iter().filter_map(of_one).collect();
        let bundle = record.tree.is_empty().then(|| again("it has no files".to_owned()));
        problems.extend(bundle);
        let pruned =
            self.is_pruned().then(|| again("it was pruned; only services that still run keep it".to_owned()));
        problems.extend(pruned);
        problems
    }
}

/// The releases that are whole, by name.
///
/// # Errors
/// The folder cannot be read.
pub fn list(store: &Path) -> Result<Vec<Installed>> {
    let entries = match fs::read_dir(store) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| store.display().to_string()),
    };
    let mut found = Vec::new();
    for entry in entries {
        let folder = entry.with_context(|| store.display().to_string())?.path();
        let id = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !id.starts_with('.') && folder.join(RECORD).is_file() {
            found.push(Installed { id, folder });
        }
    }
    found.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(found)
}

/// Whether somebody who names a release or a version can mean the release of this name.
pub fn is_named(id: &str, wanted: &str) -> bool {
    id == wanted || id.rsplit_once('-').is_some_and(|(version, _)| version == wanted)
}

/// The one release of this name or version.
///
/// # Errors
/// Refused when there is none, or more than one of the version; the error lists those that there are.
pub fn named(store: &Path, wanted: &str) -> Result<Installed> {
    let all = list(store)?;
    let of_version = |release: &&Installed| is_named(&release.id, wanted);
    let exact = all.iter().find(|release| release.id == wanted);
    let found: Vec<_> = exact.map_or_else(|| all.iter().filter(of_version).collect(), |one| vec![one]);
    let (what, known) = match found[..] {
        [one] => return Ok(one.clone()),
        [] => ("it is not installed", all.iter().collect()),
        _ => ("several releases have this version", found),
    };
    let known: Vec<_> = known.into_iter().map(|release| release.id.as_str()).collect();
    let known =
        if known.is_empty() { "an installed release; there is none".to_owned() } else { known.join(", ") };
    Err(refused(format!("release {wanted}: {what} in {}; expected {known}", store.display())))
}

/// Copies a release that was found good to this machine and unpacks it, whole or not at all. One that is there already
/// and whole stays as it is.
///
/// # Errors
/// A file is another one by now, or nothing can be written; what was begun is removed.
pub fn install(store: &Path, source: &Path, verdict: &Verdict) -> Result<Installed> {
    let release =
        &verdict.manifest.as_ref().context("only a release that was found good is installed")?.release;
    let bundle = description::bundle(&release.version);
    let sha256 =
        verdict.files.get(&bundle).with_context(|| format!("{bundle} is not part of the release"))?;
    let id = id(&release.version, sha256);
    let installed = Installed::at(store, &id);
    // Of two that install the same at the same time, the second finds it whole.
    fs::create_dir_all(store).with_context(|| store.display().to_string())?;
    let lock = fs::File::create(store.join(LOCK)).context("cannot lock the releases")?;
    lock.lock().context("cannot lock the releases")?;
    if installed.folder.exists() && installed.problems().is_empty() {
        return Ok(installed);
    }
    let partial = store.join(format!("{PARTIAL}{id}"));
    files::remove(&partial)?;
    let made = copy(&partial.join("files"), source, &verdict.files)
        .and_then(|()| unpack(&partial, release, sha256))
        .and_then(|()| files::remove(&installed.folder))
        .and_then(|()| {
            fs::rename(&partial, &installed.folder)
                .with_context(|| format!("cannot put {} in place", installed.folder.display()))
        });
    if made.is_err() {
        // What was wrong before is more important than that it cannot be removed.
        let _ = files::remove(&partial);
    }
    made?;
    files::write::sync_names(store)?;
    Ok(installed)
}

/// Bytes that installing a release takes: its files, and at most so much again, and the program.
pub fn size(source: &Path, sums: &Sums) -> u64 {
    let bytes = |name: &String| fs::metadata(source.join(name)).map_or(0, |facts| facts.len());
    sums.keys().map(bytes).sum::<u64>().saturating_mul(4)
}

fn copy(to: &Path, from: &Path, sums: &Sums) -> Result<()> {
    fs::create_dir_all(to).with_context(|| to.display().to_string())?;
    // Names are those that the signature is over, each a plain file name.
    for (name, expected) in sums {
        let source = files::open(&from.join(name))?;
        let copied = files::write::with(&to.join(name), 0o644, |file| Ok(digest::copy(source, file)?))?;
        if copied.sha256 != *expected {
            bail!("{}: it has changed since it was verified", from.join(name).display());
        }
    }
    Ok(())
}

fn unpack(partial: &Path, release: &Release, sha256: &str) -> Result<()> {
    let tree = partial.join("tree");
    let archive = |name: &str| {
        archive(&partial.join("files").join(name), &description::top(&release.version), &tree)
            .with_context(|| format!("unpacking {name}"))
    };
    archive(&description::bundle(&release.version))?;
    // The program for another kind of machine takes the place of the bundle's.
    let own =
        |program: &&shipping::release::program::Program| program.target.starts_with(std::env::consts::ARCH);
    if !release.target.starts_with(std::env::consts::ARCH) {
        let Some(program) = release.operators.iter().find(own) else {
            bail!("the release has no program for {}", std::env::consts::ARCH);
        };
        archive(&description::operator(&release.version, &program.target))?;
    }
    let record = Record { bundle: sha256.to_owned(), tree: digests(&tree)? };
    files::write::whole(&partial.join(RECORD), 0o644, serde_json::to_vec_pretty(&record)?)
}

/// What verification has found good: below one top folder, without links that lead out of it.
fn archive(from: &Path, top: &str, tree: &Path) -> Result<()> {
    let file = files::open_within(from, files::ARCHIVE)?;
    let mut archive = tar::Archive::new(MultiGzDecoder::new(BufReader::with_capacity(1 << 20, file)));
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let below =
            path.strip_prefix(top).with_context(|| format!("{} is not below {top}", path.display()))?;
        let place = tree.join(below);
        if entry.header().entry_type().is_dir() {
            fs::create_dir_all(&place)?;
            continue;
        }
        match fs::remove_file(&place) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        entry.unpack(&place)?;
        if entry.header().entry_type().is_file() {
            // Whatever the umask is.
            fs::set_permissions(&place, fs::Permissions::from_mode(entry.header().mode()?))?;
            fs::File::open(&place)?.sync_all()?;
        }
    }
    Ok(())
}

/// SHA-256 of every file of a tree but the packages that are installed into it later.
fn digests(tree: &Path) -> Result<BTreeMap<String, String>> {
    let modules = tree.join(MODULES);
    let walk = walkdir::WalkDir::new(tree).into_iter().filter_entry(|entry| entry.path() != modules);
    let mut found = BTreeMap::new();
    for entry in walk {
        let entry = entry?;
        let path = entry.path().strip_prefix(tree)?.to_string_lossy().into_owned();
        if entry.file_type().is_symlink() {
            let to = fs::read_link(entry.path())?;
            found.insert(path, digest::sha256(to.as_os_str().as_encoded_bytes()));
        } else if entry.file_type().is_file() {
            found.insert(path, digest::of_file(entry.path())?.sha256);
        }
    }
    Ok(found)
}

/// Removes these releases.
///
/// # Errors
/// Something cannot be removed.
pub fn prune(store: &Path, ids: &[String]) -> Result<()> {
    for id in ids {
        let folder = Installed::at(store, id).folder;
        // Not whole from the first moment on, so that nobody rolls back to half a release.
        let partial = store.join(format!("{PARTIAL}{id}"));
        files::remove(&partial)?;
        fs::rename(&folder, &partial).with_context(|| folder.display().to_string())?;
        files::remove(&partial)?;
    }
    Ok(())
}

/// Keeps of these releases what services that still run need.
///
/// # Errors
/// Something cannot be removed.
pub fn strip(store: &Path, ids: &[String]) -> Result<()> {
    ids.iter().try_for_each(|id| files::remove(&Installed::at(store, id).files()))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use shipping::release::archive::{self, Contents, Node, Tree};
    use shipping::release::manifest::Manifest;

    use super::*;

    /// A folder with the files of a release, and what verification has said of it.
    fn released(folder: &Path, version: &str) -> Verdict {
        let release = Release {
            schema: description::SCHEMA,
            version: version.to_owned(),
            commit: "c".repeat(40),
            committed: 1_700_000_000,
            flows_rev: "f".repeat(64),
            target: format!("{}-unknown-linux-gnu", std::env::consts::ARCH),
            images: Vec::new(),
            operators: Vec::new(),
            tools: BTreeMap::new(),
        };
        let file = |text: &str, executable| Node::File { executable, contents: Contents::Bytes(text.into()) };
        let tree = Tree::from([
            (description::FILE.to_owned(), file(&serde_json::to_string(&release).unwrap(), false)),
            (OPERATOR.to_owned(), file("#!/bin/sh\n", true)),
            ("flows/flows.json".to_owned(), file("[]", false)),
            ("flows/latest".to_owned(), Node::Link("flows.json".to_owned())),
        ]);
        let mut tar = Vec::new();
        archive::write(&tree, &description::top(version), release.committed, &mut tar).unwrap();
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&tar).unwrap();
        let name = description::bundle(version);
        fs::write(folder.join(&name), gzip.finish().unwrap()).unwrap();
        let sha256 = digest::of_file(&folder.join(&name)).unwrap().sha256;
        Verdict {
            manifest: Some(Manifest { schema: description::SCHEMA, release, artifacts: Vec::new() }),
            files: Sums::from([(name, sha256)]),
            ..Verdict::default()
        }
    }

    #[test]
    fn a_release_is_installed_whole_or_not_at_all_and_damage_is_found() {
        let (source, store) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (source, store) = (source.path(), store.path());
        let verdict = released(source, "1.2.0");
        let installed = install(store, source, &verdict).unwrap();
        assert!(installed.id.starts_with("1.2.0-"), "{}", installed.id);
        assert_eq!(installed.release().unwrap().version, "1.2.0");
        assert_eq!(installed.problems(), []);
        assert_eq!(list(store).unwrap(), std::slice::from_ref(&installed));
        let mode = fs::metadata(installed.program()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o755);
        // Packages that are installed later are no change; everything else is.
        fs::create_dir(installed.tree().join(MODULES)).unwrap();
        fs::write(installed.tree().join(MODULES).join("x"), "").unwrap();
        assert_eq!(installed.problems(), []);
        let flows = installed.tree().join("flows/flows.json");
        for (damage, seen) in [
            ((|path: &Path| fs::write(path, "[1]").unwrap()) as fn(&Path), "has changed"),
            (|path| fs::remove_file(path).unwrap(), "is missing"),
            (|path| fs::write(path.with_file_name("more"), "").unwrap(), "was added"),
        ] {
            damage(&flows);
            let problems = installed.problems();
            assert!(problems.iter().any(|problem| problem.seen.contains(seen)), "{seen}: {problems:?}");
            // The same release is installed again in its place.
            assert_eq!(install(store, source, &verdict).unwrap().problems(), []);
        }
        // What has changed since it was verified is refused, and nothing stays behind.
        let other = released(source, "1.3.0");
        fs::write(source.join(description::bundle("1.3.0")), "another one").unwrap();
        let error = install(store, source, &other).unwrap_err().to_string();
        assert!(error.contains("changed since it was verified"), "{error}");
        assert_eq!(list(store).unwrap(), [installed]);
        let partial = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with(PARTIAL);
        assert!(!fs::read_dir(store).unwrap().any(|entry| partial(&entry.unwrap())));
    }

    #[test]
    fn releases_are_named_by_their_version_or_their_id_and_old_ones_go() {
        let (source, store) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (source, store) = (source.path(), store.path());
        let [one, two] = ["1.2.0", "1.3.0-rc.1"]
            .map(|version| install(store, source, &released(source, version)).unwrap());
        assert_eq!(named(store, "1.2.0").unwrap(), one);
        assert_eq!(named(store, "1.3.0-rc.1").unwrap(), two);
        assert_eq!(named(store, &two.id).unwrap(), two);
        let error = named(store, "1.4.0").unwrap_err().to_string();
        assert!(error.contains(&one.id) && error.contains(&two.id), "{error}");
        fs::create_dir(store.join(".partial-1.4.0-0")).unwrap();
        prune(store, std::slice::from_ref(&one.id)).unwrap();
        assert_eq!(list(store).unwrap(), [two]);
    }
}
