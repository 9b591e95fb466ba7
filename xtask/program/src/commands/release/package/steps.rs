//! The plan of a release: every file is made in a folder of its own, and that folder gets its name at the end.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;

use super::inputs::Inputs;
use crate::commands::release::{FOLDER, operator_build};
use crate::context::Context;
use crate::images::locks::BuiltImage;
use runner::plan::action::{Action, Native};
use runner::plan::argument::Arg;
use runner::plan::step::{OnFailure, Plan, Step, StepId};
use shipping::release::description;
use shipping::release::{ledger, manifest, provenance, signing, sums};

/// Names the lock, the journal and the logs.
const TARGET: &str = "release-package";

/// The ids of the steps; those of programs and images end with what they are for.
const CLEAR: &str = "clear";
const OPERATOR: &str = "operator";
const BUNDLE: &str = "bundle";
const SBOMS: &str = "sboms";
const EVIDENCE: &str = "evidence";
const STATEMENTS: &str = "statements";
const SIGN: &str = "sign";
const PLACE: &str = "place";

/// The native actions of the plan. Each puts out, of every file that it makes, `sha256 FILE` and `bytes FILE`.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "name", content = "parameters", rename_all = "kebab-case")]
pub enum Package {
    Clear {
        stage: PathBuf,
    },
    /// The operator's binary is there already.
    Operator {
        file: PathBuf,
    },
    /// The archive of a program for other machines.
    Program {
        program: PathBuf,
        sha256: String,
        file: String,
    },
    /// Puts out `digest` too.
    Image {
        tag: String,
        file: String,
    },
    Bundle {
        commit: String,
        images: Digests,
    },
    Sboms {
        commit: String,
    },
    Evidence {
        commit: String,
    },
    Statements {
        builder: String,
        images: Digests,
        artifacts: Vec<Fact>,
    },
    Sign {
        key: PathBuf,
        password: Option<PathBuf>,
    },
    Place {
        folder: PathBuf,
    },
}

/// Of the images, by target.
pub type Digests = BTreeMap<String, Arg>;

/// A file of the release.
#[derive(Debug, Clone, Serialize)]
pub struct Fact {
    pub file: String,
    pub kind: manifest::Kind,
    pub sha256: Arg,
    pub bytes: Arg,
}

impl Native for Package {
    fn args(&self) -> Vec<&Arg> {
        match self {
            Self::Bundle { images, .. } => images.values().collect(),
            Self::Statements { images, artifacts, .. } => {
                let facts = artifacts.iter().flat_map(|fact| [&fact.sha256, &fact.bytes]);
                images.values().chain(facts).collect()
            }
            Self::Clear { .. }
            | Self::Operator { .. }
            | Self::Program { .. }
            | Self::Image { .. }
            | Self::Sboms { .. }
            | Self::Evidence { .. }
            | Self::Sign { .. }
            | Self::Place { .. } => vec![],
        }
    }
}

/// The folder of releases that are being made.
pub fn workshop(context: &Context) -> PathBuf {
    context.path("target/release-workshop")
}

/// Where this release is made.
pub fn stage(context: &Context, inputs: &Inputs) -> PathBuf {
    workshop(context).join(inputs.fingerprint())
}

/// Files of a release, each with the step that makes it; in the order of the manifest.
pub fn artifacts(inputs: &Inputs) -> Vec<(String, StepId, manifest::Kind)> {
    let version = &inputs.version;
    let mut files = vec![
        (description::bundle(version), BUNDLE.into(), manifest::Kind::Bundle),
        (description::rust_sbom(version), SBOMS.into(), manifest::Kind::Sbom),
        (description::npm_sbom(version), SBOMS.into(), manifest::Kind::Sbom),
        (ledger::FILE.to_owned(), EVIDENCE.into(), manifest::Kind::Evidence),
    ];
    for operator in &inputs.operators {
        let target = operator.architecture.target();
        files.push((description::operator(version, target), program_step(target), manifest::Kind::Operator));
    }
    for image in &inputs.built {
        let file = description::image(version, &image.target);
        files.push((file, image_step(&image.target), manifest::Kind::Image));
    }
    files.sort_by(|left, right| left.0.cmp(&right.0));
    files
}

/// The files about those files.
pub fn statements(inputs: &Inputs) -> Vec<&'static str> {
    let mut files = vec![manifest::FILE, provenance::FILE, sums::FILE];
    if inputs.key.is_some() {
        files.push(signing::FILE);
    }
    files
}

fn program_step(target: &str) -> StepId {
    format!("program-{target}").into()
}

fn image_step(target: &str) -> StepId {
    format!("image-{target}").into()
}

/// # Errors
/// There is no home to look for cargo's folder in.
pub fn plan(context: &Context, inputs: &Inputs) -> Result<Plan<Package>> {
    let stage = stage(context, inputs);
    let made = |names: &[String]| names.iter().map(|name| stage.join(name)).collect::<Vec<_>>();
    let step = |id: StepId, title: String, needs: Vec<StepId>, action: Package| Step {
        needs,
        journaled: true,
        ..Step::new(id, title, Action::Native(action))
    };
    let always = |step: Step<Package>| Step { journaled: false, ..step };
    let cleared = || vec![StepId::from(CLEAR)];
    let commit = || inputs.commit.id.clone();
    let version = &inputs.version;
    let clear = Package::Clear { stage: stage.clone() };
    let mut steps = vec![always(step(CLEAR.into(), "make room".to_owned(), vec![], clear))];
    let mut operator =
        operator_build::step(OPERATOR, &context.root, inputs.architecture, inputs.commit.time)?;
    if let Some(file) = &inputs.operator_binary {
        operator.action = Action::Native(Package::Operator { file: file.clone() });
    }
    steps.push(Step { needs: cleared(), ..operator });
    for operator in &inputs.operators {
        let target = operator.architecture.target();
        let file = description::operator(version, target);
        let makes = made(std::slice::from_ref(&file));
        let (program, sha256) = (operator.file.clone(), operator.program.sha256.clone());
        let action = Package::Program { program, sha256, file };
        let step = step(program_step(target), format!("pack the program for {target}"), cleared(), action);
        steps.push(Step { makes, ..step });
    }
    for image in &inputs.built {
        let file = description::image(version, &image.target);
        let makes = made(std::slice::from_ref(&file));
        let action = Package::Image { tag: image.tag.clone(), file };
        let title = format!("save the image {}", image.target);
        let step = step(image_step(&image.target), title, cleared(), action);
        steps.push(Step { makes, time_limit_ms: 1_800_000, ..step });
    }
    let images = inputs.built.iter().map(|image| image_step(&image.target));
    let needs = [OPERATOR.into()].into_iter().chain(images).collect();
    let digest =
        |image: &BuiltImage| (image.target.clone(), Arg::output(image_step(&image.target), "digest"));
    let digests: Digests = inputs.built.iter().map(digest).collect();
    let bundle = description::bundle(version);
    let action = Package::Bundle { commit: commit(), images: digests.clone() };
    let makes = made(std::slice::from_ref(&bundle));
    steps.push(Step { makes, ..step(BUNDLE.into(), format!("pack {bundle}"), needs, action) });
    let action = Package::Sboms { commit: commit() };
    steps.push(Step {
        makes: made(&[description::rust_sbom(version), description::npm_sbom(version)]),
        ..step(SBOMS.into(), "write the bills of materials".to_owned(), cleared(), action)
    });
    let action = Package::Evidence { commit: commit() };
    steps.push(always(step(EVIDENCE.into(), "collect the evidence".to_owned(), cleared(), action)));
    let programs = inputs.operators.iter().map(|operator| program_step(operator.architecture.target()));
    let needs = [BUNDLE, SBOMS, EVIDENCE].map(StepId::from).into_iter().chain(programs).collect();
    let fact = |(file, step, kind): (String, StepId, manifest::Kind)| Fact {
        sha256: Arg::output(step.clone(), format!("sha256 {file}")),
        bytes: Arg::output(step, format!("bytes {file}")),
        kind,
        file,
    };
    let action = Package::Statements {
        builder: inputs.builder.clone(),
        images: digests,
        artifacts: artifacts(inputs).into_iter().map(fact).collect(),
    };
    let title = "write the manifest, provenance and checksums".to_owned();
    steps.push(always(step(STATEMENTS.into(), title, needs, action)));
    let mut last = STATEMENTS;
    if let Some(key) = &inputs.key {
        let action = Package::Sign { key: key.file.clone(), password: key.password.clone() };
        let title = format!("sign {}", sums::FILE);
        steps.push(always(step(SIGN.into(), title, vec![STATEMENTS.into()], action)));
        last = SIGN;
    }
    let action = Package::Place { folder: context.path(FOLDER) };
    steps.push(always(step(PLACE.into(), format!("move it to {FOLDER}"), vec![last.into()], action)));
    let intent = format!("package {version}");
    Ok(Plan { intent, target: TARGET.to_owned(), on_failure: OnFailure::Keep, steps })
}
