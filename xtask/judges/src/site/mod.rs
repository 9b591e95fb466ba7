//! `ops/environments/*.toml` -> [`Environment`]: what a site edits, judged as a whole.
//!
//! [`settings`] is the one table of keys, types, defaults and meanings; [`read`] walks a file along it; [`rules`]
//! refuses what cannot go together; [`problem`] says where and what to do.

mod kind;
mod problem;
mod read;
mod rules;
mod settings;

use std::borrow::Cow;
use std::fs;
use std::path::Path;

use anyhow::Result;
use vocabulary::model::environment::{EngineKind, Environment};
use vocabulary::model::{Platform, Service};
use vocabulary::problem::Problem;

use foundation::exit::refused;
use foundation::files;
use foundation::nearest::nearest;

pub use problem::listing;
pub use settings::{SettingDoc, settings};

/// Where the environments are, below the root.
pub const FOLDER: &str = "ops/environments";

/// What a site may name of a platform.
#[derive(Debug, Clone)]
pub struct Known {
    pub services: Vec<KnownService>,
    /// The optional parts that `with` may name.
    pub groups: Vec<&'static str>,
    /// Those of which nothing runs on the process engine.
    pub only_in_containers: Vec<&'static str>,
    /// The names of its gates; none where another release, with other gates, may be meant.
    pub gates: Option<Vec<&'static str>>,
}

/// A service that `sizes`, `ports` and `egress` may name.
#[derive(Debug, Clone)]
pub struct KnownService {
    pub id: &'static str,
    /// The names of its ports.
    pub ports: Cow<'static, [&'static str]>,
    /// Whether a site may choose how many of it run.
    pub scales: bool,
    /// Whether it may connect to places outside the platform.
    pub calls_out: bool,
}

/// What a site may name of this platform.
pub fn known(platform: &Platform) -> Known {
    let known = |service: &Service| KnownService {
        id: service.id.0,
        ports: service.ports.iter().map(|port| port.name).collect(),
        scales: service.scales(),
        calls_out: service.calls_out(),
    };
    let groups: Vec<_> = platform.groups().into_iter().map(|group| group.0).collect();
    let is_contained = |group: &&&str| !platform.has_part_on(EngineKind::Process, group);
    Known {
        only_in_containers: groups.iter().filter(is_contained).copied().collect(),
        services: platform.services.iter().map(known).collect(),
        groups,
        gates: Some(platform.gates.iter().map(|gate| gate.id).collect()),
    }
}

/// One environment file as it was found.
#[derive(Debug, Clone)]
pub struct SiteFile {
    /// Relative to the root, with `/`.
    pub path: String,
    pub bytes: Vec<u8>,
}

impl SiteFile {
    /// The environment's name: the file's stem.
    pub fn stem(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or(&self.path);
        name.strip_suffix(".toml").unwrap_or(name)
    }
}

/// Reads every `ops/environments/*.toml`, in the order of their names.
///
/// # Errors
/// Refused when there is none, or one that cannot be read.
pub fn files(root: &Path) -> Result<Vec<SiteFile>> {
    let folder = root.join(FOLDER);
    let entries = fs::read_dir(&folder).map_err(|error| {
        refused(format!("{FOLDER}: {error}; expected a folder with one TOML file per environment"))
    })?;
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".toml") && !name.starts_with('.') {
            names.push(name);
        }
    }
    if names.is_empty() {
        return Err(refused(format!(
            "{FOLDER}: no environment; expected at least one TOML file, such as dev.toml"
        )));
    }
    names.sort();
    names
        .into_iter()
        .map(|name| {
            let path = format!("{FOLDER}/{name}");
            let read = files::read(&folder.join(&name), files::TEXT);
            let read =
                read.map_err(|error| refused(format!("{error}; expected a TOML file that can be read")))?;
            Ok(SiteFile { path, bytes: read.bytes })
        })
        .collect()
}

/// Judges files and turns them into environments, with what has no effect yet. Pure.
///
/// # Errors
/// Every problem of every file, in the order of files and lines.
pub fn judge(files: &[SiteFile], known: &Known) -> Result<(Vec<Environment>, Vec<Problem>), Vec<Problem>> {
    let (mut environments, mut without_effect) = (Vec::new(), Vec::new());
    let mut problems = Vec::new();
    for file in files {
        match read::environment(file, known) {
            Ok((environment, not_yet)) => {
                environments.push(environment);
                without_effect.extend(not_yet);
            }
            Err(more) => problems.extend(more),
        }
    }
    if problems.is_empty() { Ok((environments, without_effect)) } else { Err(problems) }
}

/// All environments of a tree.
///
/// # Errors
/// Refused (exit code 2) with every problem of every file.
pub fn load_all(root: &Path, known: &Known) -> Result<Vec<Environment>> {
    let judged = judge(&files(root)?, known).map_err(|problems| refused(listing(&problems)))?;
    Ok(judged.0)
}

/// One environment; faults of the others do not matter.
///
/// # Errors
/// Refused (exit code 2) when there is none of that name, or with every problem of its file.
pub fn load(root: &Path, name: &str, known: &Known) -> Result<Environment> {
    load_with_notes(root, name, known).map(|(environment, _)| environment)
}

/// The same with what has no effect yet.
///
/// # Errors
/// As [`load`].
pub fn load_with_notes(root: &Path, name: &str, known: &Known) -> Result<(Environment, Vec<Problem>)> {
    let file = named(root, name)?;
    read::environment(&file, known).map_err(|problems| refused(listing(&problems)))
}

/// The file of an environment, unread. Where a name becomes a path, this is what keeps it below the state's folder.
///
/// # Errors
/// Refused (exit code 2) when there is none of that name.
pub fn named(root: &Path, name: &str) -> Result<SiteFile> {
    let mut files = files(root)?;
    if let Some(at) = files.iter().position(|file| file.stem() == name) {
        return Ok(files.swap_remove(at));
    }
    let names: Vec<&str> = files.iter().map(SiteFile::stem).collect();
    let hint = nearest(name, names.iter().copied()).map(|near| format!("; did you mean \"{near}\"?"));
    Err(refused(format!(
        "no environment \"{name}\"; expected one of {} (the files in {FOLDER}){}",
        names.join(", "),
        hint.unwrap_or_default()
    )))
}

#[cfg(test)]
mod tests;
