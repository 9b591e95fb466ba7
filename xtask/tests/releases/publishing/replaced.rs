//! `release package` that puts another release into the folder while `release publish` is at it.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::workshop::{Ended, Workshop};

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

fn manifest(folder: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(folder.join("manifest.json")).unwrap()).unwrap()
}

#[test]
fn what_is_published_is_what_was_verified_with_the_commit_that_was_verified() {
    let workshop = Workshop::packaged();
    let (later, _) = two_releases(&workshop);
    let commit = manifest(&workshop.path(FOLDER))["release"]["commit"].clone();
    let sums = fs::read_to_string(workshop.path(FOLDER).join("SHA256SUMS")).unwrap();
    let gate = workshop.github().join("gate");
    fs::write(&gate, "").unwrap();
    let mut running = workshop.command(&["release", "publish", "--json"]);
    running.env("STUB_WAIT", "checks");
    let ended = std::thread::scope(|scope| {
        let running = scope.spawn(move || Ended::of(&running.output().unwrap()));
        // It has verified, and has not planned yet.
        workshop.until("it asks for the checks", || workshop.calls().iter().any(|call| call == "checks"));
        fs::rename(workshop.path(FOLDER), workshop.path("target/earlier")).unwrap();
        fs::rename(&later, workshop.path(FOLDER)).unwrap();
        fs::remove_file(&gate).unwrap();
        running.join().unwrap()
    });
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let told = ended.json();
    assert_eq!(told["problems"], json!([]));
    let steps = told["plan"]["steps"].as_array().unwrap();
    assert!(steps.len() > 5, "{steps:#?}");
    for step in steps {
        let parameters = &step["action"]["native"]["parameters"];
        let of = parameters.get("commit").or(parameters.get("target_commitish"));
        assert_eq!(of, Some(&commit), "{step}");
        if let Some(sha256) = parameters["sha256"].as_str() {
            assert!(sums.contains(sha256) || parameters["file"].to_string().contains("SHA256SUMS"), "{step}");
        }
    }
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
