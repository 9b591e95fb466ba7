//! `cargo xtask generate --diff --semantic`: what a change of the platform means.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use vocabulary::model::Platform;

use crate::context::Context;
use crate::exit::refused;
use crate::review::meaning::{Sentence, needs_label, page, sentences};
use crate::stdout;

/// Where the platform is kept as data.
const RECORD: &str = "docs/reference/platform.json";

#[derive(Debug, clap::Args)]
pub struct Meaning {
    /// With --diff: tell the changes of the platform itself, in words
    #[arg(long, requires = "diff", conflicts_with_all = ["only", "check"])]
    pub semantic: bool,
    /// With --semantic: compare with the platform of this commit, branch or tag [default: the tree's
    /// docs/reference/platform.json]
    #[arg(long, value_name = "GIT_REF", requires = "semantic")]
    against: Option<String>,
    /// With --semantic: append the result as Markdown to this file, such as a job's summary
    #[arg(long, value_name = "FILE", requires = "semantic")]
    summary: Option<PathBuf>,
}

/// # Errors
/// Refused when there is nothing to compare with.
pub fn run(context: &Context, platform: &Platform, options: &Meaning) -> Result<()> {
    let (against, text) = match &options.against {
        Some(reference) => (reference.clone(), recorded_in(context, reference)?),
        None => (RECORD.to_owned(), recorded(context)?),
    };
    let before: Value = serde_json::from_str(&text)
        .map_err(|error| refused(format!("{RECORD} of {against}: {error}; expected the platform as JSON")))?;
    let changes = sentences(&before, &serde_json::to_value(platform)?);
    show(context, platform, &against, &changes)?;
    let Some(summary) = &options.summary else { return Ok(()) };
    // Appended, in one piece: a job's summary belongs to all its steps.
    let mut file = OpenOptions::new().create(true).append(true).open(summary);
    file.as_mut()
        .map_err(|error| refused(format!("--summary {}: {error}", summary.display())))?
        .write_all(page(&platform.review, &against, &changes).as_bytes())
        .with_context(|| format!("writing {}", summary.display()))
}

fn recorded(context: &Context) -> Result<String> {
    std::fs::read_to_string(context.path(RECORD)).map_err(|error| {
        refused(format!(
            "{RECORD}: {error}; `cargo xtask generate` writes it, --against GIT_REF compares with another"
        ))
    })
}

fn recorded_in(context: &Context, reference: &str) -> Result<String> {
    // A reference that begins with a dash is an option to git, whatever comes before it.
    if reference.is_empty() || reference.starts_with('-') {
        return Err(refused(format!("--against {reference}: expected a commit, a branch or a tag")));
    }
    // `./` makes the path relative to the root, which need not be git's own.
    let output = duct::cmd!("git", "show", format!("{reference}:./{RECORD}"))
        .dir(&context.root)
        .env("LC_ALL", "C")
        .stdout_capture()
        .stderr_capture()
        .unchecked()
        .run()
        .context("git could not be started; `cargo xtask doctor` tells how to get it")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().trim_end_matches('.').to_owned();
        return Err(refused(format!(
            "--against {reference}: {said}; expected a commit, branch or tag of this repository that has {RECORD} \
             (in a shallow clone fetch it first: git fetch --depth=1 origin {reference})"
        )));
    }
    String::from_utf8(output.stdout).map_err(|error| refused(format!("{RECORD} of {reference}: {error}")))
}

fn show(context: &Context, platform: &Platform, against: &str, changes: &[Sentence]) -> Result<()> {
    let review = &platform.review;
    let needed = needs_label(review, changes);
    if context.json {
        let label = json!({ "name": review.label, "needed": needed });
        let value = json!({ "against": against, "label": label, "changes": changes });
        return stdout::json(&value);
    }
    let line = |change: &Sentence| format!("{:16} {}\n", change.class.words(), change.text);
    stdout::text(&changes.iter().map(line).collect::<String>())?;
    let label = if needed { format!("; the label {} is needed", review.label) } else { String::new() };
    match changes.len() {
        0 => eprintln!("the platform is that of {against}"),
        1 => eprintln!("1 change against {against}{label}"),
        count => eprintln!("{count} changes against {against}{label}"),
    }
    Ok(())
}
