//! `cargo xtask release notes`: what a release says to its users, as Markdown.

use anyhow::Result;
use semver::Version;
use serde::Serialize;

use super::survey::{Survey, changelog_in};
use crate::context::Context;
use foundation::clock::utc;
use foundation::exit::refused;
use foundation::stdout;
use shipping::forge::repository::Repository;
use shipping::release::changelog::{self, Changelog, Notes};
use shipping::release::conventional;
use shipping::release::decide::Requested;
use shipping::release::history::{Commit, Tag, before, releases_of};
use shipping::release::version;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask release notes              of unreleased changes
  cargo xtask release notes 1.2.0
  cargo xtask release notes --all --from-commits > CHANGELOG.md

The notes come from the release's section in CHANGELOG.md, or from its commits (Conventional Commits) if \
there is none.")]
pub struct Options {
    /// The notes of this release [default: of unreleased changes]
    #[arg(value_name = "VERSION", conflicts_with = "all")]
    version: Option<String>,
    /// The notes of all releases, newest first
    #[arg(long)]
    all: bool,
    /// Ignore CHANGELOG.md
    #[arg(long)]
    from_commits: bool,
}

/// The notes of one release; without a version, of what is not released yet.
#[derive(Serialize)]
struct Release {
    version: Option<Version>,
    /// `2026-11-24`.
    date: Option<String>,
    notes: String,
}

/// # Errors
/// When git cannot tell; refused when there is no such release.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    if options.all {
        let releases = all(context, options)?;
        return if context.json { stdout::json(&releases) } else { stdout::text(&page(&releases)) };
    }
    let release = match &options.version {
        Some(text) => {
            let version = version::read(text).map_err(|problem| refused(format!("notes: {problem}")))?;
            of_release(context, options, &version)?
        }
        None => unreleased(context, options)?,
    };
    if context.json { stdout::json(&release) } else { stdout::text(&format!("{}\n", release.notes)) }
}

fn unreleased(context: &Context, options: &Options) -> Result<Release> {
    let survey = Survey::make(context, &Requested::default())?;
    let notes = if options.from_commits {
        let mut notes = Notes::default();
        notes.add(&survey.reading.entries);
        notes
    } else {
        survey.notes
    };
    Ok(Release {
        version: survey.decision.ok().map(|decision| decision.version),
        date: None,
        notes: notes.text(),
    })
}

fn of_release(context: &Context, options: &Options, version: &Version) -> Result<Release> {
    let repository = Repository { root: &context.root };
    let tags = repository.tags(None)?;
    let tag = tags.iter().find(|tag| tag.version == *version);
    let date = tag.map(|tag| day(tag.time));
    let text = changelog_of(context, options)?;
    let release = |notes: String| Ok(Release { version: Some(version.clone()), date: date.clone(), notes });
    if let Some(part) = Changelog::read(&text).release(version) {
        return release(part.notes.to_owned());
    }
    let tag = tag.ok_or_else(|| {
        let known: Vec<_> = tags.iter().map(|tag| tag.version.to_string()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        refused(format!(
            "no release {version}: {} has no section for it and there is no tag {}; tagged are {known}",
            changelog::FILE,
            version::tag(version)
        ))
    })?;
    let contained = repository.tags(Some(&tag.commit))?;
    let range = before(&contained, version)
        .map_or(tag.commit.clone(), |before| format!("{}..{}", before.commit, tag.commit));
    let commits = repository.commits(&range)?;
    release(said(&commits.iter().collect::<Vec<_>>()))
}

fn all(context: &Context, options: &Options) -> Result<Vec<Release>> {
    let repository = Repository { root: &context.root };
    let tags = repository.tags(Some("HEAD"))?;
    let commits = repository.commits("HEAD")?;
    let text = changelog_of(context, options)?;
    let changelog = Changelog::read(&text);
    let mut of_releases: Vec<Vec<&Commit>> = vec![Vec::new(); tags.len() + 1];
    for (commit, release) in commits.iter().zip(releases_of(&commits, &tags)) {
        of_releases[release.map_or(0, |release| release + 1)].push(commit);
    }
    // What release candidates had is their stable release's too.
    let is_stable = |tag: &Tag| tag.version.pre.is_empty();
    let (places, stable): (Vec<_>, Vec<_>) =
        tags.iter().cloned().enumerate().filter(|(_, tag)| is_stable(tag)).unzip();
    places.iter().for_each(|place| of_releases[place + 1].clear());
    for (commit, release) in commits.iter().zip(releases_of(&commits, &stable)) {
        if let Some(release) = release {
            of_releases[places[release] + 1].push(commit);
        }
    }
    let written = |part: Option<&changelog::Part<'_>>| part.map(|part| part.notes.to_owned());
    let releases = of_releases.iter().enumerate().map(|(index, commits)| {
        let tag: Option<&Tag> = index.checked_sub(1).map(|index| &tags[index]);
        let part = match tag {
            Some(tag) => changelog.release(&tag.version),
            None => changelog.unreleased(),
        };
        Release {
            version: tag.map(|tag| tag.version.clone()),
            date: tag.map(|tag| day(tag.time)),
            notes: written(part).filter(|notes| !notes.is_empty()).unwrap_or_else(|| said(commits)),
        }
    });
    Ok(releases.filter(|release| release.version.is_some() || !release.notes.is_empty()).collect())
}

fn changelog_of(context: &Context, options: &Options) -> Result<String> {
    if options.from_commits { Ok(String::new()) } else { changelog_in(context) }
}

fn said(commits: &[&Commit]) -> String {
    let mut notes = Notes::default();
    notes.add(&conventional::read(commits).entries);
    notes.text()
}

fn page(releases: &[Release]) -> String {
    let mut page = "# Changelog\n".to_owned();
    for release in releases {
        let title = match (&release.version, &release.date) {
            (Some(version), Some(date)) => format!("{version} - {date}"),
            (Some(version), None) => version.to_string(),
            (None, _) => "Unreleased".to_owned(),
        };
        page.push_str(&format!("\n## {title}\n"));
        if !release.notes.is_empty() {
            page.push_str(&format!("\n{}\n", release.notes));
        }
    }
    page
}

/// `2026-11-24`.
pub fn day(seconds: u64) -> String {
    utc(seconds).split('T').next().unwrap_or_default().to_owned()
}
