//! The steps of images, against a remote in memory: the rest is tested through the program, beside a real git remote.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

use anyhow::{Result, bail};

use super::acts::Acts;
use super::preflight::Ready;
use super::steps::{ImagePush, plan};
use crate::forge::registry::Image;
use crate::forge::registry_test::archive;
use crate::forge::remote::{Check, Draft, Place, Refs, Release, Remote};
use crate::plan::interrupt::Interrupt;
use crate::plan::perform::{Call, Hands, NoHands};
use crate::plan::report::{Status, StepReport};
use crate::plan::runner::Runner;
use crate::plan::show::{Look, Show};
use crate::plan::step::Plan;

/// A registry, and what was done to it.
#[derive(Default)]
struct Memory {
    tags: Mutex<BTreeMap<String, String>>,
    pushed: Mutex<Vec<String>>,
}

impl Remote for Memory {
    fn name(&self) -> &str {
        "memory"
    }

    fn refs(&self, _: &str) -> Result<Refs> {
        bail!("not asked here")
    }

    fn push_tag(&self, _: &str) -> Result<()> {
        bail!("not asked here")
    }

    fn checks(&self, _: &str) -> Result<Vec<Check>> {
        bail!("not asked here")
    }

    fn releases(&self, _: &str) -> Result<Vec<Release>> {
        bail!("not asked here")
    }

    fn release(&self, _: u64) -> Result<Release> {
        bail!("not asked here")
    }

    fn make_draft(&self, _: &Draft) -> Result<Release> {
        bail!("not asked here")
    }

    fn discard_draft(&self, _: u64) -> Result<()> {
        bail!("not asked here")
    }

    fn upload(&self, _: &str, _: &Path, _: bool) -> Result<()> {
        bail!("not asked here")
    }

    fn fetched_sha256(&self, _: &str, _: &str) -> Result<String> {
        bail!("not asked here")
    }

    fn publish(&self, _: u64, _: bool) -> Result<Release> {
        bail!("not asked here")
    }

    fn image_tag(&self, at: &Place, tag: &str) -> Result<Option<String>> {
        Ok(self.tags.lock().unwrap().get(&format!("{}/{}:{tag}", at.host, at.repository)).cloned())
    }

    fn push_image(&self, at: &Place, image: &Image) -> Result<bool> {
        let mut pushed = self.pushed.lock().unwrap();
        let name = format!("{}/{}@{}", at.host, at.repository, image.digest);
        let lacking = !pushed.contains(&name);
        if lacking {
            pushed.push(name);
        }
        Ok(lacking)
    }

    fn tag_image(&self, at: &Place, tag: &str, image: &Image) -> Result<()> {
        let name = format!("{}/{}:{tag}", at.host, at.repository);
        self.tags.lock().unwrap().insert(name, image.digest.clone());
        Ok(())
    }
}

/// Runs the step of one image.
fn run(remote: &Memory, folder: &Path, digest: &str) -> StepReport {
    let ready = Ready {
        folder: folder.to_owned(),
        version: semver::Version::new(1, 0, 0),
        commit: "c".repeat(40),
        files: BTreeMap::new(),
        images: vec![ImagePush {
            at: Place { host: "ghcr.io".into(), repository: "o/node-red".into() },
            tag: "1.0.0".into(),
            archive: folder.join("image.oci.tar"),
            digest: digest.to_owned(),
        }],
        notes: String::new(),
        latest: true,
        problems: vec![],
    };
    let whole = plan(&ready, false);
    let publish = whole.steps.iter().find(|step| step.id.0 == "publish").unwrap();
    assert!(publish.needs.contains(&"image.node-red".into()), "public last");
    let mut image = whole.steps.iter().find(|step| step.id.0 == "image.node-red").unwrap().clone();
    image.needs.clear();
    let acts = Acts { root: folder, remote, branch: "main" };
    let perform = |call: &Call<'_>| acts.perform(call);
    let runner = Runner {
        state: &folder.join("state"),
        command: "test".into(),
        jobs: 1,
        keep_going: false,
        grace_ms: 1,
        interrupt: Interrupt::default(),
        show: Show::to(Look::Plain, Box::new(std::io::sink())),
        hands: Hands { native: &perform, ..NoHands::hands() },
    };
    let report = runner.run(&Plan { steps: vec![image], ..whole }).unwrap();
    report.steps.into_iter().next().unwrap()
}

#[test]
fn an_image_is_pushed_once_by_its_digest_and_never_replaces_another() {
    let folder = tempfile::tempdir().unwrap();
    let digest = Image::open(&archive(folder.path())).unwrap().digest;
    let remote = Memory::default();
    for _ in 0..2 {
        let report = run(&remote, folder.path(), &digest);
        assert_eq!(report.status, Status::Done, "{report:?}");
        assert_eq!(report.outputs["image"], format!("ghcr.io/o/node-red@{digest}"));
    }
    assert_eq!(*remote.pushed.lock().unwrap(), [format!("ghcr.io/o/node-red@{digest}")]);
    assert_eq!(remote.tags.lock().unwrap()["ghcr.io/o/node-red:1.0.0"], digest);

    let report = run(&remote, folder.path(), "sha256:other");
    assert!(report.error.unwrap().contains("the release says sha256:other; package again"));
    remote.tags.lock().unwrap().insert("ghcr.io/o/node-red:1.0.0".into(), "sha256:other".into());
    let report = run(&remote, folder.path(), &digest);
    assert!(report.error.unwrap().contains("ghcr.io/o/node-red:1.0.0 is sha256:other there"));
    assert_eq!(remote.pushed.lock().unwrap().len(), 1);
}
