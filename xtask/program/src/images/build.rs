//! The plan that builds the platform's own images. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Result;
use serde::Serialize;
use vocabulary::model::{Image, Platform};

use super::dockerfile;
use super::engine::Engine;
use super::locks::{BuiltImage, StandIns};
use runner::plan::action::{Action, Exec, Native};
use runner::plan::argument::Arg;
use runner::plan::step::{OnFailure, Plan, Step, StepId};

/// The native actions of the plan.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "name", content = "parameters", rename_all = "kebab-case")]
pub enum BuildImages {
    /// Puts out what [`Measured`] holds.
    MeasureImage { image: String },
    WriteBuiltLock {
        target: &'static str,
        dockerfile: &'static str,
        tag: String,
        stand_ins: Vec<String>,
        measured: Box<Measured>,
    },
}

/// Outputs of [`BuildImages::MeasureImage`].
#[derive(Debug, Clone, Serialize)]
pub struct Measured {
    pub image_id: Arg,
    pub content_digest: Arg,
    pub bytes: Arg,
    pub layers: Arg,
}

impl Native for BuildImages {
    fn args(&self) -> Vec<&Arg> {
        match self {
            Self::MeasureImage { .. } => vec![],
            Self::WriteBuiltLock { measured, .. } => {
                let Measured { image_id, content_digest, bytes, layers } = measured.as_ref();
                vec![image_id, content_digest, bytes, layers]
            }
        }
    }
}

/// The label of an image that is built on stand-ins; its value names what they stand for.
pub const ON_STAND_INS: &str = "flowship.built-on-stand-ins";

/// An image that the platform builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wanted {
    pub dockerfile: &'static str,
    pub target: &'static str,
}

/// The images that the platform builds, each once.
pub fn wanted(platform: &Platform) -> Vec<Wanted> {
    let built: BTreeSet<Wanted> = platform
        .services
        .iter()
        .filter_map(|service| match service.image {
            Image::Built { dockerfile, target } => Some(Wanted { dockerfile, target }),
            _ => None,
        })
        .collect();
    built.into_iter().collect()
}

/// The name of a built image, such as `flowship/node-red:local`.
pub fn tag(platform: &str, target: &str, version: &str) -> String {
    format!("{platform}/{target}:{version}")
}

/// One build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    pub wanted: Wanted,
    pub tag: String,
    /// Arguments and their values.
    pub arguments: Vec<(String, String)>,
    /// The official references that stand-ins stand in for.
    pub stand_ins: Vec<String>,
}

/// The build arguments that put stand-ins in the place of pinned bases, and what they stand for.
///
/// # Errors
/// Every base that no stand-in is there for.
pub fn substituted(text: &str, lock: &StandIns) -> Result<Vec<(String, String, String)>, Vec<String>> {
    let mut found = Vec::new();
    let mut problems = Vec::new();
    for argument in dockerfile::global_arguments(text) {
        let locked =
            lock.stand_ins.iter().find(|stand_in| dockerfile::names(&argument.default, &stand_in.stands_for));
        match locked {
            Some(locked) => found.push((argument.name, locked.tag.clone(), locked.stands_for.clone())),
            None if dockerfile::pinned(&argument.default) => {
                problems
                    .push(format!("ARG {}={}: there is no stand-in for it", argument.name, argument.default));
            }
            None => {}
        }
    }
    for base in dockerfile::fixed_bases(text) {
        problems.push(format!(
            "FROM {base}: expected an ARG above the first FROM, so that a stand-in can replace it"
        ));
    }
    if problems.is_empty() { Ok(found) } else { Err(problems) }
}

/// What Compose files take their images from: `FLOWSHIP_IMAGE_NODE_RED=...` for each service. Official images are
/// not in it, because they are what Compose files name themselves.
pub fn references(
    platform: &Platform,
    built: &[BuiltImage],
    stand_ins: &StandIns,
) -> BTreeMap<String, String> {
    let on_stand_ins = built.iter().any(|image| !image.stand_ins.is_empty());
    let of = |image: &Image| match image {
        Image::Built { target, .. } => {
            built.iter().find(|built| built.target == *target).map(|built| built.tag.clone())
        }
        Image::Pinned { reference, .. } if on_stand_ins => {
            stand_ins.of(reference).map(|locked| locked.tag.clone())
        }
        _ => None,
    };
    platform
        .services
        .iter()
        .filter_map(|service| {
            let name = service.id.0.to_uppercase().replace('-', "_");
            Some((format!("FLOWSHIP_IMAGE_{name}"), of(&service.image)?))
        })
        .collect()
}

/// The arguments by which an image is told what it is, those that the Dockerfile asks for.
pub fn told(text: &str, version: &str, revision: Option<&str>) -> Vec<(String, String)> {
    let asks = |name: &str| {
        text.lines().any(|line| {
            let given = line.trim().strip_prefix("ARG ").unwrap_or_default();
            given.trim().split('=').next() == Some(name)
        })
    };
    [("VERSION", Some(version)), ("REVISION", revision)]
        .into_iter()
        .filter(|(name, _)| asks(name))
        .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
        .collect()
}

/// The client's command line for one build.
///
/// # Errors
/// The engine cannot build.
pub fn command(engine: &Engine, root: &Path, build: &Build, no_cache: bool) -> Result<Exec> {
    let mut exec = engine.build()?;
    let dockerfile = root.join(build.wanted.dockerfile).display().to_string();
    exec.args.extend(no_cache.then_some("--no-cache").map(Arg::from));
    exec.args.extend(["--file", &dockerfile, "--target", build.wanted.target].map(Arg::from));
    for (name, value) in &build.arguments {
        exec.args.extend(["--build-arg".to_owned(), format!("{name}={value}")].map(Arg::from));
    }
    if !build.stand_ins.is_empty() {
        let label = format!("{ON_STAND_INS}={}", build.stand_ins.join(" "));
        exec.args.extend(["--label".to_owned(), label].map(Arg::from));
    }
    exec.args.extend(["--tag", &build.tag, &root.display().to_string()].map(Arg::from));
    Ok(exec)
}

/// # Errors
/// The engine cannot build.
pub fn plan(engine: &Engine, root: &Path, builds: &[Build], no_cache: bool) -> Result<Plan<BuildImages>> {
    let mut steps = Vec::new();
    for build in builds {
        let target = build.wanted.target;
        let build_id = StepId(format!("build-{target}"));
        let measure_id = StepId(format!("measure-{target}"));
        let measured = |key: &str| Arg::output(measure_id.clone(), key);
        let exec = command(engine, root, build, no_cache)?;
        steps.push(Step {
            time_limit_ms: 3_600_000,
            ..Step::new(build_id.clone(), format!("build {}", build.tag), Action::Exec(exec))
        });
        steps.push(Step {
            needs: vec![build_id],
            ..Step::new(
                measure_id.clone(),
                format!("measure {}", build.tag),
                Action::Native(BuildImages::MeasureImage { image: build.tag.clone() }),
            )
        });
        steps.push(Step {
            needs: vec![measure_id.clone()],
            ..Step::new(
                StepId(format!("record-{target}")),
                format!("write down {}", build.tag),
                Action::Native(BuildImages::WriteBuiltLock {
                    target,
                    dockerfile: build.wanted.dockerfile,
                    tag: build.tag.clone(),
                    stand_ins: build.stand_ins.clone(),
                    measured: Box::new(Measured {
                        image_id: measured("image_id"),
                        content_digest: measured("content_digest"),
                        bytes: measured("bytes"),
                        layers: measured("layers"),
                    }),
                }),
            )
        });
    }
    Ok(Plan {
        intent: "build images".into(),
        target: super::bases::TARGET.into(),
        on_failure: OnFailure::Keep,
        steps,
    })
}

#[cfg(test)]
mod tests {
    use super::super::engine::Builder;
    use super::super::locks::LockedStandIn;
    use super::*;

    const TEXT: &str =
        "ARG NODE=node:24-bookworm-slim@sha256:ab\nFROM ${NODE} AS deps\nFROM scratch AS node-red\n";

    fn lock(stands_for: &str) -> StandIns {
        let stand_in = LockedStandIn {
            name: "node".into(),
            stands_for: stands_for.into(),
            tag: "flowship.local/stand-in/node:1".into(),
            image_id: "sha256:1".into(),
            made_of: vec![],
            differs: vec![],
        };
        StandIns { stand_ins: vec![stand_in], ..StandIns::default() }
    }

    #[test]
    fn stand_ins_take_the_place_of_pinned_bases() {
        let found = substituted(TEXT, &lock("node:24-bookworm-slim")).unwrap();
        assert_eq!(found[0].0, "NODE");
        assert_eq!(found[0].1, "flowship.local/stand-in/node:1");
        let problems = substituted(&format!("{TEXT}FROM alpine:3\n"), &lock("node:22")).unwrap_err();
        assert_eq!(problems.len(), 2, "all at once: {problems:?}");
    }

    #[test]
    fn compose_gets_what_was_built_and_stand_ins_only_with_it() {
        let platform = second_platform::platform();
        let mut image = BuiltImage {
            target: "engine".into(),
            dockerfile: "x".into(),
            tag: "harbour/engine:local".into(),
            image_id: String::new(),
            content_digest: String::new(),
            bytes: 0,
            layers: 1,
            stand_ins: vec![],
        };
        let lock = lock("postgres:18-bookworm");
        let official = references(&platform, &[image.clone()], &lock);
        assert_eq!(
            official,
            [("FLOWSHIP_IMAGE_FLOW_ENGINE".to_owned(), "harbour/engine:local".to_owned())].into()
        );
        image.stand_ins.push("node:24-bookworm-slim".into());
        let found = references(&platform, &[image], &lock);
        assert_eq!(found["FLOWSHIP_IMAGE_STORE"], "flowship.local/stand-in/node:1");
    }

    #[test]
    fn an_image_gets_the_arguments_that_its_dockerfile_declares() {
        let text = "FROM a AS b\nARG VERSION=unreleased\nARG VERSIONS\n";
        assert_eq!(told(text, "1.2", Some("abc")), [("VERSION".to_owned(), "1.2".to_owned())]);
        assert_eq!(told("FROM a\nARG REVISION\n", "1", None), []);
    }

    #[test]
    fn a_platform_builds_each_image_once() {
        let targets: Vec<_> =
            wanted(&second_platform::platform()).iter().map(|wanted| wanted.target).collect();
        assert_eq!(targets, ["engine", "ledger", "schema", "oracle"]);
    }

    #[test]
    fn a_build_names_its_file_target_bases_and_stand_ins() {
        let engine = Engine {
            client: "docker".into(),
            client_version: "20.10".into(),
            server_version: "20.10".into(),
            storage_driver: "overlay2".into(),
            builder: Some(Builder::Buildx { builder: "default".into() }),
        };
        let build = Build {
            wanted: Wanted { dockerfile: "ops/docker/prod/Dockerfile", target: "node-red" },
            tag: tag("flowship", "node-red", "local"),
            arguments: vec![("NODE".into(), "x:1".into())],
            stand_ins: vec!["node:24".into()],
        };
        let plan = plan(&engine, Path::new("/tree"), &[build], true).unwrap();
        assert!(plan.validate().is_empty(), "{:?}", plan.validate());
        let expected = "SOURCE_DATE_EPOCH=0 docker buildx build --load --provenance=false --builder default \
            --progress=plain --no-cache --file /tree/ops/docker/prod/Dockerfile --target node-red --build-arg NODE=x:1 \
            --label flowship.built-on-stand-ins=node:24 --tag flowship/node-red:local /tree";
        assert!(plan.text().contains(expected), "{}", plan.text());
    }
}
