//! Judges the archives of a release, and what must agree with their contents.

use std::collections::BTreeMap;
use std::io::BufReader;
use std::path::Path;

use anyhow::Result;

use super::text;
use crate::release::description::{self, Release};
use crate::release::gzip::StrictGzip;
use crate::release::provenance::{self, Statement};
use crate::release::safe_read::{self, Expected, Found, Reading};
use crate::release::sbom::{self, Bom};
use crate::release::sums::Sums;
use crate::release::{bundle, manifest, oci_digest};
use foundation::files;

/// The bundle's entries, with the contents of the files that other checks need.
pub type Files = BTreeMap<String, Found>;

/// Reads an archive of the release; files for which `keep` says so are kept.
fn entries(folder: &Path, name: &str, release: &Release, keep: &dyn Fn(&str) -> bool) -> Reading {
    match files::open_within(&folder.join(name), files::ARCHIVE) {
        Err(error) => Reading { problems: vec![error.to_string()], ..Reading::default() },
        Ok(file) => {
            let stream = StrictGzip::new(BufReader::with_capacity(1 << 20, file));
            let top = description::top(&release.version);
            safe_read::read(stream, &Expected { top: &top, mtime: release.committed }, keep)
        }
    }
}

pub fn bundle(folder: &Path, name: &str, release: &Release) -> (Vec<String>, Files) {
    let reading = entries(folder, name, release, &|path| {
        path == description::FILE
            || provenance::MATERIALS.contains(&path)
            || path.ends_with("package-lock.json")
    });
    let mut problems: Vec<String> =
        reading.problems.iter().map(|problem| format!("{name}: {problem}")).collect();
    if problems.is_empty() {
        match kept(&reading.entries, description::FILE)
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
        {
            None => problems.push(format!("{name}: holds no {}", description::FILE)),
            Some(text) => match Release::parse(&text) {
                Err(problem) => problems.push(format!("{name}: {}: {problem}", description::FILE)),
                Ok(inside) if inside != *release => {
                    problems.push(format!(
                        "{name}: its {} differs from {}",
                        description::FILE,
                        manifest::FILE
                    ));
                }
                Ok(_) => {}
            },
        }
        if !matches!(reading.entries.get(bundle::OPERATOR), Some(Found::File { executable: true, .. })) {
            problems.push(format!("{name}: contains no program {}", bundle::OPERATOR));
        }
    }
    (problems, reading.entries)
}

/// The archive of the operator's program for another machine than the bundle's.
pub fn program(folder: &Path, name: &str, release: &Release) -> Vec<String> {
    let target = description::operator_target(&release.version, name);
    if target.is_none_or(|target| target == release.target) {
        let expected = description::operator(&release.version, "TARGET");
        return vec![format!(
            "{name}: expected a name such as {expected}, for another machine than the bundle's"
        )];
    }
    let reading = entries(folder, name, release, &|_| false);
    let mut problems = reading.problems;
    let found: Vec<_> = reading.entries.iter().collect();
    match found[..] {
        _ if !problems.is_empty() => {}
        [(path, Found::File { executable: true, sha256, .. })] if path == bundle::OPERATOR => {
            let told = release.operators.iter().find(|program| Some(program.target.as_str()) == target);
            if told.is_none_or(|told| told.sha256 != *sha256 || told.commit != release.commit) {
                problems.push(format!("contains another program than {} lists", description::FILE));
            }
        }
        _ => {
            let found = found.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>().join(", ");
            problems.push(format!("contains {found:?}; expected only the program {}", bundle::OPERATOR));
        }
    }
    problems.into_iter().map(|problem| format!("{name}: {problem}")).collect()
}

fn kept<'a>(files: &'a Files, path: &str) -> Option<&'a [u8]> {
    match files.get(path) {
        Some(Found::File { kept: Some(bytes), .. }) => Some(bytes),
        _ => None,
    }
}

/// The lock files that provenance names must be those of the bundle, where that has them.
pub fn materials(statement: &Statement, files: &Files) -> Vec<String> {
    let differs = |material: &&provenance::Material| match files.get(&material.name) {
        Some(Found::File { sha256, .. }) => material.digest.get("sha256") != Some(sha256),
        _ => false,
    };
    let materials = statement.predicate.build_definition.resolved_dependencies.iter();
    materials
        .filter(differs)
        .map(|material| format!("{}: {} differs from the bundle's", provenance::FILE, material.name))
        .collect()
}

pub fn sboms(
    folder: &Path,
    release: &Release,
    sums: &Sums,
    files: &Files,
    about: &sbom::About,
) -> Vec<String> {
    let mut problems = Vec::new();
    let mut compare = |name: String, expected: Result<Bom>| {
        let told = text(folder, sums, &name).and_then(|told| {
            let read = serde_json::from_str::<Bom>(&told.unwrap_or_default());
            read.map_err(|error| format!("{name}: {error}"))
        });
        match (told, expected) {
            (Err(problem), _) => problems.push(problem),
            (_, Err(error)) => problems.push(format!("{name}: its lock: {error:#}")),
            (Ok(told), Ok(expected)) => problems.extend(told.differences(&name, &expected)),
        }
    };
    let rust = sbom::rust(kept(files, bundle::CARGO_LOCK).unwrap_or_default(), about);
    compare(description::rust_sbom(&release.version), rust);
    let locks: Vec<(&str, &[u8])> = files
        .keys()
        .filter(|path| path.rsplit('/').next() == Some("package-lock.json"))
        .filter_map(|path| Some((path.as_str(), kept(files, path)?)))
        .collect();
    compare(description::npm_sbom(&release.version), sbom::npm(&locks, about));
    problems
}

pub fn images(folder: &Path, release: &Release) -> Vec<String> {
    let mut problems = Vec::new();
    for image in &release.images {
        let Some(archive) = &image.archive else { continue };
        match oci_digest::of(&folder.join(archive)) {
            Ok(Ok(digest)) if digest == image.digest => {}
            Ok(Ok(digest)) => problems.push(format!("{archive}: holds {digest}; expected {}", image.digest)),
            Ok(Err(problem)) => problems.push(format!("{archive}: {problem}")),
            Err(error) => problems.push(format!("{error:#}")),
        }
    }
    problems
}
