//! What the program cannot be brought to from outside, against a remote in memory: the rest is tested through the program,
//! beside a real git remote.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

use anyhow::{Context as _, Result, bail};

use super::acts::Acts;
use super::preflight::Ready;
use super::steps::{ImagePush, Publication, PublishRelease, Upload, plan};
use foundation::interrupt::Interrupt;
use runner::plan::action::Action;
use runner::plan::perform::StepContext;
use runner::plan::report::{Status, StepReport};
use runner::plan::runner::Runner;
use runner::plan::show::{OutputStyle, Show};
use runner::plan::step::{Plan, Step, StepId};
use runner::plan::target::Target;
use shipping::forge::registry::Image;
use shipping::forge::remote::{Asset, Check, Draft, Place, Public, Refs, Release, Remote};

#[allow(dead_code)]
#[path = "../../../../../tests/fixtures/registry_server.rs"]
mod registry_server;

/// A remote with the tag, its releases and a registry, and what was done to it.
#[derive(Default)]
struct Memory {
    releases: Vec<Release>,
    tags: Mutex<BTreeMap<String, String>>,
    pushed: Mutex<Vec<String>>,
}

impl Remote for Memory {
    fn name(&self) -> &str {
        "memory"
    }

    fn refs(&self, _: &str) -> Result<Refs> {
        Ok(Refs::read(&format!("{}\trefs/tags/v1.0.0\n", "c".repeat(40)), "main"))
    }

    fn push_tag(&self, _: &str) -> Result<()> {
        bail!("not asked here")
    }

    fn checks(&self, _: &str) -> Result<Vec<Check>> {
        bail!("not asked here")
    }

    fn releases(&self, tag: &str) -> Result<Vec<Release>> {
        Ok(self.releases.iter().filter(|release| release.tag_name == tag).cloned().collect())
    }

    fn release(&self, id: u64) -> Result<Release> {
        self.releases.iter().find(|release| release.id == id).cloned().context("Not Found")
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

    fn publish(&self, id: u64, _: &Public) -> Result<Release> {
        Ok(Release { draft: false, ..self.release(id)? })
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

/// A release with one file and one image.
fn release(folder: &Path, digest: &str) -> Plan<PublishRelease> {
    let ready = Ready {
        folder: folder.to_owned(),
        version: semver::Version::new(1, 0, 0),
        commit: "c".repeat(40),
        files: BTreeMap::from([("a.json".into(), "0".repeat(64))]),
        images: vec![ImagePush {
            at: Place { host: "ghcr.io".into(), repository: "o/node-red".into() },
            tag: "1.0.0".into(),
            archive: folder.join("image.oci.tar"),
            digest: digest.to_owned(),
        }],
        notes: String::new(),
        latest: true,
        evidence: None,
        problems: vec![],
    };
    plan(&ready, false)
}

fn step<'a>(plan: &'a Plan<PublishRelease>, id: &str) -> &'a Step<PublishRelease> {
    plan.steps.iter().find(|step| step.id.0 == id).unwrap()
}

/// Runs one step; the number of the draft is 55.
fn run(remote: &Memory, folder: &Path, plan: Plan<PublishRelease>, id: &str) -> StepReport {
    let mut one = Step { needs: vec![], ..step(&plan, id).clone() };
    if let Action::Native(
        PublishRelease::Upload(Upload { release, .. }) | PublishRelease::Publish(Publication { release, .. }),
    ) = &mut one.action
    {
        *release = "55".into();
    }
    let acts = Acts { root: folder, remote, branch: "main" };
    let native = |action: &PublishRelease, step: &StepContext| acts.perform(action, step);
    let target = Target::Here { state: folder.join("state") };
    let runner = Runner {
        show: Show::to(OutputStyle::Plain, Box::new(std::io::sink())),
        ..Runner::new(&target, Interrupt::default(), &native)
    };
    let report = runner.run(&Plan { steps: vec![one], ..plan }).unwrap();
    report.steps.into_iter().next().unwrap()
}

#[test]
fn an_image_is_pushed_once_by_its_digest_and_never_replaces_another() {
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("image.oci.tar");
    registry_server::write_archive(&archive);
    let digest = Image::open(&archive).unwrap().digest;
    let remote = Memory::default();
    for _ in 0..2 {
        let report = run(&remote, folder.path(), release(folder.path(), &digest), "image.node-red");
        assert_eq!(report.status, Status::Done, "{report:?}");
        assert_eq!(report.outputs["image"], format!("ghcr.io/o/node-red@{digest}"));
    }
    assert_eq!(*remote.pushed.lock().unwrap(), [format!("ghcr.io/o/node-red@{digest}")]);
    assert_eq!(remote.tags.lock().unwrap()["ghcr.io/o/node-red:1.0.0"], digest);

    let report = run(&remote, folder.path(), release(folder.path(), "sha256:other"), "image.node-red");
    assert!(report.error.unwrap().contains("the release says sha256:other; package again"));
    remote.tags.lock().unwrap().insert("ghcr.io/o/node-red:1.0.0".into(), "sha256:other".into());
    let report = run(&remote, folder.path(), release(folder.path(), &digest), "image.node-red");
    assert!(report.error.unwrap().contains("ghcr.io/o/node-red:1.0.0 is sha256:other in the registry"));
    assert_eq!(remote.pushed.lock().unwrap().len(), 1);
}

#[test]
fn images_come_after_all_that_only_we_see_and_the_release_last() {
    let plan = release(Path::new("/release"), "sha256:0");
    assert_eq!(step(&plan, "image.node-red").needs, ["draft".into(), "upload.a.json".into()]);
    let all = ["draft", "upload.a.json", "image.node-red"].map(StepId::from);
    assert_eq!(step(&plan, "publish").needs, all);
}

#[test]
fn only_the_draft_that_the_files_went_to_becomes_public() {
    let folder = tempfile::tempdir().unwrap();
    let asset = Asset { name: "a.json".into(), state: "uploaded".into(), size: 1, digest: None };
    let draft = |id, tag: &str| Release {
        id,
        tag_name: tag.into(),
        draft: true,
        html_url: format!("https://github.com/o/r/releases/{id}"),
        assets: vec![asset.clone()],
    };
    let ran = |releases| {
        let remote = Memory { releases, ..Memory::default() };
        run(&remote, folder.path(), release(folder.path(), "sha256:0"), "publish")
    };
    let report = ran(vec![draft(55, "v1.0.0")]);
    assert_eq!(report.status, Status::Done, "{report:?}");
    for (releases, part) in [
        // Somebody gave ours another tag, and its tag to another.
        (vec![draft(55, "v0.9.0"), draft(56, "v1.0.0")], "56 instead of 55"),
        (vec![draft(55, "v0.9.0")], "has lost its release 55"),
        (vec![draft(55, "v1.0.0"), draft(56, "v1.0.0")], "has 2 releases"),
    ] {
        let error = ran(releases).error.unwrap();
        assert!(error.contains(part), "{error}");
    }
}
