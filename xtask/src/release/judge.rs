//! Judges the files of a release. Each check rests on those before it: after one that fails nothing more is read.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;

use anyhow::{Context as _, Result};
use flate2::read::MultiGzDecoder;
use minisign::PublicKey;
use semver::Version;
use serde::Serialize;

use super::description::{self, Release};
use super::ledger::{self, Ledger};
use super::manifest::{self, Kind, Manifest};
use super::provenance::{self, Statement};
use super::safe_read::{self, Expected, Found, Reading};
use super::sbom::{self, Bom};
use super::sums::{self, Sums};
use super::{bundle, hashing, oci_digest, signing};

/// Whom to believe, and what must not be gone behind.
pub struct Trust {
    /// None: whoever made it, for trying.
    pub key: Option<PublicKey>,
    /// A release that is older is refused.
    pub installed: Option<Version>,
}

/// A check and what it found.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    pub what: &'static str,
    pub problems: Vec<String>,
    /// What a reader should know all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// All of it.
#[derive(Debug, Default, Serialize)]
pub struct Verdict {
    pub checks: Vec<Check>,
    #[serde(skip)]
    pub manifest: Option<Manifest>,
    #[serde(skip)]
    pub statement: Option<Statement>,
    #[serde(skip)]
    pub ledger: Option<Ledger>,
    /// The SHA-256 of every file, of the sums and their signature too: what was judged, whatever the folder holds by now.
    #[serde(skip)]
    pub files: Sums,
}

impl Verdict {
    pub fn is_good(&self) -> bool {
        self.checks.iter().all(|check| check.problems.is_empty())
    }

    /// Notes a check; whether it is good.
    fn note(&mut self, what: &'static str, problems: Vec<String>) -> bool {
        let good = problems.is_empty();
        self.checks.push(Check { what, problems, note: None });
        good
    }

    fn remark(&mut self, note: String) {
        if let Some(last) = self.checks.last_mut() {
            last.note = Some(note);
        }
    }
}

/// Judges the release in a folder; with `only`, that file of it and the statements about it.
///
/// # Errors
/// A file cannot be read. What is wrong with the release is in the verdict.
pub fn release(
    folder: &Path,
    only: Option<&str>,
    trust: &Trust,
    time: &dyn Fn(u64) -> String,
) -> Result<Verdict> {
    let mut verdict = Verdict::default();
    let Some(text) = text(folder, sums::FILE)? else {
        verdict.note("signature", vec![format!("{} is missing: this is no release", sums::FILE)]);
        return Ok(verdict);
    };
    let mut comment = None;
    let mut files = Sums::from([(sums::FILE.to_owned(), hashing::of_bytes(text.as_bytes()).sha256)]);
    match &trust.key {
        None => {
            verdict.note("signature", Vec::new());
            verdict.remark("NOT CHECKED: anyone can have made this release".to_owned());
        }
        Some(key) => {
            let problems = match signing::read(folder)? {
                None => vec![format!("{} is missing: the release is not signed", signing::FILE)],
                Some(signature) => {
                    let sha256 = hashing::of_bytes(signature.as_bytes()).sha256;
                    files.insert(signing::FILE.to_owned(), sha256);
                    match signing::verify(key, text.as_bytes(), &signature) {
                        Ok(told) => {
                            comment = Some(told);
                            Vec::new()
                        }
                        Err(problem) => {
                            vec![format!("{problem}; it is not what the holder of this key signed")]
                        }
                    }
                }
            };
            if !verdict.note("signature", problems) {
                return Ok(verdict);
            }
        }
    }
    let sums = match sums::parse(&text) {
        Ok(sums) => sums,
        Err(problems) => {
            verdict.note("sums", problems);
            return Ok(verdict);
        }
    };
    files.extend(sums.clone());
    verdict.files = files;
    if !verdict.note("sums", judge_sums(folder, &sums, only)?) {
        return Ok(verdict);
    }
    let (problems, manifest) = judge_manifest(folder, &sums, comment.as_deref())?;
    let sound = verdict.note("manifest", problems);
    let Some(manifest) = manifest.filter(|_| sound) else { return Ok(verdict) };
    let release = &manifest.release;
    if let Some(installed) = &trust.installed
        && !verdict.note("version", judge_version(release, installed))
    {
        return Ok(verdict);
    }
    let (problems, statement) = judge_provenance(folder, release, &sums)?;
    if !verdict.note("provenance", problems) {
        return Ok(verdict);
    }
    verdict.statement = statement;
    let name = description::bundle(&release.version);
    if only.is_none_or(|only| only == name) {
        let (problems, files) = judge_bundle(folder, &name, release)?;
        if !verdict.note("bundle", problems) {
            return Ok(verdict);
        }
        if let Some(statement) = &verdict.statement {
            let problems = judge_materials(statement, &files);
            verdict.note("materials", problems);
        }
        if only.is_none() {
            let at = time(release.committed);
            let about = sbom::About { version: &release.version, commit: &release.commit, time: &at };
            verdict.note("bills of materials", judge_sboms(folder, release, &files, &about)?);
        }
    }
    let programs: Vec<_> = manifest
        .artifacts
        .iter()
        .filter(|artifact| artifact.kind == Kind::Operator && only.is_none_or(|only| only == artifact.name))
        .collect();
    if !programs.is_empty() {
        let mut problems = Vec::new();
        for artifact in programs {
            problems.extend(judge_program(folder, &artifact.name, release)?);
        }
        if !verdict.note("programs for other machines", problems) {
            return Ok(verdict);
        }
    }
    if only.is_none() {
        let (problems, ledger) = judge_evidence(folder, release)?;
        verdict.note("evidence", problems);
        ledger.iter().for_each(|ledger| verdict.remark(ledger.summary()));
        verdict.ledger = ledger;
        verdict.note("images", judge_images(folder, release)?);
    }
    verdict.manifest = Some(manifest);
    Ok(verdict)
}

fn text(folder: &Path, name: &str) -> Result<Option<String>> {
    let path = folder.join(name);
    if !path.exists() {
        return Ok(None);
    }
    let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

fn judge_sums(folder: &Path, sums: &Sums, only: Option<&str>) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    let wanted =
        |name: &str| only.is_none_or(|only| [only, manifest::FILE, provenance::FILE].contains(&name));
    if let Some(only) = only.filter(|only| !sums.contains_key(*only)) {
        problems.push(format!("{only}: not listed in {}", sums::FILE));
    }
    for (name, sha256) in sums.iter().filter(|(name, _)| wanted(name)) {
        let path = folder.join(name);
        match path.symlink_metadata() {
            Err(_) => problems.push(format!("{name}: listed in {} and missing", sums::FILE)),
            Ok(facts) if !facts.is_file() => problems.push(format!("{name}: not a file")),
            Ok(_) if hashing::of_file(&path)?.sha256 != *sha256 => {
                problems
                    .push(format!("{name}: its bytes are not those that {} lists; get it again", sums::FILE));
            }
            Ok(_) => {}
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

fn judge_manifest(
    folder: &Path,
    sums: &Sums,
    comment: Option<&str>,
) -> Result<(Vec<String>, Option<Manifest>)> {
    let manifest = match manifest::read(folder)? {
        Ok(manifest) => manifest,
        Err(problem) => return Ok((vec![problem], None)),
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
            None => {
                problems.push(format!("{}: names {name}, which the sums do not, or twice", manifest::FILE))
            }
            Some(sum) if sum != artifact.sha256 => {
                problems.push(format!("{}: another digest of {name} than the sums", manifest::FILE));
            }
            Some(_) => {
                let size = fs::metadata(folder.join(name)).map(|facts| facts.len());
                if size.is_ok_and(|size| size != artifact.bytes) {
                    problems.push(format!("{}: another size of {name} than it has", manifest::FILE));
                }
            }
        }
    }
    problems.extend(left.keys().map(|name| format!("{}: does not name {name}", manifest::FILE)));
    let bundle = description::bundle(&release.version);
    if !manifest.artifacts.iter().any(|artifact| artifact.name == bundle) {
        problems.push(format!("{}: names no {bundle}", manifest::FILE));
    }
    Ok((problems, Some(manifest)))
}

fn judge_version(release: &Release, installed: &Version) -> Vec<String> {
    match Version::parse(&release.version) {
        Ok(version) if version.cmp_precedence(installed).is_lt() => {
            vec![format!(
                "a downgrade: {version} is older than {installed}, which is installed; roll back instead"
            )]
        }
        Ok(_) => Vec::new(),
        Err(error) => vec![format!("{}: {} is no version: {error}", manifest::FILE, release.version)],
    }
}

fn judge_provenance(
    folder: &Path,
    release: &Release,
    sums: &Sums,
) -> Result<(Vec<String>, Option<Statement>)> {
    let told = text(folder, provenance::FILE)?.unwrap_or_default();
    Ok(match serde_json::from_str::<Statement>(&told) {
        Ok(statement) => (statement.problems(release, sums), Some(statement)),
        Err(error) => (vec![format!("{}: {error}", provenance::FILE)], None),
    })
}

/// The bundle's entries, with the contents of the files that other checks need.
type Files = BTreeMap<String, Found>;

/// Reads an archive of the release; files for which `keep` says so are kept.
fn entries(folder: &Path, name: &str, release: &Release, keep: &dyn Fn(&str) -> bool) -> Result<Reading> {
    let path = folder.join(name);
    let file = File::open(&path).with_context(|| path.display().to_string())?;
    let stream = MultiGzDecoder::new(BufReader::with_capacity(1 << 20, file));
    let top = description::top(&release.version);
    Ok(safe_read::read(stream, &Expected { top: &top, mtime: release.committed }, keep))
}

fn judge_bundle(folder: &Path, name: &str, release: &Release) -> Result<(Vec<String>, Files)> {
    let reading = entries(folder, name, release, &|path| {
        path == description::FILE
            || provenance::MATERIALS.contains(&path)
            || path.ends_with("package-lock.json")
    })?;
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
                        "{name}: its {} says otherwise than {}",
                        description::FILE,
                        manifest::FILE
                    ));
                }
                Ok(_) => {}
            },
        }
        if !matches!(reading.entries.get(bundle::OPERATOR), Some(Found::File { executable: true, .. })) {
            problems.push(format!("{name}: holds no program {}", bundle::OPERATOR));
        }
    }
    Ok((problems, reading.entries))
}

/// The archive of the operator's program for another machine than the bundle's.
fn judge_program(folder: &Path, name: &str, release: &Release) -> Result<Vec<String>> {
    let target = description::operator_target(&release.version, name);
    if target.is_none_or(|target| target == release.target) {
        let expected = description::operator(&release.version, "TARGET");
        return Ok(vec![format!(
            "{name}: expected a name such as {expected}, for another machine than the bundle's"
        )]);
    }
    let reading = entries(folder, name, release, &|_| false)?;
    let mut problems = reading.problems;
    let found: Vec<_> = reading.entries.iter().collect();
    match found[..] {
        _ if !problems.is_empty() => {}
        [(path, Found::File { executable: true, sha256, .. })] if path == bundle::OPERATOR => {
            let told = release.operators.iter().find(|program| Some(program.target.as_str()) == target);
            if told.is_none_or(|told| told.sha256 != *sha256 || told.commit != release.commit) {
                problems.push(format!("holds another program than {} tells of", description::FILE));
            }
        }
        _ => {
            let found = found.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>().join(", ");
            problems
                .push(format!("holds {found:?}; expected the program {} and nothing else", bundle::OPERATOR));
        }
    }
    Ok(problems.into_iter().map(|problem| format!("{name}: {problem}")).collect())
}

fn kept<'a>(files: &'a Files, path: &str) -> Option<&'a [u8]> {
    match files.get(path) {
        Some(Found::File { kept: Some(bytes), .. }) => Some(bytes),
        _ => None,
    }
}

/// The lock files that provenance names must be those of the bundle, where that has them.
fn judge_materials(statement: &Statement, files: &Files) -> Vec<String> {
    let differs = |material: &&provenance::Material| match files.get(&material.name) {
        Some(Found::File { sha256, .. }) => material.digest.get("sha256") != Some(sha256),
        _ => false,
    };
    let materials = statement.predicate.build_definition.resolved_dependencies.iter();
    materials
        .filter(differs)
        .map(|material| format!("{}: {} is another one than in the bundle", provenance::FILE, material.name))
        .collect()
}

fn judge_sboms(folder: &Path, release: &Release, files: &Files, about: &sbom::About) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    let mut compare = |name: String, expected: Result<Bom>| -> Result<()> {
        let told = text(folder, &name)?.unwrap_or_default();
        match (serde_json::from_str::<Bom>(&told), expected) {
            (Err(error), _) => problems.push(format!("{name}: {error}")),
            (_, Err(error)) => problems.push(format!("{name}: its lock: {error:#}")),
            (Ok(told), Ok(expected)) => problems.extend(told.differences(&name, &expected)),
        }
        Ok(())
    };
    let rust = sbom::rust(kept(files, bundle::CARGO_LOCK).unwrap_or_default(), about);
    compare(description::rust_sbom(&release.version), rust)?;
    let locks: Vec<(&str, &[u8])> = files
        .keys()
        .filter(|path| path.rsplit('/').next() == Some("package-lock.json"))
        .filter_map(|path| Some((path.as_str(), kept(files, path)?)))
        .collect();
    compare(description::npm_sbom(&release.version), sbom::npm(&locks, about))?;
    Ok(problems)
}

/// What is wrong with the ledger, and the ledger.
fn judge_evidence(folder: &Path, release: &Release) -> Result<(Vec<String>, Option<Ledger>)> {
    let Some(told) = text(folder, ledger::FILE)? else {
        return Ok((vec![format!("{} is missing", ledger::FILE)], None));
    };
    Ok(match serde_json::from_str::<Ledger>(&told) {
        Ok(ledger) => (ledger.problems(&release.commit), Some(ledger)),
        Err(error) => (vec![format!("{}: {error}", ledger::FILE)], None),
    })
}

fn judge_images(folder: &Path, release: &Release) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for image in &release.images {
        let Some(archive) = &image.archive else { continue };
        match oci_digest::of(&folder.join(archive))? {
            Ok(digest) if digest == image.digest => {}
            Ok(digest) => problems.push(format!("{archive}: holds {digest}; expected {}", image.digest)),
            Err(problem) => problems.push(format!("{archive}: {problem}")),
        }
    }
    Ok(problems)
}
