//! The operator's programs for other machines than the bundle's, out of a release that was verified.

use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::commands::release::operator::file_name;
use foundation::files;
use shipping::release::description;
use shipping::release::gzip::StrictGzip;
use shipping::release::manifest::{Kind, Manifest};
use shipping::release::program;

/// The targets whose programs are in archives of their own.
pub fn targets(manifest: &Manifest) -> Vec<&str> {
    let version = &manifest.release.version;
    let operators = manifest.artifacts.iter().filter(|artifact| artifact.kind == Kind::Operator);
    operators.filter_map(|artifact| description::operator_target(version, &artifact.name)).collect()
}

/// Puts the program for a target into a folder, under the name that `release package --operators` looks for.
///
/// # Errors
/// It cannot be read or written.
pub fn unpack(folder: &Path, manifest: &Manifest, target: &str, to: &Path) -> Result<()> {
    let archive = folder.join(description::operator(&manifest.release.version, target));
    let told = manifest.release.operators.iter().find(|program| program.target == target);
    let act = || -> Result<()> {
        fs::create_dir_all(to)?;
        let stream = StrictGzip::new(BufReader::new(files::open_within(&archive, files::ARCHIVE)?));
        for entry in tar::Archive::new(stream).entries()? {
            let mut entry = entry?;
            // The archive was verified: the one file in it is the program.
            if entry.header().entry_type().is_file() {
                let file = to.join(file_name(target));
                io::copy(&mut entry, &mut File::create(&file)?)?;
                return program::write(&file, told.context("release.json does not list it")?);
            }
        }
        bail!("contains no program")
    };
    act().with_context(|| archive.display().to_string())
}
