//! `cargo xtask release sign`: signs a release that was packaged without the key.

use std::path::PathBuf;

use anyhow::Result;

use super::FOLDER;
use super::verify::table;
use crate::context::Context;
use foundation::clock::utc;
use foundation::exit::{Reported, refused};
use foundation::files;
use foundation::stdout;
use shipping::release::judge::{self, Trust};
use shipping::release::{signing, sums};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask release package --images all --unsigned && cargo xtask release sign --key release.key

Use it to keep the key away from the machine that builds: package with --unsigned there, sign on another \
machine. The release is verified first. A release that this key has already signed is not changed.
Exit code 0 when the release is signed, 1 when verification failed, 2 when it cannot be verified.")]
pub struct Options {
    /// The folder with the release's files [default: target/release-artifacts]
    #[arg(value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// The minisign secret key; only you may be able to read it
    #[arg(long, value_name = "FILE", env = "FLOWSHIP_SIGNING_KEY")]
    key: PathBuf,
    /// The file with the key's password, if it has one; only you may be able to read it
    #[arg(long, value_name = "FILE", env = "FLOWSHIP_SIGNING_PASSWORD_FILE")]
    password_file: Option<PathBuf>,
}

/// # Errors
/// Reported when the release is not sound; refused when there is none, or no key.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    let folder = options.folder.clone().unwrap_or_else(|| context.path(FOLDER));
    if !folder.is_dir() {
        return Err(refused(format!(
            "{}: no such folder; expected the files of a release, as `cargo xtask release package` writes them",
            folder.display()
        )));
    }
    let key = signing::secret_key(&options.key, options.password_file.as_deref())?;
    let sums = folder.join(sums::FILE);
    let text = files::read(&sums, files::TEXT).map_err(|error| refused(error.to_string()))?.bytes;
    let public = signing::public_of(&key)?;
    if let Some(signature) = signing::read(&folder)?
        && signing::verify(&[public], &text, &signature).is_ok()
    {
        eprintln!("{} is already signed with this key", folder.display());
        return Ok(());
    }
    let verdict = judge::release(&folder, None, &Trust { keys: None, installed: None }, &utc)?;
    let Some(manifest) = verdict.manifest.as_ref().filter(|_| verdict.is_good()) else {
        stdout::text(&table(&verdict))?;
        return Err(Reported.into());
    };
    // What was judged, and not what may lie there by now.
    if files::read(&sums, files::TEXT)?.bytes != text {
        return Err(refused(format!("{} changed while it was verified: sign it again", sums.display())));
    }
    let comment = signing::comment(&manifest.release.version, &manifest.release.commit);
    let signature = signing::sign(&key, &text, &comment)?;
    let path = folder.join(signing::FILE);
    files::write::whole(&path, 0o644, signature)?;
    eprintln!("signed: {comment}");
    Ok(())
}
