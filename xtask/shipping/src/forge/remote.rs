//! What publishing needs of the place where a release becomes public: its questions and its acts, each small enough to
//! be asked again after a kill.

use std::path::Path;

use anyhow::Result;
use semver::Version;
use serde::{Deserialize, Serialize};

use super::registry::Image;
use crate::release::version;

/// A remote. Every answer is of now; nothing is remembered between calls.
pub trait Remote: Sync {
    /// For people: `origin (git@github.com:flowship/flowship.git)`.
    fn name(&self) -> &str;

    /// # Errors
    /// When it cannot be reached or refuses, here and below.
    fn refs(&self, branch: &str) -> Result<Refs>;

    /// Pushes the tag of this checkout. The remote takes it as a whole or not at all, and never replaces one.
    fn push_tag(&self, tag: &str) -> Result<()>;

    /// What CI says of the commit, the latest run of each check.
    fn checks(&self, commit: &str) -> Result<Vec<Check>>;

    /// The releases, drafts too, that bear the tag.
    fn releases(&self, tag: &str) -> Result<Vec<Release>>;

    fn release(&self, id: u64) -> Result<Release>;

    fn make_draft(&self, draft: &Draft) -> Result<Release>;

    /// Takes a draft back.
    fn discard_draft(&self, id: u64) -> Result<()>;

    /// Adds a file to a draft; `replace` when a part of it is there.
    fn upload(&self, tag: &str, file: &Path, replace: bool) -> Result<()>;

    /// SHA-256 of a file of a release, by fetching it: for hosts that do not tell it.
    fn fetched_sha256(&self, tag: &str, name: &str) -> Result<String>;

    /// Makes a draft public, with this text whatever it said before.
    fn publish(&self, id: u64, public: &Public) -> Result<Release>;

    /// The digest that a tag stands for in a registry; none when it is not there.
    fn image_tag(&self, at: &Place, tag: &str) -> Result<Option<String>>;

    /// Pushes an OCI archive by its digest; whether anything was lacking.
    fn push_image(&self, at: &Place, image: &Image) -> Result<bool>;

    /// Names a pushed image.
    fn tag_image(&self, at: &Place, tag: &str, image: &Image) -> Result<()>;
}

/// A repository of images: `ghcr.io` and `flowship/node-red`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub host: String,
    pub repository: String,
}

/// The branch and the tags of a remote.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Refs {
    /// The commit of the branch; none when there is no such branch.
    pub tip: Option<String>,
    pub tags: Vec<RemoteTag>,
}

/// A tag that names a release, as the remote has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteTag {
    pub version: Version,
    pub commit: String,
    /// What the tag itself is: the commit, of a lightweight one.
    pub object: String,
}

impl Refs {
    /// The commit that the tag of a version is at.
    pub fn tag(&self, version: &Version) -> Option<&str> {
        self.found(version).map(|tag| tag.commit.as_str())
    }

    /// The tag of a version.
    pub fn found(&self, version: &Version) -> Option<&RemoteTag> {
        self.tags.iter().find(|tag| tag.version == *version)
    }

    /// Reads what `git ls-remote` prints, given the branch.
    pub fn read(printed: &str, branch: &str) -> Self {
        let mut refs = Self::default();
        let branch = format!("refs/heads/{branch}");
        for (id, name) in printed.lines().filter_map(|line| line.split_once('\t')) {
            if name == branch {
                refs.tip = Some(id.to_owned());
            }
            let Some(tag) = name.strip_prefix("refs/tags/") else { continue };
            // `^{}` follows an annotated tag with the commit it leads to.
            let (tag, peeled) = tag.strip_suffix("^{}").map_or((tag, false), |tag| (tag, true));
            let Some(version) = version::of_tag(tag) else { continue };
            match refs.tags.iter_mut().find(|known| known.version == version) {
                Some(known) if peeled => known.commit = id.to_owned(),
                Some(_) => {}
                None => {
                    refs.tags.push(RemoteTag { version, commit: id.to_owned(), object: id.to_owned() });
                }
            }
        }
        refs
    }
}

/// One check of a commit, as GitHub tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    pub name: String,
    /// `completed`, or how far it is.
    pub status: String,
    /// `success`, `failure`, ...; only of a completed one.
    pub conclusion: Option<String>,
}

/// A release, as GitHub tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    pub id: u64,
    pub tag_name: String,
    pub draft: bool,
    pub html_url: String,
    #[serde(default)]
    pub assets: Vec<Asset>,
}

/// A file of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asset {
    pub name: String,
    /// `uploaded`, or something else while a part of it is there.
    pub state: String,
    /// Bytes.
    pub size: u64,
    /// `sha256:...`, where the host tells it.
    #[serde(default)]
    pub digest: Option<String>,
}

/// A release to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    pub tag_name: String,
    pub target_commitish: String,
    pub name: String,
    /// The notes, Markdown.
    pub body: String,
    pub draft: bool,
    pub prerelease: bool,
}

/// What a release says once it is public.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Public {
    pub tag_name: String,
    pub name: String,
    /// The notes, Markdown.
    pub body: String,
    pub draft: bool,
    pub prerelease: bool,
    /// `true` or `false`: GitHub wants a word.
    pub make_latest: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_lead_to_commits_whether_annotated_or_not() {
        let printed = "c0\trefs/heads/main\nt1\trefs/tags/v1.0.0\nc1\trefs/tags/v1.0.0^{}\nc2\trefs/tags/v1.1.0\n\
                       c3\trefs/tags/nightly\nc4\trefs/heads/main2\n";
        let refs = Refs::read(printed, "main");
        assert_eq!(refs.tip.as_deref(), Some("c0"));
        assert_eq!(refs.tag(&Version::new(1, 0, 0)), Some("c1"));
        assert_eq!(refs.tag(&Version::new(1, 1, 0)), Some("c2"));
        let object = |minor| refs.found(&Version::new(1, minor, 0)).unwrap().object.as_str();
        assert_eq!((object(0), object(1)), ("t1", "c2"));
        assert_eq!((refs.tag(&Version::new(2, 0, 0)), refs.tags.len()), (None, 2));
        assert_eq!(Refs::read(printed, "next").tip, None);
    }
}
