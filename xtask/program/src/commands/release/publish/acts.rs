//! What the steps of a publication do: ask whether it is done, do it, see that it is.

use std::path::Path;

use anyhow::{Context as _, Result, bail};

use super::steps::{ImagePush, NewTag, Publication, PublishRelease, RELEASE, Tagged, Upload};
use foundation::digest;
use runner::plan::argument::Arg;
use runner::plan::mask::Outputs;
use runner::plan::perform::StepContext;
use shipping::forge::github::TOKEN;
use shipping::forge::registry::Image;
use shipping::forge::remote::{Asset, Draft, Release, Remote};
use shipping::forge::repository::Repository;
use shipping::release::history::short;
use shipping::release::problems;
use shipping::release::version;

/// What GitHub calls a file that is there as a whole.
const WHOLE: &str = "uploaded";

/// Carries out the native actions of a publication.
pub struct Acts<'a> {
    pub root: &'a Path,
    pub remote: &'a dyn Remote,
    pub branch: &'a str,
}

impl Acts<'_> {
    /// # Errors
    /// When the remote does not answer or refuses, or has something else than this release.
    pub fn perform(&self, action: &PublishRelease, step: &StepContext) -> Result<Outputs> {
        if let Ok(token) = std::env::var(TOKEN) {
            step.mask.add(&token);
        }
        match action {
            PublishRelease::MakeTag(wanted) => self.make_tag(wanted, step),
            PublishRelease::PushTag(of) => self.push_tag(of, step),
            PublishRelease::MakeDraft(draft) => self.have_draft(draft, step),
            PublishRelease::Upload(upload) => self.upload(upload, step),
            PublishRelease::PushImage(push) => self.push_image(push, step),
            PublishRelease::Publish(publication) => self.publish(publication, step),
        }
    }

    fn make_tag(&self, wanted: &NewTag, step: &StepContext) -> Result<Outputs> {
        let NewTag { of, message, signed } = wanted;
        let repository = Repository { root: self.root };
        match repository.resolved(&format!("refs/tags/{}", of.tag))? {
            Some((_, commit)) if commit == of.commit => {
                // Looked at before; it may have been made since.
                let here = repository.tag_object(&of.tag)?;
                match problems::tag_kind(&of.tag, &commit, here.as_ref(), ("", None), *signed) {
                    None => done(step, "it is there already"),
                    Some(problem) => bail!("{}: {}", problem.seen, problem.remedy),
                }
            }
            Some((_, commit)) => bail!("{}", moved(of, "here", &commit)),
            None => {
                repository.make_tag(&of.tag, &of.commit, message, *signed)?;
                done(step, "made")
            }
        }
    }

    fn push_tag(&self, of: &Tagged, step: &StepContext) -> Result<Outputs> {
        if self.is_pushed(of)? {
            return done(step, "it is there already");
        }
        if let Err(error) = self.remote.push_tag(&of.tag) {
            // Another publication may have been faster with the same tag.
            return if self.is_pushed(of)? { done(step, "it is there already") } else { Err(error) };
        }
        done(step, "pushed")
    }

    /// Whether the remote has the tag, at this commit.
    fn is_pushed(&self, of: &Tagged) -> Result<bool> {
        let version = version::of_tag(&of.tag).context("a tag that names no release")?;
        match self.remote.refs(self.branch)?.tag(&version) {
            None => Ok(false),
            Some(commit) if commit == of.commit => Ok(true),
            Some(commit) => bail!("{}", moved(of, "at the remote", commit)),
        }
    }

    fn have_draft(&self, draft: &Draft, step: &StepContext) -> Result<Outputs> {
        let one = |release: &Release| Outputs::from([(RELEASE.to_owned(), release.id.to_string())]);
        match self.remote.releases(&draft.tag_name)?.as_slice() {
            [] => {}
            [release] => {
                step.log.line(&format!("it is there already: {}", release.html_url));
                return Ok(one(release));
            }
            several => bail!("{}", doubled(&draft.tag_name, several)),
        }
        let made = self.remote.make_draft(draft)?;
        step.log.line(&format!("made {}", made.html_url));
        // Making a draft is not atomic: another publication may have made one meanwhile. The earliest stays.
        let all = self.remote.releases(&draft.tag_name)?;
        let Some(first) = all.iter().map(|release| release.id).min().filter(|first| *first != made.id) else {
            return Ok(one(&made));
        };
        self.remote.discard_draft(made.id)?;
        bail!(
            "another publication of {} is running: it created the release {first} a moment before this run created {}, \
             which was removed again; wait until it has ended",
            draft.tag_name,
            made.id
        )
    }

    fn upload(&self, upload: &Upload, step: &StepContext) -> Result<Outputs> {
        let Upload { of, file, sha256, release } = upload;
        let found = digest::of_file(file)?;
        if found.sha256 != *sha256 {
            bail!(
                "{} changed since it was verified; run again, and let nothing else write to the folder",
                file.display()
            );
        }
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let wanted = Wanted { tag: &of.tag, name: &name, sha256, bytes: found.bytes };
        let release = self.remote.release(id(release, step)?)?;
        let partly = match release.assets.iter().find(|asset| asset.name == name) {
            Some(asset) if asset.state == WHOLE => {
                self.is(asset, &wanted)?;
                return done(step, "it is there already");
            }
            Some(_) => true,
            None => false,
        };
        if !release.draft {
            bail!(
                "{} is public and lacks {name}; a public release is not changed: {}",
                of.tag,
                release.html_url
            );
        }
        let carried = self.remote.upload(&of.tag, file, partly);
        // Another publication may have been faster with the same file; and what was carried must have arrived.
        let release = self.remote.release(release.id);
        match (carried, release) {
            (Err(error), Err(_)) | (Ok(()), Err(error)) => Err(error),
            (carried, Ok(release)) => {
                match release.assets.iter().find(|asset| asset.name == name && asset.state == WHOLE) {
                    Some(asset) => self.is(asset, &wanted)?,
                    None => {
                        carried?;
                        bail!("it was uploaded, but the release does not have it: {}", release.html_url);
                    }
                }
                done(step, "uploaded")
            }
        }
    }

    /// Whether a file of the release is the one that is wanted.
    fn is(&self, asset: &Asset, wanted: &Wanted<'_>) -> Result<()> {
        let Wanted { tag, name, sha256, bytes } = wanted;
        let other = |what: String| {
            bail!(
                "the release has another {name}: {what}; if that is a mistake, run: gh release delete-asset {tag} \
                 {name}"
            )
        };
        if asset.size != *bytes {
            return other(format!("of {} bytes instead of {bytes}", asset.size));
        }
        let there = match &asset.digest {
            Some(digest) => digest.trim_start_matches("sha256:").to_owned(),
            None => self.remote.fetched_sha256(tag, name)?,
        };
        if there == *sha256 { Ok(()) } else { other(format!("SHA-256 {there} instead of {sha256}")) }
    }

    fn push_image(&self, push: &ImagePush, step: &StepContext) -> Result<Outputs> {
        let ImagePush { at, tag, archive, digest } = push;
        let image = Image::open(archive)?;
        if image.digest != *digest {
            bail!("{} holds {}, the release says {digest}; package again", archive.display(), image.digest);
        }
        let name = format!("{}/{}", at.host, at.repository);
        let named = self.remote.image_tag(at, tag)?;
        if let Some(other) = named.as_ref().filter(|named| *named != digest) {
            bail!(
                "{name}:{tag} is {other} in the registry, but {digest} in this release; an image that others may run \
                 is never replaced"
            );
        }
        let lacking = self.remote.push_image(at, &image)?;
        if named.is_none() {
            self.remote.tag_image(at, tag, &image)?;
        }
        step.log.line(if lacking { "pushed" } else { "it is there already" });
        Ok(Outputs::from([("image".to_owned(), format!("{name}@{digest}"))]))
    }

    fn publish(&self, publication: &Publication, step: &StepContext) -> Result<Outputs> {
        let Publication { of, files, public, release } = publication;
        if !self.is_pushed(of)? {
            bail!("the remote has lost the tag {}; run again, and find out who removed it", of.tag);
        }
        let id = id(release, step)?;
        match self.remote.releases(&of.tag)?.as_slice() {
            [release] if release.id == id => {}
            [] => bail!("{} has lost its release {id}; run again, and find out who removed it", of.tag),
            [other] => bail!(
                "{} now has the release {} instead of {id}, to which the files were uploaded; run again, and find out \
                 who created it: {}",
                of.tag,
                other.id,
                other.html_url
            ),
            several => bail!("{}", doubled(&of.tag, several)),
        }
        let release = self.remote.release(id)?;
        let whole =
            |name: &String| release.assets.iter().any(|asset| asset.name == *name && asset.state == WHOLE);
        let lost: Vec<_> = files.keys().filter(|name| !whole(name)).cloned().collect();
        let extra: Vec<_> = release
            .assets
            .iter()
            .filter(|asset| !files.contains_key(&asset.name))
            .map(|asset| asset.name.clone())
            .collect();
        if !lost.is_empty() {
            bail!("the release has lost {}; run again, and find out who removed it", lost.join(", "));
        }
        for asset in &release.assets {
            // Told for nothing: a file that was changed since it was uploaded does not become public.
            let there = asset.digest.as_deref().map(|digest| digest.trim_start_matches("sha256:"));
            if let (Some(there), Some(wanted)) = (there, files.get(&asset.name))
                && there != wanted
            {
                bail!("the release has another {}: SHA-256 {there} instead of {wanted}", asset.name);
            }
        }
        if !extra.is_empty() {
            bail!(
                "the release has files that are not part of it: {}; remove them from {}",
                extra.join(", "),
                release.html_url
            );
        }
        let public = if release.draft {
            let public = self.remote.publish(id, public)?;
            step.log.line("made public");
            public
        } else {
            step.log.line("it is public already");
            release
        };
        if public.draft || public.tag_name != of.tag {
            bail!("the host still reports a draft, or another tag: {}", public.html_url);
        }
        Ok(Outputs::from([("url".to_owned(), public.html_url)]))
    }
}

/// A file as it must be at the host.
struct Wanted<'a> {
    tag: &'a str,
    name: &'a str,
    sha256: &'a str,
    bytes: u64,
}

fn id(release: &Arg, step: &StepContext) -> Result<u64> {
    let id = step.resolve(release)?;
    let id = id.expose();
    id.parse().with_context(|| format!("the number of a release is `{id}`"))
}

fn done(step: &StepContext, what: &str) -> Result<Outputs> {
    step.log.line(what);
    Ok(Outputs::new())
}

fn moved(of: &Tagged, place: &str, commit: &str) -> String {
    format!(
        "the tag {} moved: {place} it is at {}, but this release is of {}; a tag that others may have is never moved: \
         release a later version",
        of.tag,
        short(commit),
        short(&of.commit)
    )
}

fn doubled(tag: &str, releases: &[Release]) -> String {
    let urls: Vec<_> = releases.iter().map(|release| release.html_url.as_str()).collect();
    format!("{tag} has {} releases; expected one: remove all but one of {}", urls.len(), urls.join(", "))
}
