//! The steps of a publication, as a plan. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use super::preflight::Ready;
use runner::plan::action::{Action, Native};
use runner::plan::argument::Arg;
use runner::plan::step::{OnFailure, Plan, Step, StepId};
use shipping::forge::remote::{Draft, Place, Public};
use shipping::release::version;

/// The native actions of the plan.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "name", content = "parameters", rename_all = "kebab-case")]
pub enum PublishRelease {
    MakeTag(NewTag),
    PushTag(Tagged),
    /// Puts out [`RELEASE`].
    MakeDraft(Draft),
    Upload(Upload),
    PushImage(ImagePush),
    Publish(Publication),
}

impl Native for PublishRelease {
    fn args(&self) -> Vec<&Arg> {
        match self {
            Self::Upload(Upload { release, .. }) | Self::Publish(Publication { release, .. }) => {
                vec![release]
            }
            Self::MakeTag(_) | Self::PushTag(_) | Self::MakeDraft(_) | Self::PushImage(_) => vec![],
        }
    }
}

/// The output of the draft: its number at the host.
pub const RELEASE: &str = "release";

/// Half an hour for a large file on a slow line.
const UPLOAD_MS: u64 = 1_800_000;

/// What every step must know of the release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tagged {
    pub tag: String,
    pub commit: String,
}

/// A tag to be made.
#[derive(Debug, Clone, Serialize)]
pub struct NewTag {
    #[serde(flatten)]
    pub of: Tagged,
    pub message: String,
    pub signed: bool,
}

/// A file to be uploaded.
#[derive(Debug, Clone, Serialize)]
pub struct Upload {
    #[serde(flatten)]
    pub of: Tagged,
    pub file: std::path::PathBuf,
    pub sha256: String,
    pub release: Arg,
}

/// An image to be pushed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImagePush {
    pub at: Place,
    /// The version: what the image is called there.
    pub tag: String,
    pub archive: std::path::PathBuf,
    pub digest: String,
}

/// All files of the release, and what it says.
#[derive(Debug, Clone, Serialize)]
pub struct Publication {
    #[serde(flatten)]
    pub of: Tagged,
    pub files: BTreeMap<String, String>,
    pub public: Public,
    pub release: Arg,
}

/// Nothing is journaled: the remote itself is asked what is done, because it may have been done, or undone, from another
/// machine.
pub fn plan(ready: &Ready, sign_tag: bool) -> Plan<PublishRelease> {
    let tag = version::tag(&ready.version);
    let of = Tagged { tag: tag.clone(), commit: ready.commit.clone() };
    let title = format!("Flowship {}", ready.version);
    let step = |id: &str, title: String, action: PublishRelease, needs: Vec<StepId>| {
        Step {
        needs,
        remedy: Some(
            "the release is a draft until the last step: fix the cause of the error and run the same command \
             again".into(),
        ),
        ..Step::new(id, title, Action::Native(action))
    }
    };
    let new_tag = NewTag { of: of.clone(), message: title.clone(), signed: sign_tag };
    let draft = Draft {
        tag_name: tag.clone(),
        target_commitish: ready.commit.clone(),
        name: title.clone(),
        body: ready.notes.clone(),
        draft: true,
        prerelease: !ready.version.pre.is_empty(),
    };
    let mut steps = vec![
        step("tag", format!("tag {tag}"), PublishRelease::MakeTag(new_tag), vec![]),
        step("push", format!("push {tag}"), PublishRelease::PushTag(of.clone()), vec!["tag".into()]),
        step(
            "draft",
            format!("create the draft of {tag}"),
            PublishRelease::MakeDraft(draft),
            vec!["push".into()],
        ),
    ];
    let release = Arg::output("draft", RELEASE);
    let mut before = vec![StepId::from("draft")];
    for (name, sha256) in &ready.files {
        let id = format!("upload.{}", name.to_lowercase().replace('+', "_"));
        let upload = PublishRelease::Upload(Upload {
            of: of.clone(),
            file: ready.folder.join(name),
            sha256: sha256.clone(),
            release: release.clone(),
        });
        let step = step(&id, format!("upload {name}"), upload, vec!["draft".into()]);
        steps.push(Step { time_limit_ms: UPLOAD_MS, ..step });
        before.push(id.into());
    }
    // Whoever can read the registry sees a tag at once: only when all else is there.
    let uploaded = before.clone();
    for push in &ready.images {
        let name = push.at.repository.rsplit('/').next().unwrap_or_default();
        let id = format!("image.{name}");
        let title = format!("push {}/{}:{}", push.at.host, push.at.repository, push.tag);
        let step = step(&id, title, PublishRelease::PushImage(push.clone()), uploaded.clone());
        steps.push(Step { time_limit_ms: UPLOAD_MS, ..step });
        before.push(id.into());
    }
    let public = Public {
        tag_name: tag.clone(),
        name: title,
        body: ready.notes.clone(),
        draft: false,
        prerelease: !ready.version.pre.is_empty(),
        make_latest: ready.latest.to_string(),
    };
    let publication = Publication { of, files: ready.files.clone(), public, release };
    steps.push(step("publish", format!("make {tag} public"), PublishRelease::Publish(publication), before));
    Plan {
        intent: format!("make {tag} public"),
        target: "publish".into(),
        on_failure: OnFailure::Keep,
        steps,
    }
}
