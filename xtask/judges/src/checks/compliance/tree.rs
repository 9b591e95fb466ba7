//! The files that are judged, and what the readers make of them, once for all rows.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value;
use vocabulary::problem::Problem;

use super::compose_project::{self, Composed};
use super::dockerfile::{self, Dockerfile};
use super::row::Place;
use super::yaml::{self, Node};

/// A file as it was read.
#[derive(Debug, Default)]
pub struct File {
    /// All of it, or only its beginning where [`reads_whole`] says no.
    pub bytes: Vec<u8>,
}

/// Everything that rows may look at.
#[derive(Debug, Default)]
pub struct Tree {
    files: BTreeMap<Rc<str>, File>,
    /// The time at which it is judged.
    pub clock: Clock,
    dockerfiles: OnceCell<Vec<Dockerfile>>,
    composed: OnceCell<Composed>,
    workflows: OnceCell<Parsed>,
}

/// Times as records have them: RFC 3339 in UTC, so that later ones sort later.
#[derive(Debug, Default)]
pub struct Clock {
    pub now: String,
    pub a_day_ago: String,
}

/// YAML documents of several files, and why others are none.
#[derive(Debug, Default)]
pub struct Parsed {
    pub documents: Vec<Node>,
    pub broken: Vec<Problem>,
}

/// Fixtures of tests plant faults on purpose.
const FIXTURES: &str = "xtask/tests/";
/// Bases for machines that reach no registry: made of what such a machine has, and in no release.
const STAND_INS: &str = "xtask/program/src/images/stand_in/";
/// Where a release is made.
pub const RELEASE: &str = "target/release-artifacts/";
/// The model as data.
pub const PLATFORM: &str = "docs/reference/platform.json";

/// Whether the rows need more of a file than its beginning: images that a release carries are large, and judged by
/// others.
pub fn reads_whole(path: &str) -> bool {
    !path.starts_with(RELEASE) || !path.contains(".oci.") && !path.ends_with(".tar")
}

/// Whether a file has a name by which rows find what they judge: something else in its place must not pass unseen.
pub fn is_subject(path: &str) -> bool {
    is_dockerfile(path)
        || is_yaml(path)
        || [".tf", ".tfvars", ".cfg"].iter().any(|ending| path.ends_with(ending))
}

fn is_dockerfile(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name == "Dockerfile" || name.starts_with("Dockerfile.") || name.ends_with(".Dockerfile")
}

fn is_yaml(path: &str) -> bool {
    path.ends_with(".yml") || path.ends_with(".yaml")
}

impl Tree {
    pub fn new(files: impl IntoIterator<Item = (String, File)>, clock: Clock) -> Self {
        let files = files.into_iter().map(|(path, file)| (path.into(), file)).collect();
        Self { files, clock, ..Self::default() }
    }

    /// Every file, by path below the root.
    pub fn all(&self) -> impl Iterator<Item = (&Rc<str>, &File)> {
        self.files.iter()
    }

    /// Paths of what is in use: all but fixtures of tests.
    pub fn paths(&self) -> impl Iterator<Item = &Rc<str>> {
        self.files.keys().filter(|path| !path.starts_with(FIXTURES))
    }

    pub fn bytes(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(|file| file.bytes.as_slice())
    }

    /// What is no UTF-8 is replaced: it is in no place where it would matter. A byte-order mark is left out, as every
    /// program does that reads these files.
    pub fn text(&self, path: &str) -> Option<String> {
        let bytes = self.bytes(path)?;
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        Some(String::from_utf8_lossy(bytes).into_owned())
    }

    pub fn json(&self, path: &str) -> Option<Result<Value, Problem>> {
        let text = self.text(path)?;
        Some(serde_json::from_str(&text).map_err(|error| {
            Problem::new(
                &Place { file: path.into(), line: error.line().max(1) },
                format!("this is not JSON: {error}"),
            )
            .remedy("write it again")
        }))
    }

    pub fn dockerfiles(&self) -> &[Dockerfile] {
        self.dockerfiles.get_or_init(|| {
            self.paths()
                .filter(|path| is_dockerfile(path) && !path.starts_with(STAND_INS))
                .map(|path| dockerfile::read(path, &self.text(path).unwrap_or_default()))
                .collect()
        })
    }

    pub fn composed(&self) -> &Composed {
        self.composed.get_or_init(|| compose_project::read(self))
    }

    /// The workflows and the actions of the repository itself, a document each.
    pub fn workflows(&self) -> &Parsed {
        self.workflows.get_or_init(|| {
            self.yaml(|path| path.starts_with(".github/workflows/") || path.starts_with(".github/actions/"))
        })
    }

    /// The documents of the YAML files whose paths are wanted.
    pub fn yaml(&self, wanted: impl Fn(&str) -> bool) -> Parsed {
        let mut parsed = Parsed::default();
        for path in self.paths().filter(|path| is_yaml(path) && wanted(path)) {
            match yaml::read(path, &self.text(path).unwrap_or_default()) {
                Ok(documents) => parsed.documents.extend(documents),
                Err(finding) => parsed.broken.push(finding),
            }
        }
        parsed
    }
}
