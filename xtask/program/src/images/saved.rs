//! An image that the engine has, as a file.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use super::archive::Archive;
use super::engine::Engine;
use super::{failure, locks};

/// The file in the folder of [`saved`].
pub const SAVED: &str = "image.tar";

/// The image as the engine saves it, below the state folder; the folder vanishes with the value.
///
/// # Errors
/// The engine does not have the image, or the disk is full.
pub fn saved(state: &Path, engine: &Engine, image: &str) -> Result<(Archive, tempfile::TempDir)> {
    let place = locks::folder(state);
    fs::create_dir_all(&place).with_context(|| place.display().to_string())?;
    let folder = tempfile::Builder::new().prefix("saved-").tempdir_in(&place)?;
    let file = folder.path().join(SAVED);
    save(engine, image, &file)?;
    Ok((Archive::open(&file)?, folder))
}

/// Has the engine write an image to a file.
///
/// # Errors
/// The engine does not have the image, or the disk is full.
pub fn save(engine: &Engine, image: &str, to: &Path) -> Result<()> {
    let answer = engine.ask(&["image", "save", "--output", &to.display().to_string(), image])?;
    if !answer.success {
        let why = answer.stderr.trim();
        let remedy = failure::explain(why).map(|remedy| format!("; {remedy}")).unwrap_or_default();
        bail!("{image} cannot be saved: {why}{remedy}");
    }
    Ok(())
}
