//! Judges the files of a release. Each check rests on those before it: after one that fails nothing more is read.

mod archives;
mod statements;

use std::path::Path;

use anyhow::Result;
use minisign::PublicKey;
use semver::Version;
use serde::Serialize;

use super::description;
use super::ledger::Ledger;
use super::manifest::{Kind, Manifest};
use super::provenance::Statement;
use super::sums::{self, Sums};
use super::{sbom, signing};
use foundation::digest;
use foundation::escape;
use foundation::files;

/// Whom to believe, and what must not be gone behind.
pub struct Trust {
    /// None: whoever made it, for trying.
    pub keys: Option<Vec<PublicKey>>,
    /// A release that is older is refused.
    pub installed: Option<Version>,
}

/// A check and what it found.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    pub what: &'static str,
    pub problems: Vec<String>,
    /// Whether a part of it was not checked or is not proven: then it has not passed, and nothing is wrong with it either.
    pub open: bool,
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
        // They quote what somebody else wrote.
        let problems = problems.iter().map(|problem| escape::name(problem).into_owned()).collect();
        self.checks.push(Check { what, problems, open: false, note: None });
        good
    }

    /// Says something of the last check, and whether a part of it is open.
    fn remark(&mut self, open: bool, note: String) {
        if let Some(last) = self.checks.last_mut() {
            last.open = open;
            last.note = Some(escape::name(&note).into_owned());
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
    let text = files::if_there(files::text(&folder.join(sums::FILE), files::TEXT));
    let missing = || format!("{} is missing: this is not a release", sums::FILE);
    let text = match text.map_err(|error| error.to_string()).and_then(|text| text.ok_or_else(missing)) {
        Ok(text) => text,
        Err(problem) => {
            verdict.note("sums", vec![problem]);
            return Ok(verdict);
        }
    };
    let mut comment = None;
    let mut files = Sums::from([(sums::FILE.to_owned(), digest::sha256(text.as_bytes()))]);
    match &trust.keys {
        None => {
            verdict.note("signature", Vec::new());
            verdict.remark(true, "NOT CHECKED: anybody could have made this release".to_owned());
        }
        Some(keys) => {
            let problems = match signing::read(folder) {
                Err(error) => vec![error.to_string()],
                Ok(None) => vec![format!("{} is missing: the release is not signed", signing::FILE)],
                Ok(Some(signature)) => {
                    let sha256 = digest::sha256(signature.as_bytes());
                    files.insert(signing::FILE.to_owned(), sha256);
                    match signing::verify(keys, text.as_bytes(), &signature) {
                        Ok(told) => {
                            comment = Some(told);
                            Vec::new()
                        }
                        Err(problem) => {
                            vec![format!("{problem}; it is not what the owner of a trusted key signed")]
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
    if !verdict.note("sums", statements::sums(folder, &sums, only)?) {
        return Ok(verdict);
    }
    let (problems, manifest) = statements::manifest(folder, &sums, comment.as_deref());
    let sound = verdict.note("manifest", problems);
    let Some(manifest) = manifest.filter(|_| sound) else { return Ok(verdict) };
    let release = &manifest.release;
    if let Some(installed) = &trust.installed
        && !verdict.note("version", statements::version(release, installed))
    {
        return Ok(verdict);
    }
    let (problems, statement) = statements::provenance(folder, release, &sums);
    if !verdict.note("provenance", problems) {
        return Ok(verdict);
    }
    verdict.statement = statement;
    let name = description::bundle(&release.version);
    if only.is_none_or(|only| only == name) {
        let (problems, files) = archives::bundle(folder, &name, release);
        if !verdict.note("bundle", problems) {
            return Ok(verdict);
        }
        if let Some(statement) = &verdict.statement {
            let problems = archives::materials(statement, &files);
            verdict.note("materials", problems);
        }
        if only.is_none() {
            let at = time(release.committed);
            let about = sbom::About { version: &release.version, commit: &release.commit, time: &at };
            verdict.note("bills of materials", archives::sboms(folder, release, &sums, &files, &about));
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
            problems.extend(archives::program(folder, &artifact.name, release));
        }
        if !verdict.note("programs for other machines", problems) {
            return Ok(verdict);
        }
    }
    if only.is_none() {
        let (problems, ledger) = statements::evidence(folder, release, &sums);
        verdict.note("evidence", problems);
        ledger.iter().for_each(|ledger| verdict.remark(!ledger.is_whole(), ledger.summary()));
        verdict.ledger = ledger;
        verdict.note("images", archives::images(folder, release));
    }
    verdict.manifest = Some(manifest);
    Ok(verdict)
}

/// The text of a file of the release that the sums list, none when it is missing.
///
/// # Errors
/// It is no file that is read, or another one by now.
fn text(folder: &Path, sums: &Sums, name: &str) -> Result<Option<String>, String> {
    let text =
        files::if_there(files::text(&folder.join(name), files::TEXT)).map_err(|error| error.to_string())?;
    let changed = |text: &String| Some(&digest::sha256(text.as_bytes())) != sums.get(name);
    if text.as_ref().is_some_and(changed) {
        return Err(format!("{name}: its checksum differs from {}", sums::FILE));
    }
    Ok(text)
}
