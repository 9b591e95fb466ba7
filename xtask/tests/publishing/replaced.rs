//! `release package` that puts another release into the folder while `release publish` is at it.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};
use serde_json::json;

use crate::workshop::{Ended, Workshop};

const FOLDER: &str = "target/release-artifacts";

/// The release in the folder, and a later commit's of the same version beside it: where that lies, and its commit.
fn two_releases(workshop: &Workshop) -> (PathBuf, String) {
    let aside = workshop.root().with_file_name("aside");
    fs::rename(workshop.path(FOLDER), &aside).unwrap();
    let commit = workshop.commit("Go on");
    workshop.push();
    workshop.prove();
    workshop.package_again(&["--images", "none"]);
    let later = workshop.root().with_file_name("later");
    fs::rename(workshop.path(FOLDER), &later).unwrap();
    fs::rename(aside, workshop.path(FOLDER)).unwrap();
    (later, commit)
}

#[test]
fn what_is_published_is_what_was_verified_with_the_commit_that_was_verified() {
    let workshop = Workshop::packaged();
    let (later, commit) = two_releases(&workshop);
    let sums = fs::read(later.join("SHA256SUMS")).unwrap();
    // Whoever reads this one waits, and meanwhile the folder becomes the later release's.
    let pipe = workshop.path(FOLDER).join("SHA256SUMS");
    fs::remove_file(&pipe).unwrap();
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let running = workshop.command(&["release", "publish", "--json"]);
    let ended = std::thread::scope(|scope| {
        let running = scope.spawn(|| Ended::of(&{ running }.output().unwrap()));
        let mut writer = None;
        workshop.until("the sums are read", || {
            let flags = OFlags::NONBLOCK.bits().cast_signed();
            writer = OpenOptions::new().write(true).custom_flags(flags).open(&pipe).ok();
            writer.is_some()
        });
        fs::rename(workshop.path(FOLDER), workshop.path("target/earlier")).unwrap();
        fs::rename(&later, workshop.path(FOLDER)).unwrap();
        writer.unwrap().write_all(&sums).unwrap();
        running.join().unwrap()
    });
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let told = ended.json();
    assert_eq!(told["problems"], json!([]));
    let steps = told["plan"]["steps"].as_array().unwrap();
    assert!(steps.len() > 5, "{steps:#?}");
    assert!(
        steps[0].to_string().contains(&commit),
        "the later release's files with another commit: {}",
        steps[0]
    );
}

#[test]
fn a_file_that_is_not_what_was_verified_any_more_is_not_uploaded() {
    let workshop = Workshop::packaged();
    let (later, _) = two_releases(&workshop);
    let gate = workshop.github().join("gate");
    fs::write(&gate, "").unwrap();
    let mut command = workshop.command(&["release", "publish", "--execute"]);
    command.env("STUB_WAIT", "create");
    let ended = std::thread::scope(|scope| {
        let running = scope.spawn(move || Ended::of(&command.output().unwrap()));
        workshop.until("it makes a draft", || workshop.calls().iter().any(|call| call == "create"));
        fs::rename(workshop.path(FOLDER), workshop.path("target/earlier")).unwrap();
        fs::rename(&later, workshop.path(FOLDER)).unwrap();
        fs::remove_file(&gate).unwrap();
        running.join().unwrap()
    });
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    ended.says(&["changed since it was verified"]);
    let release = &workshop.state()["releases"][0];
    assert_eq!(release["draft"], true);
    // What both releases have in common may be there.
    let earlier = |asset: &serde_json::Value| {
        let name = asset["name"].as_str().unwrap();
        let uploaded = fs::read(workshop.github().join("assets").join(name)).unwrap();
        uploaded == fs::read(workshop.path("target/earlier").join(name)).unwrap()
    };
    assert!(release["assets"].as_array().unwrap().iter().all(earlier), "{release:#}");
}
