//! `cargo xtask image build`: the platform's own images.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result};
use serde_json::json;

use super::carry;
use crate::context::Context;
use crate::images::build::{self, Build, BuildImages, Wanted};
use crate::images::engine::Engine;
use crate::images::locks::{self, Built, BuiltImage, StandIns};
use crate::images::saved::saved;
use crate::images::stand_in::WARNING;
use crate::images::{content, dockerfile};
use crate::session::dry_run;
use foundation::exit::refused;
use foundation::files;
use foundation::program_name::PROGRAM;
use foundation::stdout;
use runner::plan::mask::Outputs;
use runner::plan::perform::StepContext;
use runner::plan::runner::cores;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask image build
  cargo xtask image build --stand-ins
  cargo xtask image build --only node-red --no-cache
  cargo xtask image build --dry-run")]
pub struct Options {
    /// Build on the stand-ins of `image bases --from-packages`, not on the pinned images
    #[arg(long)]
    stand_ins: bool,
    /// Build on stand-ins if some exist here, else on the pinned images
    #[arg(long, conflicts_with = "stand_ins")]
    stand_ins_if_locked: bool,
    /// Only this target; can be repeated
    #[arg(long, value_name = "TARGET")]
    only: Vec<String>,
    /// The version in the images' names
    #[arg(long, value_name = "VERSION", default_value = "local")]
    tag: String,
    /// What the images' names begin with, instead of the platform's name: to build beside what others have built
    #[arg(long, value_name = "NAME", hide = true)]
    repository: Option<String>,
    /// Build every layer again
    #[arg(long)]
    no_cache: bool,
    /// Maximum number of builds that run at the same time [default: one per processor]
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Only show the plan
    #[arg(long)]
    dry_run: bool,
}

pub fn run(context: &Context, options: &Options) -> Result<()> {
    let on_stand_ins = options.stand_ins
        || (options.stand_ins_if_locked
            && !locks::read::<StandIns>(&locks::stand_ins_file(context.state()))?.stand_ins.is_empty());
    let (builds, left_out) = builds(context, options, on_stand_ins)?;
    let engine = Engine::find()?;
    engine.build()?;
    let plan = build::plan(&engine, &context.root, &builds, options.no_cache)?;
    if on_stand_ins {
        eprintln!("{WARNING}");
    }
    for target in &left_out {
        eprintln!("not built: {} has no stage {} yet", target.dockerfile, target.target);
    }
    if options.dry_run {
        return dry_run::show(context, &plan);
    }
    let native = |action: &BuildImages, step: &StepContext| perform(context, &engine, action, step);
    let report = carry::carry_out(context, &plan, options.jobs.unwrap_or_else(cores), &native)?;
    let recorded = |build: &&Build| {
        let id = format!("record-{}", build.wanted.target);
        report.steps.iter().any(|step| step.id.0 == id && step.status.is_good())
    };
    let made: Vec<&str> = builds.iter().filter(recorded).map(|build| build.tag.as_str()).collect();
    let mut lock: Built = locks::read(&locks::built_file(context.state()))?;
    lock.images.retain(|image| made.contains(&image.tag.as_str()));
    if context.json {
        stdout::json(&json!({ "images": lock.images, "report": report }))?;
    } else {
        for image in lock.images {
            let on = if image.stand_ins.is_empty() { "" } else { "  ON STAND-INS" };
            let size = format!("{}  {} layers", files::size(image.bytes), image.layers);
            stdout::text(&format!("{}  {size}  content {}{on}\n", image.tag, image.content_digest))?;
        }
    }
    report.into_result()
}

/// What is to be built, and the targets whose stage does not exist yet.
fn builds(context: &Context, options: &Options, on_stand_ins: bool) -> Result<(Vec<Build>, Vec<Wanted>)> {
    let platform = context.platform;
    let wanted = build::wanted(platform);
    let lock: StandIns = locks::read(&locks::stand_ins_file(context.state()))?;
    let mut problems: Vec<String> = options
        .only
        .iter()
        .filter(|name| !wanted.iter().any(|wanted| wanted.target == *name))
        .map(|name| {
            let known: Vec<_> = wanted.iter().map(|wanted| wanted.target).collect();
            format!("--only {name}: no image has this target; expected one of {}", known.join(", "))
        })
        .collect();
    let mut texts: BTreeMap<&str, Option<String>> = BTreeMap::new();
    for wanted in &wanted {
        texts.entry(wanted.dockerfile).or_insert_with(|| {
            match fs::read_to_string(context.path(wanted.dockerfile)) {
                Ok(text) => Some(text),
                Err(error) => {
                    problems
                        .push(format!("{}: {error}; `cargo xtask generate` writes it", wanted.dockerfile));
                    None
                }
            }
        });
    }
    let mut substituted = BTreeMap::new();
    for (file, text) in &texts {
        let Some(text) = text.as_ref().filter(|_| on_stand_ins) else { continue };
        match build::substituted(text, &lock) {
            Ok(found) => {
                substituted.insert(*file, found);
            }
            Err(found) => problems.extend(
                found
                    .into_iter()
                    .map(|problem| format!("{file}: {problem}; run `{PROGRAM} image bases --from-packages`")),
            ),
        }
    }
    if !problems.is_empty() {
        return Err(refused(problems.join("\n")));
    }
    let chosen = wanted
        .iter()
        .filter(|wanted| options.only.is_empty() || options.only.iter().any(|name| name == wanted.target));
    let has_stage = |wanted: &&Wanted| {
        let text = texts.get(wanted.dockerfile).and_then(Option::as_deref).unwrap_or_default();
        dockerfile::stages(text).iter().any(|stage| stage == wanted.target)
    };
    let (there, absent): (Vec<&Wanted>, Vec<&Wanted>) = chosen.partition(has_stage);
    if there.is_empty() || (!options.only.is_empty() && !absent.is_empty()) {
        let lines: Vec<_> = absent
            .iter()
            .map(|absent| format!("{}: no stage is called {}", absent.dockerfile, absent.target))
            .collect();
        return Err(refused(lines.join("\n")));
    }
    let repository = options.repository.as_deref().unwrap_or(platform.name);
    let revision = revision(&context.root);
    let builds = there.into_iter().map(|wanted| {
        let found: &[_] = substituted.get(wanted.dockerfile).map(Vec::as_slice).unwrap_or_default();
        Build {
            wanted: *wanted,
            tag: build::tag(repository, wanted.target, &options.tag),
            arguments: found
                .iter()
                .map(|(name, value, _)| (name.clone(), value.clone()))
                .chain(build::told(
                    texts.get(wanted.dockerfile).and_then(Option::as_deref).unwrap_or_default(),
                    &options.tag,
                    revision.as_deref(),
                ))
                .collect(),
            stand_ins: found.iter().map(|(_, _, stands_for)| stands_for.clone()).collect(),
        }
    });
    Ok((builds.collect(), absent.into_iter().copied().collect()))
}

/// The commit of the tree, marked when files differ from it; none outside a repository.
fn revision(root: &Path) -> Option<String> {
    let git = |arguments: &[&str]| {
        let printed = foundation::git::printed(root, arguments).ok()?;
        Some(String::from_utf8_lossy(&printed).trim().to_owned())
    };
    let commit = git(&["rev-parse", "HEAD"])?;
    let clean = git(&["status", "--porcelain", "--untracked-files=no"])?.is_empty();
    Some(if clean { commit } else { format!("{commit}-dirty") })
}

fn perform(context: &Context, engine: &Engine, action: &BuildImages, step: &StepContext) -> Result<Outputs> {
    match action {
        BuildImages::MeasureImage { image } => {
            let (measured, _folder) = saved(context.state(), engine, image)?;
            let image = measured.only()?;
            let tree = content::tree(&measured, image)?;
            Ok(Outputs::from([
                ("image_id".to_owned(), image.id.clone()),
                ("content_digest".to_owned(), content::digest(&tree, &image.config)),
                ("bytes".to_owned(), content::bytes(&tree).to_string()),
                ("layers".to_owned(), image.layers.len().to_string()),
            ]))
        }
        BuildImages::WriteBuiltLock { target, dockerfile, tag, stand_ins, measured } => {
            let value = |arg| Ok::<_, anyhow::Error>(step.resolve(arg)?.expose().to_owned());
            let made = BuiltImage {
                target: (*target).to_owned(),
                dockerfile: (*dockerfile).to_owned(),
                tag: tag.clone(),
                image_id: value(&measured.image_id)?,
                content_digest: value(&measured.content_digest)?,
                bytes: value(&measured.bytes)?.parse().context("the size is a number")?,
                layers: value(&measured.layers)?.parse().context("the layers are a number")?,
                stand_ins: stand_ins.clone(),
            };
            record(context, made)?;
            Ok(Outputs::new())
        }
    }
}

/// One image at a time: each is a line of the same file.
fn record(context: &Context, made: BuiltImage) -> Result<()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let file = locks::built_file(context.state());
    let mut lock: Built = locks::read(&file)?;
    // The latest build of a target is the one that counts.
    lock.images.retain(|known| known.target != made.target);
    lock.images.push(made);
    let stand_ins: StandIns = locks::read(&locks::stand_ins_file(context.state()))?;
    let references = build::references(context.platform, &lock.images, &stand_ins);
    lock.images.sort_by(|one, other| one.tag.cmp(&other.tag));
    locks::write(&file, &lock)?;
    locks::write_env(&locks::env_file(context.state()), &references)
}
