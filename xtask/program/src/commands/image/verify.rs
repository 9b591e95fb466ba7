//! `cargo xtask image verify`: that images, in the engine or in files, are what was built.

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::Serialize;

use super::save;
use crate::context::Context;
use crate::images::archive::{Archive, SavedImage};
use crate::images::content;
use crate::images::engine::Engine;
use crate::images::locks::BuiltImage;
use crate::images::saved;
use foundation::exit::{Reported, refused};
use foundation::program_name::PROGRAM;
use foundation::stdout;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask image verify
  cargo xtask image verify images/node-red.oci.tar
  cargo xtask image verify one.tar --against two.tar

It compares content digests: what a container sees (docs/images.md). File times, the order and packing of \
layers, and the image's history and creation time do not count.")]
pub struct Options {
    /// Image files [default: the built images in the engine]
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Compare FILE with this file, and list the paths that differ
    #[arg(long, value_name = "OTHER", requires = "files")]
    against: Option<PathBuf>,
    /// Only this target; can be repeated
    #[arg(long, value_name = "TARGET", conflicts_with = "files")]
    only: Vec<String>,
}

/// How one image compares.
#[derive(Debug, Serialize)]
struct Verdict {
    place: String,
    tag: String,
    good: bool,
    /// What a reader needs to know besides.
    notes: Vec<String>,
    built_on_stand_ins: Vec<String>,
}

pub fn run(context: &Context, options: &Options) -> Result<()> {
    if let Some(other) = &options.against {
        return against(context, &options.files, other);
    }
    let known = save::chosen(context, &options.only)?;
    let mut verdicts = Vec::new();
    if options.files.is_empty() {
        let engine = Engine::find()?;
        for image in &known {
            if engine.inspect(&image.tag)?.is_none() {
                verdicts.push(bad(
                    "engine",
                    &image.tag,
                    &format!("is no longer in the engine: run `{PROGRAM} image build`"),
                ));
                continue;
            }
            let (archive, _folder) = saved::saved(context.state(), &engine, &image.tag)?;
            verdicts.push(compare("engine", &archive, archive.only()?, image)?);
        }
    }
    for file in &options.files {
        let place = file.display().to_string();
        let archive = match Archive::open(file) {
            Ok(archive) => archive,
            Err(error) => {
                verdicts.push(bad(&place, "", &format!("{error:#}")));
                continue;
            }
        };
        for image in &archive.images {
            let locked = known.iter().find(|known| image.tags.contains(&known.tag));
            verdicts.push(match locked {
                Some(locked) => match compare(&place, &archive, image, locked) {
                    Ok(verdict) => verdict,
                    Err(error) => bad(&place, &locked.tag, &format!("{error:#}")),
                },
                None => bad(&place, &image.tags.join(" "), "was not built from this tree"),
            });
        }
    }
    if context.json {
        stdout::json(&verdicts)?;
    } else {
        for verdict in &verdicts {
            let word = if verdict.good { "good " } else { "WRONG" };
            stdout::text(&format!(
                "{word} {} ({}){}\n",
                verdict.tag,
                verdict.place,
                verdict.notes.iter().map(|note| format!("\n      {note}")).collect::<String>()
            ))?;
        }
    }
    save::warn(&known);
    if verdicts.iter().all(|verdict| verdict.good) { Ok(()) } else { Err(Reported.into()) }
}

/// Names the paths at which two images differ: the way to what is not reproducible.
fn against(context: &Context, files: &[PathBuf], other: &Path) -> Result<()> {
    let [file] = files else {
        return Err(refused("--against compares two files; expected exactly one FILE"));
    };
    let (left, right) = (Archive::open(file)?, Archive::open(other)?);
    let (one, two) = (left.only()?, right.only()?);
    let mut differences = content::configuration_differences(&one.config, &two.config);
    differences.extend(content::differences(&content::tree(&left, one)?, &content::tree(&right, two)?));
    if context.json {
        stdout::json(&differences)?;
    } else if differences.is_empty() {
        stdout::text("equal in content\n")?;
    } else {
        stdout::text(&differences.iter().map(|line| format!("{line}\n")).collect::<String>())?;
    }
    if differences.is_empty() { Ok(()) } else { Err(Reported.into()) }
}

fn bad(place: &str, tag: &str, why: &str) -> Verdict {
    Verdict {
        place: place.to_owned(),
        tag: tag.to_owned(),
        good: false,
        notes: vec![why.to_owned()],
        built_on_stand_ins: Vec::new(),
    }
}

fn compare(place: &str, archive: &Archive, image: &SavedImage, locked: &BuiltImage) -> Result<Verdict> {
    let tree = content::tree(archive, image)?;
    let digest = content::digest(&tree, &image.config);
    let good = digest == locked.content_digest;
    let mut notes = Vec::new();
    if !good {
        notes.push(format!("content {digest}; expected {}", locked.content_digest));
    } else if image.id != locked.image_id {
        notes.push("equal in content, but built or packed at another time".to_owned());
    }
    Ok(Verdict {
        place: place.to_owned(),
        tag: locked.tag.clone(),
        good,
        notes,
        built_on_stand_ins: locked.stand_ins.clone(),
    })
}
