//! Looks at the checkout for what a release would be made of.

use std::fs;

use anyhow::Result;

use crate::context::Context;
use crate::exit::refused;
use crate::forge::repository::{Head, Repository};
use crate::release::changelog::{self, Changelog, Notes};
use crate::release::conventional::{self, Reading};
use crate::release::decide::{Decision, Known, Wish, decide};
use crate::release::declared;
use crate::release::history::{Commit, Tag};
use crate::release::problems::Problem;
use crate::release::version::{self, Bump};

/// Which version is wished for.
#[derive(Debug, clap::Args)]
pub struct Wished {
    /// How far the version is from the last release [default: what the commits since then say]
    #[arg(long, value_enum, conflicts_with = "version")]
    bump: Option<Bump>,
    /// The version itself
    #[arg(long, value_name = "X.Y.Z")]
    version: Option<String>,
}

impl Wished {
    /// # Errors
    /// Refused when the version is none.
    pub fn read(&self) -> Result<Wish> {
        let version = self.version.as_deref().map(version::read).transpose();
        let version = version.map_err(|problem| refused(format!("--version: {problem}")))?;
        Ok(Wish { bump: self.bump, version })
    }
}

/// What a release would be made of.
pub struct Survey {
    pub head: Head,
    /// The last release that the commit contains.
    pub last: Option<Tag>,
    /// What `Cargo.toml` says.
    pub declared: semver::Version,
    /// Since the last release, the newest first.
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
    pub fn make(context: &Context, wish: &Wish) -> Result<Self> {
        let repository = Repository { root: &context.root };
        let head = repository.head()?;
        let last = repository.tags(Some(&head.commit))?.into_iter().next();
        let range =
            last.as_ref().map_or(head.commit.clone(), |last| format!("{}..{}", last.commit, head.commit));
        let commits = repository.commits(&range)?;
        let reading = conventional::read(&commits.iter().collect::<Vec<_>>());
        let declared = declared_in(context)?;
        let known = Known {
            last: last.as_ref().map(|last| &last.version),
            declared: &declared,
            reading: &reading,
            commits: commits.iter().filter(|commit| !commit.is_merge()).count(),
        };
        let decision = decide(&known, wish);
        let changelog = fs::read_to_string(context.path(changelog::FILE)).unwrap_or_default();
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

fn declared_in(context: &Context) -> Result<semver::Version> {
    let text = fs::read_to_string(context.path(declared::FILE))
        .map_err(|error| refused(format!("{}: {error}", context.path(declared::FILE).display())))?;
    declared::read(&text).map_err(refused)
}
