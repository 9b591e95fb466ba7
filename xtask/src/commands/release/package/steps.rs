//! The plan of a release: every file is made in a folder of its own, and that folder gets its name at the end.

use std::path::PathBuf;

use anyhow::Result;
use serde_json::json;

use super::inputs::Inputs;
use crate::commands::release::{FOLDER, operator_build};
use crate::context::Context;
use runner::plan::action::{Action, Native};
use runner::plan::argument::Arg;
use runner::plan::step::{Journaled, Plan, Step, StepId};
use shipping::release::description;
use shipping::release::{ledger, manifest, provenance, signing, sums};

/// Names the lock, the journal and the logs.
const TARGET: &str = "release-package";

pub const CLEAR: &str = "clear";
pub const OPERATOR: &str = "operator";
pub const BUNDLE: &str = "bundle";
/// Of the archives of programs for other machines.
pub const PROGRAM: &str = "program";
pub const SBOMS: &str = "sboms";
pub const IMAGE: &str = "image";
pub const EVIDENCE: &str = "evidence";
pub const STATEMENTS: &str = "statements";
pub const SIGN: &str = "sign";
pub const PLACE: &str = "place";

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

pub fn program_step(target: &str) -> StepId {
    format!("{PROGRAM}-{target}").into()
}

pub fn image_step(target: &str) -> StepId {
    format!("{IMAGE}-{target}").into()
}

/// # Errors
/// There is no home to look for cargo's folder in.
pub fn plan(context: &Context, inputs: &Inputs) -> Result<Plan> {
    let stage = stage(context, inputs);
    let native = |name: &str, parameters| {
        Action::Native(Native { name: name.to_owned(), parameters, ..Native::default() })
    };
    let made = |names: &[String]| names.iter().map(|name| stage.join(name)).collect::<Vec<_>>();
    let base = |id: &str, title: String, needs: &[StepId]| Step {
        id: id.into(),
        title,
        needs: needs.to_vec(),
        journaled: Journaled::UntilFinished,
        ..Step::default()
    };
    let version = &inputs.version;
    let mut steps = vec![Step {
        action: native(CLEAR, json!({ "stage": stage })),
        journaled: Journaled::No,
        ..base(CLEAR, "make room".to_owned(), &[])
    }];
    let mut operator =
        operator_build::step(OPERATOR, &context.root, inputs.architecture, inputs.commit.time)?;
    if let Some(file) = &inputs.operator_binary {
        operator.action = native(OPERATOR, json!({ "file": file }));
    }
    steps.push(Step { needs: vec![CLEAR.into()], ..operator });
    for operator in &inputs.operators {
        let target = operator.architecture.target();
        let file = description::operator(version, target);
        steps.push(Step {
            action: native(
                PROGRAM,
                json!({ "program": operator.file, "sha256": operator.program.sha256, "file": file }),
            ),
            makes: made(&[file]),
            ..base(&program_step(target).0, format!("pack the program for {target}"), &[CLEAR.into()])
        });
    }
    for image in &inputs.built {
        let file = description::image(version, &image.target);
        let id = image_step(&image.target);
        steps.push(Step {
            action: native(IMAGE, json!({ "tag": image.tag, "file": file })),
            makes: made(&[file]),
            time_limit_ms: 1_800_000,
            ..base(&id.0, format!("save the image {}", image.target), &[CLEAR.into()])
        });
    }
    let images = inputs.built.iter().map(|image| image_step(&image.target));
    let digests = inputs
        .built
        .iter()
        .map(|image| (image.target.clone(), Arg::output(image_step(&image.target), "digest")));
    let needs: Vec<_> = [OPERATOR.into()].into_iter().chain(images).collect();
    steps.push(Step {
        action: Action::Native(Native {
            name: BUNDLE.to_owned(),
            parameters: json!({ "commit": inputs.commit.id }),
            args: digests.collect(),
        }),
        makes: made(&[description::bundle(version)]),
        ..base(BUNDLE, format!("pack {}", description::bundle(version)), &needs)
    });
    steps.push(Step {
        action: native(SBOMS, json!({ "commit": inputs.commit.id })),
        makes: made(&[description::rust_sbom(version), description::npm_sbom(version)]),
        ..base(SBOMS, "write the bills of materials".to_owned(), &[CLEAR.into()])
    });
    steps.push(Step {
        action: native(EVIDENCE, json!({ "commit": inputs.commit.id })),
        journaled: Journaled::No,
        ..base(EVIDENCE, "collect the evidence".to_owned(), &[CLEAR.into()])
    });
    let programs = inputs.operators.iter().map(|operator| program_step(operator.architecture.target()));
    let needs: Vec<StepId> =
        [BUNDLE, SBOMS, EVIDENCE].map(StepId::from).into_iter().chain(programs).collect();
    let facts = artifacts(inputs).into_iter().flat_map(|(file, step, _)| {
        ["sha256", "bytes"]
            .map(|what| (format!("{what} {file}"), Arg::output(step.clone(), format!("{what} {file}"))))
    });
    steps.push(Step {
        action: Action::Native(Native {
            name: STATEMENTS.to_owned(),
            parameters: json!({ "builder": inputs.builder }),
            args: facts.collect(),
        }),
        journaled: Journaled::No,
        ..base(STATEMENTS, "write manifest, provenance and sums".to_owned(), &needs)
    });
    let mut last = STATEMENTS;
    if let Some(key) = &inputs.key {
        steps.push(Step {
            action: native(SIGN, json!({ "key": key.file, "password": key.password })),
            journaled: Journaled::No,
            ..base(SIGN, format!("sign {}", sums::FILE), &[STATEMENTS.into()])
        });
        last = SIGN;
    }
    steps.push(Step {
        action: native(PLACE, json!({ "folder": context.path(FOLDER) })),
        journaled: Journaled::No,
        ..base(PLACE, format!("put it into {FOLDER}"), &[last.into()])
    });
    Ok(Plan { intent: format!("package {version}"), target: TARGET.to_owned(), steps, ..Plan::default() })
}
