//! The steps of a publication, as a plan. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::preflight::Ready;
use runner::plan::action::{Action, Native};
use runner::plan::argument::Arg;
use runner::plan::step::{Plan, Step, StepId};
use shipping::forge::remote::{Draft, Place, Public};
use shipping::release::version;

/// The names of the native calls.
pub mod native {
    pub const TAG: &str = "make-tag";
    pub const PUSH: &str = "push-tag";
    pub const DRAFT: &str = "make-draft";
    pub const UPLOAD: &str = "upload";
    pub const IMAGE: &str = "push-image";
    pub const PUBLISH: &str = "publish";
}

/// The output of the draft: its number at the host.
pub const RELEASE: &str = "release";

/// Half an hour for a large file on a slow line.
const UPLOAD_MS: u64 = 1_800_000;

/// What every step must know of the release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tagged {
    pub tag: String,
    pub commit: String,
}

/// A file to be uploaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    #[serde(flatten)]
    pub of: Tagged,
    pub file: std::path::PathBuf,
    pub sha256: String,
}

/// An image to be pushed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImagePush {
    pub at: Place,
    /// The version: what the image is called there.
    pub tag: String,
    pub archive: std::path::PathBuf,
    pub digest: String,
}

/// All files of the release, and what it says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publication {
    #[serde(flatten)]
    pub of: Tagged,
    pub files: BTreeMap<String, String>,
    pub public: Public,
}

/// Nothing is journaled: the remote itself is asked what is done, because it may have been done, or undone, from another
/// machine.
pub fn plan(ready: &Ready, sign_tag: bool) -> Plan {
    let tag = version::tag(&ready.version);
    let of = Tagged { tag: tag.clone(), commit: ready.commit.clone() };
    let title = format!("Flowship {}", ready.version);
    let step = |id: &str, title: String, name: &str, parameters: serde_json::Value, needs: &[&str]| {
        Step {
        id: id.into(),
        title,
        action: Action::Native(Native { name: name.into(), parameters, args: BTreeMap::new() }),
        needs: needs.iter().map(|need| StepId::from(*need)).collect(),
        remedy: Some(
            "the release is a draft until the last step: mend what the error names and run the same command again".into(),
        ),
        ..Step::default()
    }
    };
    let mut make_tag = json!(of);
    make_tag["message"] = json!(title);
    make_tag["signed"] = json!(sign_tag);
    let draft = json!(Draft {
        tag_name: tag.clone(),
        target_commitish: ready.commit.clone(),
        name: title.clone(),
        body: ready.notes.clone(),
        draft: true,
        prerelease: !ready.version.pre.is_empty(),
    });
    let mut steps = vec![
        step("tag", format!("tag {tag}"), native::TAG, make_tag, &[]),
        step("push", format!("push {tag}"), native::PUSH, json!(of), &["tag"]),
        step("draft", format!("have a draft of {tag}"), native::DRAFT, draft, &["push"]),
    ];
    let release = || BTreeMap::from([(RELEASE.to_owned(), Arg::output("draft", RELEASE))]);
    let mut before = vec![StepId::from("draft")];
    for (name, sha256) in &ready.files {
        let id = StepId(format!("upload.{}", name.to_lowercase().replace('+', "_")));
        let upload = Upload { of: of.clone(), file: ready.folder.join(name), sha256: sha256.clone() };
        let mut step = step("", format!("upload {name}"), native::UPLOAD, json!(upload), &["draft"]);
        step.id = id.clone();
        step.time_limit_ms = UPLOAD_MS;
        with_args(&mut step, release());
        steps.push(step);
        before.push(id);
    }
    // Whoever can read the registry sees a tag at once: only when all else is there.
    let uploaded = before.clone();
    for push in &ready.images {
        let name = push.at.repository.rsplit('/').next().unwrap_or_default();
        let id = format!("image.{name}");
        let title = format!("push {}/{}:{}", push.at.host, push.at.repository, push.tag);
        steps.push(Step {
            needs: uploaded.clone(),
            time_limit_ms: UPLOAD_MS,
            ..step(&id, title, native::IMAGE, json!(push), &[])
        });
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
    let publication = Publication { of, files: ready.files.clone(), public };
    let mut publish = step("publish", format!("make {tag} public"), native::PUBLISH, json!(publication), &[]);
    publish.needs = before;
    with_args(&mut publish, release());
    steps.push(publish);
    Plan { intent: format!("publish {tag}"), target: "publish".into(), steps, ..Plan::default() }
}

fn with_args(step: &mut Step, args: BTreeMap<String, Arg>) {
    if let Action::Native(native) = &mut step.action {
        native.args = args;
    }
}
