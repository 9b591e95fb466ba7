//! `cargo xtask image save`: built images as files, for sites without a registry and for releases.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use serde_json::json;

use crate::context::Context;
use crate::images::engine::Engine;
use crate::images::locks::{self, Built, BuiltImage};
use crate::images::saved;
use crate::images::{oci, stand_in::WARNING};
use foundation::exit::refused;
use foundation::files;
use foundation::program_name::PROGRAM;
use foundation::stdout;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask image save --output images
  cargo xtask image save --only node-red --format docker

An `oci` file holds one layer with all times set to 0, so equal contents give equal bytes and an equal \
digest.")]
pub struct Options {
    /// Only this target; can be repeated
    #[arg(long, value_name = "TARGET")]
    only: Vec<String>,
    /// The folder for the files
    #[arg(long, value_name = "DIR", default_value = ".")]
    output: PathBuf,
    /// `oci`: an OCI layout, equal bytes for equal contents; `docker`: the engine's own format
    #[arg(long, value_enum, default_value_t = Format::Oci)]
    format: Format,
    /// Only show what would be written
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Oci,
    Docker,
}

pub fn run(context: &Context, options: &Options) -> Result<()> {
    let images = chosen(context, &options.only)?;
    let engine = Engine::find()?;
    let ending = match options.format {
        Format::Oci => "oci.tar",
        Format::Docker => "docker.tar",
    };
    let mut written = Vec::new();
    for image in &images {
        let file = options.output.join(format!("{}.{ending}", image.target));
        if options.dry_run {
            eprintln!("would write {} from {}", file.display(), image.tag);
            continue;
        }
        fs::create_dir_all(&options.output).with_context(|| options.output.display().to_string())?;
        let (archive, saved) = saved::saved(context.state(), &engine, &image.tag)?;
        let digest = match options.format {
            Format::Oci => Some(oci::write(&archive, archive.only()?, &image.tag, &file)?),
            Format::Docker => {
                let mut from = File::open(saved.path().join(saved::SAVED))?;
                files::write::with(&file, 0o644, |to| Ok(io::copy(&mut from, to)?))?;
                None
            }
        };
        let bytes = fs::metadata(&file)?.len();
        written.push(json!({
            "target": image.target, "file": file, "bytes": bytes, "manifest_digest": digest,
            "content_digest": image.content_digest, "stand_ins": image.stand_ins,
        }));
        if !context.json {
            let digest = digest.map(|digest| format!("  {digest}")).unwrap_or_default();
            stdout::text(&format!("{}  {}{digest}\n", file.display(), files::size(bytes)))?;
        }
    }
    if context.json {
        stdout::json(&written)?;
    }
    warn(&images);
    Ok(())
}

/// The images of the lock with these targets, all for none.
///
/// # Errors
/// Refused when none was built, or a name is not among them.
pub fn chosen(context: &Context, only: &[String]) -> Result<Vec<BuiltImage>> {
    let built: Built = locks::read(&locks::built_file(context.state()))?;
    if built.images.is_empty() {
        return Err(refused(format!("no image was built from this tree: run `{PROGRAM} image build`")));
    }
    let unknown: Vec<_> = only
        .iter()
        .filter(|name| !built.images.iter().any(|image| image.target == **name))
        .map(|name| {
            let known: Vec<_> = built.images.iter().map(|image| image.target.as_str()).collect();
            format!(
                "--only {name}: no image with this target was built; expected one of {}",
                known.join(", ")
            )
        })
        .collect();
    if !unknown.is_empty() {
        return Err(refused(unknown.join("\n")));
    }
    Ok(built.images.into_iter().filter(|image| only.is_empty() || only.contains(&image.target)).collect())
}

/// Says so when one of the images is built on stand-ins.
pub fn warn(images: &[BuiltImage]) {
    if images.iter().any(|image| !image.stand_ins.is_empty()) {
        eprintln!("{WARNING}");
    }
}
