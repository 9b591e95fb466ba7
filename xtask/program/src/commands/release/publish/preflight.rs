//! Everything that could stop a publication, before any of it is begun.

use std::path::{Path, PathBuf};

use anyhow::Result;
use semver::Version;
use vocabulary::problem::Problem;

use super::Options;
use super::steps::ImagePush;
use crate::commands::release::remote_state::RemoteState;
use crate::context::Context;
use foundation::clock::utc;
use foundation::exit::refused;
use foundation::interrupt::Interrupt;
use shipping::forge::remote::Place;
use shipping::forge::repository::Repository;
use shipping::release::changelog::{self, Changelog};
use shipping::release::description::{self, Image};
use shipping::release::history::short;
use shipping::release::judge::{self, Trust, Verdict};
use shipping::release::ledger::{self, Ledger};
use shipping::release::problems::{self, Pushed, obstacle};
use shipping::release::signing;
use shipping::release::sums::Sums;
use shipping::release::{declared, manifest, version};

/// A release that can be published, or what stands in its way.
pub struct Ready {
    pub folder: PathBuf,
    pub version: Version,
    pub commit: String,
    /// SHA-256 by name, of every file that is uploaded.
    pub files: Sums,
    /// The release's own images, where they go to a registry.
    pub images: Vec<ImagePush>,
    /// Markdown.
    pub notes: String,
    /// Whether it is the latest release once it is public.
    pub latest: bool,
    /// How much of it is proven, when not all is.
    pub evidence: Option<String>,
    pub problems: Vec<Problem>,
}

/// # Errors
/// Refused when the folder holds no release; when git cannot tell.
pub fn look(context: &Context, options: &Options, folder: &Path, interrupt: &Interrupt) -> Result<Ready> {
    let told = |problem: String| {
        refused(format!(
            "{}: {problem}; build a release with `cargo xtask release package`",
            folder.display()
        ))
    };
    let keys = signing::trusted(&context.platform.release.public_keys, &options.public_key)?;
    let verdict = judge::release(folder, None, &Trust { keys: Some(keys), installed: None }, &utc)?;
    let mut problems = unverified(&verdict);
    problems.extend(verdict.ledger.as_ref().and_then(unproven));
    // From here on the folder is not asked again: `release package` may put another release into its place any time. What
    // stands in the way of one that was refused is told too, so that all is told at once.
    let release = match verdict.manifest {
        Some(manifest) => manifest.release,
        None => manifest::read(folder)?.map_err(told)?.release,
    };
    let version =
        version::read(&release.version).map_err(|problem| told(format!("the version {problem}")))?;
    let commit = release.commit;
    let images = images(options, folder, &version, &release.images, &mut problems)?;

    let repository = Repository { root: &context.root };
    problems.extend(problems::shallow(repository.is_shallow()?, &options.place.remote));
    let here = repository.has(&commit)?;
    if !here {
        problems.push(obstacle(
            "commit",
            format!("the release is of commit {}, which is not here", short(&commit)),
            format!(
                "git fetch --tags {}, or publish from the checkout that packaged it",
                options.place.remote
            ),
        ));
    }
    let mut ready = Ready {
        folder: folder.to_owned(),
        latest: false,
        images,
        notes: String::new(),
        version,
        commit,
        files: verdict.files,
        evidence: verdict.ledger.filter(|ledger| !ledger.left_out.is_empty()).map(|ledger| ledger.summary()),
        problems,
    };
    if here {
        ready.standing(context, options, &repository, interrupt)?;
        ready.texts(&repository)?;
    }
    Ok(ready)
}

/// Where each of the release's own images goes.
fn images(
    options: &Options,
    folder: &Path,
    version: &Version,
    of_release: &[Image],
    problems: &mut Vec<Problem>,
) -> Result<Vec<ImagePush>> {
    let own = of_release.iter().filter_map(|image| Some((image, image.archive.as_ref()?)));
    let mut pushes = Vec::new();
    for (image, archive) in own {
        if !image.stand_ins.is_empty() {
            problems.push(obstacle(
                "images",
                format!("{archive} was built on stand-ins for {}", image.stand_ins.join(", ")),
                "build the images on the official bases and package again",
            ));
        }
        let Some(registry) = &options.registry else { continue };
        let (host, path) = registry.split_once('/').ok_or_else(|| {
            refused(format!("--registry {registry}: expected a host and a path, such as ghcr.io/flowship"))
        })?;
        let name = description::image_target(&version.to_string(), archive).ok_or_else(|| {
            refused(format!("{archive}: expected a name such as {}", description::image("1.2.0", "node-red")))
        })?;
        pushes.push(ImagePush {
            at: Place { host: host.to_owned(), repository: format!("{path}/{name}").to_lowercase() },
            tag: version.to_string(),
            archive: folder.join(archive),
            digest: image.digest.clone(),
        });
    }
    Ok(pushes)
}

/// What `release verify` finds.
fn unverified(verdict: &Verdict) -> Vec<Problem> {
    let remedy = "run cargo xtask release package again; never publish files that are not verified";
    let told = |check: &judge::Check| {
        let what = check.what;
        let problem = |problem: &String| obstacle("artifacts", format!("{what}: {problem}"), remedy);
        check.problems.iter().map(problem).collect::<Vec<_>>()
    };
    verdict.checks.iter().flat_map(told).collect()
}

/// A release that says nothing for itself. One that lacks some records tells which.
fn unproven(ledger: &Ledger) -> Option<Problem> {
    ledger.records.is_empty().then(|| {
        obstacle(
            "evidence",
            format!(
                "{} has no records: nothing has been tested on commit {}",
                ledger::FILE,
                short(&ledger.commit)
            ),
            "run cargo xtask ci in a tree without changes, then cargo xtask release package again",
        )
    })
}

impl Ready {
    fn standing(
        &mut self,
        context: &Context,
        options: &Options,
        repository: &Repository,
        interrupt: &Interrupt,
    ) -> Result<()> {
        let place = &options.place;
        let standing = RemoteState::observe(context, place, &self.commit, interrupt)?;
        let tags = repository.tags(None)?;
        self.problems.extend(standing.problems(Some(&self.version), &tags, place, place.branch(context)));
        self.problems.extend(problems::ci(
            &standing.ci,
            &self.commit,
            context.platform.release.required_check,
        ));
        let here = tags.iter().find(|tag| tag.version == self.version).map(|tag| tag.commit.as_str());
        let there = standing.refs.tag(&self.version);
        // A tag at this very commit is what an earlier run left.
        let elsewhere = |tag: Option<&&str>| tag.is_some_and(|tag| **tag != self.commit);
        if elsewhere(here.as_ref()) || elsewhere(there.as_ref()) {
            self.problems.extend(problems::tag(&self.version, &self.commit, here, there));
        } else {
            let name = version::tag(&self.version);
            let here = repository.tag_object(&name)?;
            let there = standing.refs.found(&self.version).map(|tag| tag.object.as_str());
            let at = (place.remote.as_str(), there);
            self.problems.extend(problems::tag_kind(
                &name,
                &self.commit,
                here.as_ref(),
                at,
                options.sign_tag,
            ));
        }
        let contained = repository.tags(Some(&self.commit))?;
        let last = contained.iter().map(|tag| &tag.version).find(|version| **version != self.version);
        self.problems.extend(problems::greater(&self.version, last));
        if options.sign_tag
            && here.is_none()
            && let Err(error) = repository.try_signing()
        {
            self.problems.push(obstacle(
                "signing",
                format!("--sign-tag: git cannot sign: {error:#}"),
                "run git config user.signingKey KEY, and for an SSH key git config gpg.format ssh; or leave the option \
                 out",
            ));
        }
        let full = standing.refs.tags.iter().filter(|tag| tag.version.pre.is_empty());
        let later = full.map(|tag| &tag.version).any(|known| version::is_greater(known, &self.version));
        self.latest = self.version.pre.is_empty() && !later && standing.pushed == Pushed::Yes;
        Ok(())
    }

    /// What the commit itself says of the release.
    fn texts(&mut self, repository: &Repository) -> Result<()> {
        let manifest = repository.file(&self.commit, declared::FILE)?.unwrap_or_default();
        match declared::read(&manifest) {
            Ok(declared) if declared == self.version => {}
            Ok(declared) => self.problems.push(obstacle(
                "version",
                format!(
                    "the release is {}, {} of its commit declares {declared}",
                    self.version,
                    declared::FILE
                ),
                "cargo xtask release package, from the commit that is released",
            )),
            Err(problem) => {
                self.problems.push(obstacle("version", problem, "fix it, commit and package again"))
            }
        }
        let text = repository.file(&self.commit, changelog::FILE)?.unwrap_or_default();
        let notes = Changelog::read(&text).release(&self.version).map(|part| part.notes.to_owned());
        match notes.filter(|notes| !notes.is_empty()) {
            Some(notes) => self.notes = notes,
            None => self.problems.push(obstacle(
                "changelog",
                format!("{} of the commit has no notes of {}", changelog::FILE, self.version),
                "cargo xtask release prepare, commit, push and package again",
            )),
        }
        Ok(())
    }
}
