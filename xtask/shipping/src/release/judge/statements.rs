//! Judges what a release states of itself: sums, manifest, version, provenance, evidence.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use semver::Version;

use super::text;
use crate::release::description::{self, Release};
use crate::release::ledger::{self, Ledger};
use crate::release::manifest::{self, Manifest};
use crate::release::provenance::{self, Statement};
use crate::release::signing;
use crate::release::sums::{self, Sums};
use foundation::digest;

pub fn sums(folder: &Path, sums: &Sums, only: Option<&str>) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    let wanted =
        |name: &str| only.is_none_or(|only| [only, manifest::FILE, provenance::FILE].contains(&name));
    if let Some(only) = only.filter(|only| !sums.contains_key(*only)) {
        problems.push(format!("{only}: not listed in {}", sums::FILE));
    }
    for (name, sha256) in sums.iter().filter(|(name, _)| wanted(name)) {
        let path = folder.join(name);
        match path.symlink_metadata() {
            Err(_) => problems.push(format!("{name}: listed in {}, but missing", sums::FILE)),
            Ok(_) => match digest::of_file(&path) {
                Err(error) => problems.push(format!("{error:#}")),
                Ok(found) if found.sha256 != *sha256 => {
                    let sums = sums::FILE;
                    problems.push(format!("{name}: its checksum differs from {sums}; download it again"));
                }
                Ok(_) => {}
            },
        }
    }
    if only.is_none() {
        for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if ![sums::FILE, signing::FILE].contains(&name.as_str()) && !sums.contains_key(&name) {
                problems.push(format!("{name}: not part of the release; remove it"));
            }
        }
    }
    Ok(problems)
}

pub fn manifest(folder: &Path, sums: &Sums, comment: Option<&str>) -> (Vec<String>, Option<Manifest>) {
    let missing = || format!("{} is missing", manifest::FILE);
    let told = text(folder, sums, manifest::FILE).and_then(|told| told.ok_or_else(missing));
    let manifest = match told.and_then(|told| Manifest::parse(&told)) {
        Ok(manifest) => manifest,
        Err(problem) => return (vec![problem], None),
    };
    let mut problems = Vec::new();
    let release = &manifest.release;
    let expected = signing::comment(&release.version, &release.commit);
    if let Some(comment) = comment.filter(|comment| *comment != expected) {
        problems.push(format!("{}: it is of {comment:?}, the manifest of {expected:?}", signing::FILE));
    }
    let mut left: Sums = sums.clone();
    for name in [manifest::FILE, provenance::FILE] {
        if left.remove(name).is_none() {
            problems.push(format!("{}: {name} is not listed", sums::FILE));
        }
    }
    for artifact in &manifest.artifacts {
        let name = &artifact.name;
        match left.remove(name) {
            None => problems
                .push(format!("{}: lists {name} twice, or although the checksums do not", manifest::FILE)),
            Some(sum) if sum != artifact.sha256 => {
                problems.push(format!("{}: its digest of {name} differs from the checksums", manifest::FILE));
            }
            Some(_) => {
                let size = fs::metadata(folder.join(name)).map(|facts| facts.len());
                if size.is_ok_and(|size| size != artifact.bytes) {
                    problems.push(format!("{}: its size of {name} is wrong", manifest::FILE));
                }
            }
        }
    }
    problems.extend(left.keys().map(|name| format!("{}: does not name {name}", manifest::FILE)));
    let bundle = description::bundle(&release.version);
    if !manifest.artifacts.iter().any(|artifact| artifact.name == bundle) {
        problems.push(format!("{}: names no {bundle}", manifest::FILE));
    }
    (problems, Some(manifest))
}

pub fn version(release: &Release, installed: &Version) -> Vec<String> {
    match Version::parse(&release.version) {
        Ok(version) if version.cmp_precedence(installed).is_lt() => {
            vec![format!("a downgrade: {version} is older than the installed {installed}; roll back instead")]
        }
        Ok(_) => Vec::new(),
        Err(error) => vec![format!("{}: {} is no version: {error}", manifest::FILE, release.version)],
    }
}

pub fn provenance(folder: &Path, release: &Release, sums: &Sums) -> (Vec<String>, Option<Statement>) {
    let told = match text(folder, sums, provenance::FILE) {
        Ok(told) => told.unwrap_or_default(),
        Err(problem) => return (vec![problem], None),
    };
    match serde_json::from_str::<Statement>(&told) {
        Ok(statement) => (statement.problems(release, sums), Some(statement)),
        Err(error) => (vec![format!("{}: {error}", provenance::FILE)], None),
    }
}

/// What is wrong with the ledger, and the ledger.
pub fn evidence(folder: &Path, release: &Release, sums: &Sums) -> (Vec<String>, Option<Ledger>) {
    let told = match text(folder, sums, ledger::FILE) {
        Ok(Some(told)) => told,
        Ok(None) => return (vec![format!("{} is missing", ledger::FILE)], None),
        Err(problem) => return (vec![problem], None),
    };
    match serde_json::from_str::<Ledger>(&told) {
        Ok(ledger) => (ledger.problems(&release.commit), Some(ledger)),
        Err(error) => (vec![format!("{}: {error}", ledger::FILE)], None),
    }
}
