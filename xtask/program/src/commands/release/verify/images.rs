//! Builds the images of a release again, and compares what a container of them sees.
//!
//! They are built beside those of the checkout, under names that only this run has and that are gone afterwards: two
//! checkouts share one engine, and what was built of this one must stay what it is.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;

use vocabulary::model::Platform;

use super::rebuild::{Again, lend};
use crate::context::Context;
use crate::images::archive::Archive;
use crate::images::build::tag;
use crate::images::content::{self, NOT_COUNTED};
use crate::images::engine::Engine;
use crate::images::locks::{self, Built};
use crate::images::oci;
use crate::images::saved;
use foundation::digest;
use shipping::release::description::{self, Image};
use shipping::release::manifest::{self, Kind, Manifest};

/// So many differences of an image are shown; `--json` has them all.
const SHOWN: usize = 12;

/// How an image of the release compares with the one that was built again.
#[derive(Debug, Serialize)]
pub struct Compared {
    pub archive: String,
    /// Content digests.
    pub released: String,
    pub again: String,
    /// The archive too, and not only what a container sees.
    pub same_bytes: bool,
    /// The official references that stand-ins stood in for.
    pub stand_ins: Vec<String>,
    /// The release's image is the first, the one that was built again the second.
    pub differences: Vec<String>,
}

impl Compared {
    pub fn is_good(&self) -> bool {
        self.differences.is_empty()
    }

    /// For people.
    pub fn text(&self) -> String {
        let archive = &self.archive;
        let on = if self.stand_ins.is_empty() {
            String::new()
        } else {
            format!(", ON STAND-INS for {}", self.stand_ins.join(", "))
        };
        if self.is_good() {
            let bytes = if self.same_bytes { "the same bytes too" } else { "other bytes" };
            return format!("✓ rebuild: {archive}: the same contents, as archive {bytes}{on}\n");
        }
        let mut text =
            format!("✗ rebuild: {archive}: the contents differ{on}; first: released, second: built again\n");
        for difference in self.differences.iter().take(SHOWN) {
            text += &format!("    {difference}\n");
        }
        if self.differences.len() > SHOWN {
            text += &format!("    and {} more; --json shows all\n", self.differences.len() - SHOWN);
        }
        text
    }
}

/// What the verdicts are about, for people.
pub fn explained() -> String {
    format!(
        "- rebuild: images were compared by their contents, not by the bytes that the engine stores; not compared: \
         {NOT_COUNTED}\n"
    )
}

/// An image of the release.
struct Released<'a> {
    image: &'a Image,
    archive: &'a str,
    target: &'a str,
    /// The part of its name that it was told as its version.
    version: &'a str,
}

/// Builds the release's own images again. Their lock in the tree says afterwards what was built, under the names that a
/// release has them.
///
/// # Errors
/// There is no engine that can build, or the commit's images cannot be built.
pub fn compare(
    context: &Context,
    again: &Again,
    folder: &Path,
    manifest: &Manifest,
) -> Result<Vec<Compared>> {
    let released = released(context.platform, manifest)?;
    if released.is_empty() {
        return Ok(Vec::new());
    }
    let engine = Engine::find().context("the release has images, and only an engine can build them again")?;
    engine.build()?;
    let state = again.tree.join(".flowship");
    // Stand-ins are of this checkout and its engine; what was built on them is not lent.
    lend(&locks::stand_ins_file(context.state()), &locks::stand_ins_file(&state))?;
    let repository = repository(again);
    let names = released.iter().map(|released| tag(&repository, released.target, released.version));
    let _names = Names { engine: &engine, tags: names.collect() };
    build_all(again, &repository, &released)?;
    let mut compared = Vec::new();
    for released in &released {
        again.go_on()?;
        let name = tag(&repository, released.target, released.version);
        compared.push(
            one(&engine, again, folder, released, &name)
                .with_context(|| format!("comparing {}", released.archive))?,
        );
    }
    let file = locks::built_file(&state);
    let mut lock: Built = locks::read(&file)?;
    for image in &mut lock.images {
        image.tag = image.tag.replacen(&repository, context.platform.name, 1);
    }
    locks::write(&file, &lock)?;
    Ok(compared)
}

/// Every archive of an image is one of them: what is not understood is not left out.
fn released<'a>(platform: &Platform, manifest: &'a Manifest) -> Result<Vec<Released<'a>>> {
    let Manifest { release, artifacts, .. } = manifest;
    let archives = artifacts.iter().filter(|artifact| artifact.kind == Kind::Image);
    let understood = |archive: &'_ str| -> Option<Released<'a>> {
        let image = release.images.iter().find(|image| image.archive.as_deref() == Some(archive))?;
        let archive = image.archive.as_deref()?;
        let target = description::image_target(&release.version, archive)?;
        let version = image.reference.strip_prefix(&tag(platform.name, target, ""))?;
        Some(Released { image, archive, target, version })
    };
    archives
        .map(|archive| {
            understood(&archive.name).with_context(|| {
                format!(
                    "{}: {}: the release does not say which of our images this is; expected one called {}",
                    manifest::FILE,
                    archive.name,
                    tag(platform.name, "TARGET", "VERSION")
                )
            })
        })
        .collect()
}

/// As unique as the folder of the scratch tree.
fn repository(again: &Again) -> String {
    let folder = again.scratch.path().file_name().unwrap_or_default();
    folder.to_string_lossy().to_lowercase()
}

/// Those with other bases or another version are builds of their own.
fn build_all(again: &Again, repository: &str, released: &[Released<'_>]) -> Result<()> {
    let mut builds: BTreeMap<(&str, bool), Vec<&str>> = BTreeMap::new();
    for released in released {
        let on_stand_ins = !released.image.stand_ins.is_empty();
        builds.entry((released.version, on_stand_ins)).or_default().push(released.target);
    }
    for ((version, on_stand_ins), targets) in builds {
        let mut command = again.command()?;
        // What the builder keeps of the released build would prove nothing.
        command.args(["image", "build", "--no-cache", "--repository", repository, "--tag", version]);
        command.args(targets.iter().flat_map(|target| ["--only", target]));
        command.args(on_stand_ins.then_some("--stand-ins"));
        again.run(&mut command)?;
    }
    Ok(())
}

fn one(
    engine: &Engine,
    again: &Again,
    folder: &Path,
    released: &Released<'_>,
    name: &str,
) -> Result<Compared> {
    let path = folder.join(released.archive);
    let scratch = tempfile::tempdir_in(again.scratch.path())?;
    let saved = scratch.path().join("saved.tar");
    saved::save(engine, name, &saved)?;
    let (theirs, ours) = (Archive::open(&path)?, Archive::open(&saved)?);
    let (left, right) = (theirs.only()?, ours.only()?);
    let (left_tree, right_tree) = (content::tree(&theirs, left)?, content::tree(&ours, right)?);
    let digests = [content::digest(&left_tree, &left.config), content::digest(&right_tree, &right.config)];
    let mut differences = content::configuration_differences(&left.config, &right.config);
    differences.extend(content::differences(&left_tree, &right_tree));
    // What is pushed to a registry must be what was compared.
    differences.extend(theirs.fits_index()?.err());
    let written = scratch.path().join("again.oci.tar");
    oci::write(&ours, right, &released.image.reference, &written)?;
    let same_bytes = digest::of_file(&path)? == digest::of_file(&written)?;
    let [released_digest, again_digest] = digests;
    if released_digest != again_digest && differences.is_empty() {
        differences.push(format!("the content digest: {released_digest}, {again_digest}"));
    }
    Ok(Compared {
        archive: released.archive.to_owned(),
        released: released_digest,
        again: again_digest,
        same_bytes,
        stand_ins: released.image.stand_ins.clone(),
        differences,
    })
}

/// Names in the engine, taken away when this goes, however it goes.
struct Names<'a> {
    engine: &'a Engine,
    tags: Vec<String>,
}

impl Drop for Names<'_> {
    fn drop(&mut self) {
        for tag in &self.tags {
            let gone = self.engine.ask(&["image", "rm", "--force", tag]);
            if !gone.is_ok_and(|answer| answer.success || answer.stderr.contains("No such image")) {
                eprintln!("{tag} is still in the engine: docker image rm {tag}");
            }
        }
    }
}
