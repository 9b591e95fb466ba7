//! Looks at what a release would be made of, and refuses before anything is made, with everything that is missing.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Result;
use vocabulary::model::{self, Architecture, Platform};

use super::{Images, Options};
use crate::commands::release::{operator, operator_build};
use crate::context::Context;
use crate::images::build::wanted;
use crate::images::dockerfile;
use crate::images::engine::Engine;
use crate::images::locks::{self, Built, BuiltImage};
use crate::session::rehearsal::REHEARSALS;
use crate::tools::requirements::Requirements;
use foundation::digest;
use foundation::exit::refused;
use foundation::files;
use runner::evidence::{Kind, store as evidence};
use shipping::release::commit::{self, Commit};
use shipping::release::description::Image;
use shipping::release::ledger::{self, Ledger};
use shipping::release::program::{self, Program};
use shipping::release::{declared, elf, signing, sums};

/// The label that names the commit of an image.
const REVISION: &str = "org.opencontainers.image.revision";

/// What a release is made of.
#[derive(Debug)]
pub struct Inputs {
    pub commit: Commit,
    pub version: String,
    /// Whom the bundle is for.
    pub architecture: Architecture,
    /// Programs for others.
    pub operators: Vec<Operator>,
    /// Other people's images, by digest.
    pub pinned: Vec<Image>,
    /// Ours, that become part of it.
    pub built: Vec<BuiltImage>,
    pub tools: BTreeMap<String, String>,
    pub key: Option<Key>,
    pub builder: String,
    pub evidence: Option<PathBuf>,
    pub image_archives: Option<PathBuf>,
    pub operator_binary: Option<PathBuf>,
}

/// The operator's program for another machine than the bundle's.
#[derive(Debug)]
pub struct Operator {
    pub architecture: Architecture,
    pub file: PathBuf,
    pub program: Program,
}

/// Where the secret key is.
#[derive(Debug)]
pub struct Key {
    pub file: PathBuf,
    pub password: Option<PathBuf>,
}

impl Inputs {
    /// Of everything that changes the bytes: a rerun with other inputs does not go on from this one's files.
    pub fn fingerprint(&self) -> String {
        digest::sha256(format!("{self:?}"))[..16].to_owned()
    }

    /// The machines of operators that this release has no program for.
    pub fn without(&self, architectures: &[Architecture]) -> impl Iterator<Item = &'static str> {
        let has = |architecture: &Architecture| {
            *architecture == self.architecture
                || self.operators.iter().any(|operator| operator.architecture == *architecture)
        };
        architectures.iter().copied().filter(move |architecture| !has(architecture)).map(Architecture::target)
    }
}

pub fn observe(context: &Context, options: &Options) -> Result<Inputs> {
    let mut problems = Vec::new();
    let mut note = |error: anyhow::Error| problems.push(format!("{error:#}"));
    let commit = commit::checked_out(&context.root).map_err(&mut note).ok();
    let version = version(&context.root).map_err(&mut note).ok();
    let architecture = operator_build::own_architecture().map_err(&mut note).ok();
    let operators = operators(
        &context.platform.release.architectures,
        options.operators.as_deref(),
        architecture,
        commit.as_ref(),
    )
    .unwrap_or_else(|error| {
        note(error);
        Vec::new()
    });
    let tools = tools(&context.root).map_err(&mut note).ok();
    let built = match options.images {
        Images::None => Ok(Vec::new()),
        // What these hold was judged by whoever gives them.
        Images::All if options.image_archives.is_some() => of_production(context),
        Images::All => built(context, commit.as_ref()),
    };
    let built = built.unwrap_or_else(|error| {
        note(error);
        Vec::new()
    });
    let key = options
        .key
        .as_ref()
        .filter(|_| !options.unsigned)
        .map(|file| Key { file: file.clone(), password: options.password_file.clone() });
    if let Some(key) = &key {
        // Now, and not after minutes of building.
        if let Err(error) = signing::secret_key(&key.file, key.password.as_deref()) {
            note(error);
        }
    }
    for file in [&options.evidence, &options.operator_binary].into_iter().flatten() {
        if let Err(error) = files::open_within(file, files::ARCHIVE) {
            note(refused(error.to_string()));
        }
    }
    let (Some(commit), Some(version), Some(architecture), Some(tools), []) =
        (commit, version, architecture, tools, &problems[..])
    else {
        return Err(refused(problems.join("\n")));
    };
    Ok(Inputs {
        commit,
        version,
        architecture,
        operators,
        pinned: pinned(context.platform),
        built,
        tools,
        key,
        builder: options.builder.clone(),
        evidence: options.evidence.clone(),
        image_archives: options.image_archives.clone(),
        operator_binary: options.operator_binary.clone(),
    })
}

/// The version that the tree says it is, which is not this program's when it works on another tree.
fn version(root: &Path) -> Result<String> {
    let file = root.join(declared::FILE);
    let text = files::text(&file, files::TEXT).map_err(|error| refused(error.to_string()))?;
    let version = declared::read(&text).map_err(refused)?.to_string();
    if !sums::is_plain(&version) {
        return Err(refused(format!(
            "{}: the version {version:?} cannot be part of a file name",
            file.display()
        )));
    }
    Ok(version)
}

/// The programs of a folder for other machines than this.
fn operators(
    architectures: &[Architecture],
    folder: Option<&Path>,
    own: Option<Architecture>,
    commit: Option<&Commit>,
) -> Result<Vec<Operator>> {
    let Some(folder) = folder else { return Ok(Vec::new()) };
    let mut operators = Vec::new();
    for architecture in architectures.iter().copied().filter(|architecture| Some(*architecture) != own) {
        let file = folder.join(operator::file_name(architecture.target()));
        if file.symlink_metadata().is_err_and(|error| error.kind() == ErrorKind::NotFound) {
            continue;
        }
        if let Some(problem) = elf::problem(&file, architecture)? {
            return Err(refused(format!("{}: {problem}", file.display())));
        }
        let program = program::read(&file)?;
        let sha256 = digest::of_file(&file)?.sha256;
        for (what, told, found) in [
            ("commit", Some(&program.commit), commit.map(|commit| &commit.id)),
            ("SHA-256", Some(&program.sha256), Some(&sha256)),
        ] {
            if found.is_some() && told != found {
                return Err(refused(format!(
                    "{}: was built with {what} {}, but here it is {}: build it again with `cargo xtask release \
                     operator`",
                    file.display(),
                    told.map_or("", String::as_str),
                    found.map_or("", String::as_str)
                )));
            }
        }
        operators.push(Operator { architecture, file, program });
    }
    if operators.is_empty() {
        let expected = architectures
            .iter()
            .map(|architecture| operator::file_name(architecture.target()))
            .collect::<Vec<_>>()
            .join(" or ");
        return Err(refused(format!(
            "--operators {}: contains no program for another kind of machine; expected {expected}, as `cargo xtask \
             release operator` writes them",
            folder.display()
        )));
    }
    Ok(operators)
}

/// Other people's images, in the order of their references.
fn pinned(platform: &Platform) -> Vec<Image> {
    let mut images: Vec<_> = platform
        .services
        .iter()
        .filter_map(|service| match service.image {
            model::Image::Pinned { reference, digest } => Some(Image {
                reference: reference.to_owned(),
                digest: digest.to_owned(),
                archive: None,
                stand_ins: Vec::new(),
            }),
            _ => None,
        })
        .collect();
    images.sort();
    images.dedup();
    images
}

/// The images of production that were built from this tree: all that it has a stage for.
fn of_production(context: &Context) -> Result<Vec<BuiltImage>> {
    let lock: Built = locks::read(&locks::built_file(context.state()))?;
    let production = context.platform.containers.production;
    let images: Vec<_> = lock.images.into_iter().filter(|image| image.dockerfile == production).collect();
    if images.is_empty() {
        return Err(refused(
            "--images all: no image was built from this tree: run `cargo xtask image build`",
        ));
    }
    let stages = dockerfile::stages(&files::text(&context.path(production), files::TEXT)?);
    let lacking: Vec<_> = wanted(context.platform)
        .into_iter()
        .filter(|wanted| wanted.dockerfile == production && stages.iter().any(|stage| stage == wanted.target))
        .filter(|wanted| !images.iter().any(|image| image.target == wanted.target))
        .map(|wanted| wanted.target)
        .collect();
    if lacking.is_empty() {
        return Ok(images);
    }
    Err(refused(format!(
        "--images all: {} of {production} was not built from this tree: run `cargo xtask image build`",
        lacking.join(", ")
    )))
}

/// The images of production, when the engine still has them as they were built of this commit.
fn built(context: &Context, commit: Option<&Commit>) -> Result<Vec<BuiltImage>> {
    let engine = Engine::find().map_err(|error| {
        refused(format!("--images all: {error:#}; without an engine use `--images none`"))
    })?;
    let images = of_production(context)?;
    let mut problems = Vec::new();
    for image in &images {
        if let Err(problem) = stands_for(&engine, image, commit)? {
            problems.push(format!("--images all: {}: {problem}: run `cargo xtask image build`", image.tag));
        }
    }
    if problems.is_empty() { Ok(images) } else { Err(refused(problems.join("\n"))) }
}

/// Whether an image is what the lock says and of the commit; inside, why not.
fn stands_for(engine: &Engine, image: &BuiltImage, commit: Option<&Commit>) -> Result<Result<(), String>> {
    let Some(found) = engine.inspect(&image.tag)? else {
        return Ok(Err("the engine no longer has it".to_owned()));
    };
    if found["Id"] != image.image_id.as_str() {
        return Ok(Err("the engine's image with this tag is not the one that was built here".to_owned()));
    }
    let revision = found["Config"]["Labels"][REVISION].as_str().unwrap_or_default();
    match commit {
        Some(commit) if commit.id != revision => {
            let of = if revision.is_empty() { "an unknown commit" } else { revision };
            Ok(Err(format!("it was built from {of}, but the release is of {}", commit.id)))
        }
        _ => Ok(Ok(())),
    }
}

/// What makes the operator's program, and what the bundle brings.
fn tools(root: &Path) -> Result<BTreeMap<String, String>> {
    let mut tools = operator_build::tools(root);
    let lock = root.join("ops/ci/requirements.txt");
    let text = files::text(&lock, files::TEXT).map_err(|error| refused(error.to_string()))?;
    let locked = Requirements::parse(&text)
        .map_err(|problems| refused(format!("{}: {}", lock.display(), problems.join("; "))))?;
    tools.extend(locked.blocks.into_iter().map(|wheel| (format!("pypi/{}", wheel.name), wheel.version)));
    Ok(tools)
}

/// What is proven of the commit by the records of this checkout.
pub fn ledger(context: &Context, commit: &Commit) -> Result<Ledger> {
    let platform = context.platform;
    let gates = platform.gates.iter().map(|gate| (Kind::Gate, gate.id));
    let wanted: Vec<_> = gates.chain(REHEARSALS.map(|name| (Kind::Rehearsal, name))).collect();
    Ok(ledger::collect(evidence::read_all(context.state())?, &wanted, &commit.id))
}
