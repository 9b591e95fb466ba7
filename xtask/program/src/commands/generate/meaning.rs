//! `cargo xtask generate --diff --semantic`: what a change of the platform means.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use vocabulary::model::{Platform, Review};

use crate::context::Context;
use crate::generated;
use artifacts::review::meaning::{Sentence, needs_label, page, rule, sentences};
use artifacts::{self, RECORD};
use foundation::exit::{Reported, refused};
use foundation::files;
use foundation::git;
use foundation::stdout;

#[derive(Debug, clap::Args)]
pub struct Meaning {
    /// With --diff: describe how the platform changes
    #[arg(long, requires = "diff", conflicts_with_all = ["only", "check"])]
    pub semantic: bool,
    /// With --semantic: compare with the platform of this commit, branch or tag [default: docs/reference/platform.json of
    /// the working tree]
    #[arg(long, value_name = "GIT_REF", requires = "semantic")]
    against: Option<String>,
    /// With --semantic: append the result to this file as Markdown, for example to a job's summary
    #[arg(long, value_name = "FILE", requires = "semantic")]
    summary: Option<PathBuf>,
    /// With --semantic: the labels of the pull request as a JSON list; fail if a change needs the reviewer's label and it is
    /// not among them
    #[arg(long, value_name = "JSON", requires = "semantic")]
    labels: Option<String>,
}

/// # Errors
/// Refused when there is nothing to compare with, or the labels are none; reported when the reviewer's label is missing.
pub fn run(context: &Context, platform: &Platform, options: &Meaning) -> Result<()> {
    let labels = options.labels.as_deref().map(labels).transpose()?;
    let (against, text) = match &options.against {
        Some(reference) => (reference.clone(), recorded_in(context, reference)?),
        None => (RECORD.to_owned(), recorded(context)?),
    };
    let before: Value = serde_json::from_str(&text)
        .map_err(|error| refused(format!("{RECORD} of {against}: {error}; expected the platform as JSON")))?;
    let data = artifacts::data(platform).map_err(|problems| generated::invalid(&problems))?;
    let changes = sentences(&before, &data);
    let review = rule(&before, &platform.review);
    show(context, &review, &against, &changes)?;
    if let Some(summary) = &options.summary {
        // Appended, in one piece: a job's summary belongs to all its steps.
        let mut file = OpenOptions::new().create(true).append(true).open(summary);
        file.as_mut()
            .map_err(|error| refused(format!("--summary {}: {error}", summary.display())))?
            .write_all(page(&review, &against, &changes, labels.as_deref()).as_bytes())
            .with_context(|| format!("writing {}", summary.display()))?;
    }
    match labels {
        Some(labels)
            if needs_label(&review, &changes) && !labels.iter().any(|label| label == review.label) =>
        {
            eprintln!(
                "the label {} is not set; a reviewer who agrees with the marked changes must set it on the pull \
                 request",
                review.label
            );
            Err(Reported.into())
        }
        _ => Ok(()),
    }
}

fn labels(text: &str) -> Result<Vec<String>> {
    serde_json::from_str(text).map_err(|error| {
        refused(format!("--labels {text}: {error}; expected a JSON list of texts, such as [\"a\"]"))
    })
}

fn recorded(context: &Context) -> Result<String> {
    files::text(&context.path(RECORD), files::TEXT).map_err(|error| {
        refused(format!("{error}; `cargo xtask generate` writes it, --against GIT_REF compares with another"))
    })
}

fn recorded_in(context: &Context, reference: &str) -> Result<String> {
    // A reference that begins with a dash is an option to git, whatever comes before it.
    if reference.is_empty() || reference.starts_with('-') {
        return Err(refused(format!("--against {reference}: expected a commit, a branch or a tag")));
    }
    // `./` makes the path relative to the root, which need not be git's own.
    let output = git::ask(&context.root, &["show", &format!("{reference}:./{RECORD}")])?;
    if !output.status.success() {
        return Err(refused(format!(
            "--against {reference}: {}; expected a commit, branch or tag of this repository that has {RECORD} \
             (in a shallow clone fetch it first: git fetch --depth=1 origin {reference})",
            git::said(&output).trim_end_matches('.')
        )));
    }
    String::from_utf8(output.stdout).map_err(|error| refused(format!("{RECORD} of {reference}: {error}")))
}

fn show(context: &Context, review: &Review, against: &str, changes: &[Sentence]) -> Result<()> {
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
