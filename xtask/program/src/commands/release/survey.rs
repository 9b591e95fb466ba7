//! Looks at the checkout for what a release would be made of.

use anyhow::Result;
use vocabulary::problem::Problem;

use crate::context::Context;
use foundation::exit::refused;
use foundation::files;
use shipping::forge::repository::{Head, Repository};
use shipping::release::changelog::{self, Changelog, Notes};
use shipping::release::conventional::{self, Reading};
use shipping::release::decide::{Decision, Known, Requested, decide};
use shipping::release::declared;
use shipping::release::history::{Commit, Tag};
use shipping::release::version::{self, Bump};

/// Which version is wished for.
#[derive(Debug, clap::Args)]
pub struct Wished {
    /// Which part of the version to raise [default: what the commits since the last release ask for]
    #[arg(long, value_enum, conflicts_with = "version")]
    bump: Option<Bump>,
    /// The version
    #[arg(long, value_name = "X.Y.Z")]
    version: Option<String>,
}

impl Wished {
    /// # Errors
    /// Refused when the version is none.
    pub fn read(&self) -> Result<Requested> {
        let version = self.version.as_deref().map(version::read).transpose();
        let version = version.map_err(|problem| refused(format!("--version: {problem}")))?;
        Ok(Requested { bump: self.bump, version })
    }
}

/// What a release would be made of.
pub struct Survey {
    pub head: Head,
    /// The last release that the commit contains.
    pub last: Option<Tag>,
    /// What `Cargo.toml` says.
    pub declared: semver::Version,
    /// Since the last release, to a stable version the last stable one; the newest first.
    pub commits: Vec<Commit>,
    pub reading: Reading,
    pub decision: Result<Decision, Problem>,
    /// The text of the changelog, empty when there is none.
    pub changelog: String,
    /// What the release would say.
    pub notes: Notes,
    /// Whether the changelog has a part for the version already.
    pub entered: bool,
}

impl Survey {
    /// # Errors
    /// When git cannot tell; refused when `Cargo.toml` declares no version.
    pub fn make(context: &Context, requested: &Requested) -> Result<Self> {
        let repository = Repository { root: &context.root };
        let head = repository.head()?;
        let tags = repository.tags(Some(&head.commit))?;
        let since = |tag: Option<&Tag>| -> Result<(Vec<Commit>, Reading)> {
            let range = tag.map_or(head.commit.clone(), |tag| format!("{}..{}", tag.commit, head.commit));
            let commits = repository.commits(&range)?;
            let reading = conventional::read(&commits.iter().collect::<Vec<_>>());
            Ok((commits, reading))
        };
        let last = tags.first();
        let stable = tags.iter().find(|tag| tag.version.pre.is_empty());
        let (mut commits, mut reading) = since(stable)?;
        let since_last = if last == stable { None } else { Some(since(last)?) };
        let declared = declared_in(context)?;
        let known = Known {
            last: last.map(|last| &last.version),
            stable: stable.map(|stable| &stable.version),
            declared: &declared,
            reading: &reading,
            commits: since_last
                .as_ref()
                .map_or(&commits, |(commits, _)| commits)
                .iter()
                .filter(|commit| !commit.is_merge())
                .count(),
        };
        let decision = decide(&known, requested);
        let is_pre = decision.as_ref().is_ok_and(|decision| !decision.version.pre.is_empty());
        if let Some(since_last) = since_last.filter(|_| is_pre) {
            (commits, reading) = since_last;
        }
        let last = last.cloned();
        let changelog = changelog_in(context)?;
        let parts = Changelog::read(&changelog);
        let of_version = decision.as_ref().ok().and_then(|decision| parts.release(&decision.version));
        let notes = match of_version {
            Some(part) => Notes::read(part.notes),
            None => {
                let mut notes = Notes::read(parts.unreleased().map_or("", |part| part.notes));
                notes.add(&reading.entries);
                notes
            }
        };
        let entered = of_version.is_some();
        Ok(Self { head, last, declared, commits, reading, decision, changelog, notes, entered })
    }
}

/// The text of the changelog, empty when there is none.
///
/// # Errors
/// Refused when it cannot be read.
pub fn changelog_in(context: &Context) -> Result<String> {
    let text = files::if_there(files::text(&context.path(changelog::FILE), files::TEXT));
    Ok(text.map_err(|error| refused(error.to_string()))?.unwrap_or_default())
}

fn declared_in(context: &Context) -> Result<semver::Version> {
    let text = files::text(&context.path(declared::FILE), files::TEXT)
        .map_err(|error| refused(error.to_string()))?;
    declared::read(&text).map_err(refused)
}
