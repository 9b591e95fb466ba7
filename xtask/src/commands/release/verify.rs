//! `cargo xtask release verify`: sees that the files of a release are what was released.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::json;

use super::FOLDER;
use crate::context::Context;
use crate::exit::{Reported, refused};
use crate::release::{hashing, sums};
use crate::stdout;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cargo xtask release verify                 what `release package` made here\n  \
                        cargo xtask release verify DOWNLOADS"
)]
pub struct Options {
    /// The folder with the release's files [default: target/release-artifacts]
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// # Errors
/// Reported when something is not what was released; refused when there is nothing to verify.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    let folder = options.folder.clone().unwrap_or_else(|| context.path(FOLDER));
    let problems = judge_sums(&folder)?;
    if context.json {
        stdout::json(&json!({ "folder": folder, "good": problems.is_empty(), "problems": problems }))?;
    } else {
        for problem in &problems {
            eprintln!("{problem}");
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(Reported.into()) }
}

fn judge_sums(folder: &Path) -> Result<Vec<String>> {
    let file = folder.join(sums::FILE);
    let text = fs::read_to_string(&file).map_err(|error| {
        refused(format!("{}: {error}; expected the sums of a release's files", file.display()))
    })?;
    let listed = match sums::parse(&text) {
        Ok(listed) => listed,
        Err(problems) => return Ok(problems),
    };
    let mut problems = Vec::new();
    for (name, sha256) in &listed {
        let path = folder.join(name);
        if !path.is_file() {
            problems.push(format!("{name}: listed in {} and missing", sums::FILE));
        } else if hashing::of_file(&path)?.sha256 != *sha256 {
            problems.push(format!("{name}: its bytes are not those that {} lists; get it again", sums::FILE));
        }
    }
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name != sums::FILE && !listed.contains_key(&name) {
            problems.push(format!("{name}: not part of the release; remove it"));
        }
    }
    Ok(problems)
}
