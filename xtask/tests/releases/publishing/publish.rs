//! `release publish`: to the end, again, half way and wrong.

use std::fs;

use serde_json::{Value, json};

use super::workshop::{Ended, Workshop};

const PUBLISH: [&str; 3] = ["release", "publish", "--execute"];

/// The calls that change something.
pub fn acts(workshop: &Workshop) -> Vec<String> {
    let acting = |call: &String| {
        ["create", "publish", "discard", "git-push", "git-tag"].contains(&call.as_str())
            || call.starts_with("upload-")
    };
    workshop.calls().into_iter().filter(acting).collect()
}

/// The release is public, once, with exactly its files, and the tag is where it must be.
#[track_caller]
pub fn is_public(workshop: &Workshop) {
    let state = workshop.state();
    let releases = state["releases"].as_array().unwrap();
    assert_eq!(releases.len(), 1, "{state:#}");
    let release = &releases[0];
    assert_eq!((&release["draft"], &release["tag_name"]), (&json!(false), &json!("v0.1.0")));
    assert_eq!((&release["prerelease"], &release["make_latest"]), (&json!(false), &json!("true")));
    assert_eq!(release["name"], "Flowship 0.1.0");
    assert!(release["body"].as_str().unwrap().contains("- The first thing that users get."), "{release:#}");
    let mut assets: Vec<_> =
        release["assets"].as_array().unwrap().iter().map(|asset| asset["name"].as_str().unwrap()).collect();
    assets.sort_unstable();
    let files = workshop.artifacts();
    assert_eq!(assets, files);
    for name in &files {
        let local = fs::read(workshop.path("target/release-artifacts").join(name)).unwrap();
        assert_eq!(fs::read(workshop.github().join("assets").join(name)).unwrap(), local, "{name}");
    }
    let head = workshop.git(&["rev-parse", "HEAD"]);
    assert_eq!(workshop.remote_git(&["rev-parse", "v0.1.0^{commit}"]), head);
    assert_eq!(workshop.remote_git(&["cat-file", "-t", "v0.1.0"]), "tag", "annotated");
}

#[track_caller]
fn nothing_is_public(workshop: &Workshop) {
    let state = workshop.state();
    let public = state["releases"].as_array().unwrap().iter().any(|release| release["draft"] == false);
    assert!(!public, "{state:#}");
}

#[test]
fn a_dry_run_shows_every_step_and_takes_none() {
    let workshop = Workshop::packaged();
    workshop.stand_in("git");
    let ended = workshop.done(&["release", "publish"]);
    ended.says(&[
        "(target publish, 12 steps)",
        "tag v0.1.0",
        "push v0.1.0",
        "upload SHA256SUMS",
        "make v0.1.0 public",
    ]);
    ended.says(&["nothing was done; --execute does it"]);
    assert_eq!(acts(&workshop), [""; 0]);
    assert_eq!(workshop.git(&["tag"]), "");
    let plan = workshop.done(&["release", "publish", "--json"]).json();
    assert_eq!(plan["plan"]["steps"][0]["id"], "tag");
    assert_eq!(plan["problems"], json!([]));
}

#[test]
fn a_release_becomes_public_last_and_a_second_run_changes_nothing() {
    let workshop = Workshop::packaged();
    workshop.stand_in("git");
    let ended = workshop.done(&PUBLISH);
    assert!(ended.out.starts_with("public: https://github.com/o/r/releases/tag/v0.1.0"), "{ended:#?}");
    is_public(&workshop);
    let done = acts(&workshop);
    assert_eq!(done[..3], ["git-tag", "git-push", "create"]);
    assert_eq!(done.len(), 4 + workshop.artifacts().len());
    assert_eq!(done.last().unwrap(), "publish");
    assert!(!format!("{ended:?}").contains("ghp_"), "the token is shown nowhere");
    for entry in walkdir::WalkDir::new(workshop.path(".flowship")) {
        let entry = entry.unwrap();
        let text = fs::read(entry.path()).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&text).contains("ghp_"), "{}", entry.path().display());
    }
    workshop.done(&PUBLISH).says(&["public: "]);
    assert_eq!(acts(&workshop), done, "the second run has only asked");
    is_public(&workshop);
}

#[test]
fn on_github_a_runner_without_a_name_tags_as_the_bot() {
    let workshop = Workshop::packaged();
    let mut command = workshop.command(&PUBLISH);
    for name in ["GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL", "EMAIL"] {
        command.env_remove(name);
    }
    let ended = Ended::of(&command.env("GITHUB_ACTIONS", "true").output().unwrap());
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    let tagger = workshop.remote_git(&["for-each-ref", "refs/tags", "--format=%(taggername)"]);
    assert_eq!(tagger, "github-actions[bot]");
    is_public(&workshop);
}

#[test]
fn all_problems_are_reported_at_once_and_nothing_is_done() {
    let workshop = Workshop::packaged();
    workshop.stand_in("git");
    workshop.ci("completed", Some("failure"));
    workshop.git(&["tag", "v0.2.0"]);
    let bundle = workshop.artifacts().into_iter().find(|name| name.ends_with("bundle.tar.gz")).unwrap();
    workshop.write(&format!("target/release-artifacts/{bundle}"), "changed");
    let ended = workshop.run(&PUBLISH);
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    ended.says(&[&bundle, "the check Required of", "0.1.0 is not higher than 0.2.0", "nothing was done"]);
    assert_eq!(acts(&workshop), [""; 0]);
}

#[test]
fn what_is_not_proven_is_reported_and_not_published() {
    let workshop = Workshop::packaged();
    let shown = workshop.done(&["release", "publish"]);
    assert!(shown.errors.contains("1 passed on this commit; NOT PROVEN: gate "), "{shown:#?}");
    fs::remove_dir_all(workshop.path(".flowship/evidence")).unwrap();
    workshop.package_again(&["--images", "none"]);
    let ended = workshop.run(&PUBLISH);
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    ended.says(&[
        "evidence.json has no records",
        "cargo xtask ci",
        "release package again",
        "nothing was done",
    ]);
    nothing_is_public(&workshop);
}

#[test]
fn what_cannot_be_begun_is_refused() {
    let workshop = Workshop::packaged();
    let output = workshop.command(&PUBLISH).env_remove("GH_TOKEN").output().unwrap();
    let ended = Ended::of(&output);
    assert_ne!(ended.code, Some(0));
    ended.says(&["GH_TOKEN"]);
    let help = workshop.done(&["release", "publish", "--help"]).out;
    let help: Vec<_> = help.split_whitespace().collect();
    assert!(
        help.join(" ").contains("contents: write and checks: read, and with --registry also packages: write")
    );
    fs::remove_dir_all(workshop.path("target/release-artifacts")).unwrap();
    let ended = workshop.run(&PUBLISH);
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    ended.says(&["target/release-artifacts: No such file", "release package"]);
    nothing_is_public(&workshop);
}

#[test]
fn how_the_user_has_git_call_ssh_is_kept() {
    let workshop = Workshop::packaged();
    workshop.git(&["remote", "set-url", "origin", "ssh://git@code.invalid/o/r.git"]);
    let called = workshop.root().with_file_name("called");
    workshop.git(&["config", "core.sshCommand", &format!("touch {} && false", called.display())]);
    let output =
        workshop.command(&PUBLISH).env_remove("GIT_SSH_COMMAND").env_remove("GIT_SSH").output().unwrap();
    let ended = Ended::of(&output);
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    ended.says(&["origin does not answer"]);
    assert!(called.exists(), "{ended:#?}");
}

#[test]
fn what_is_not_signed_by_the_trusted_key_is_not_published() {
    let workshop = Workshop::packaged();
    let other = {
        let other = Workshop::prepared();
        other.package();
        other
    };
    let signature = "target/release-artifacts/SHA256SUMS.minisig";
    fs::copy(other.path(signature), workshop.path(signature)).unwrap();
    let ended = workshop.run(&PUBLISH);
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    ended.says(&["it is not what the owner of a trusted key signed", "nothing was done"]);
    fs::remove_file(workshop.path(signature)).unwrap();
    let ended = workshop.run(&PUBLISH);
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    ended.says(&["the release is not signed", "nothing was done"]);
    let output = workshop.command(&PUBLISH).env_remove("FLOWSHIP_PUBLIC_KEY").output().unwrap();
    let ended = Ended::of(&output);
    assert_eq!(ended.code, Some(2), "{ended:#?}");
    ended.says(&["no public key: this program has none built in"]);
    nothing_is_public(&workshop);
}

#[test]
fn a_tag_that_moved_is_never_followed() {
    // Before it is begun, here and there.
    let workshop = Workshop::packaged();
    workshop.git(&["tag", "v0.1.0", "HEAD~1"]);
    let ended = workshop.run(&PUBLISH);
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    ended.says(&["v0.1.0 exists here at", "git tag --delete v0.1.0"]);
    workshop.git(&["push", "--quiet", "origin", "v0.1.0"]);
    workshop.git(&["tag", "--delete", "v0.1.0"]);
    let ended = workshop.run(&PUBLISH);
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    ended.says(&["v0.1.0 exists at the remote at", "never moved"]);

    // Under way: somebody pushes another tag of that name between the question and the push, or moves it later.
    for (moment, kept) in [("git-push", 0), ("publish", 1)] {
        let workshop = Workshop::packaged();
        workshop.stand_in("git");
        let output = workshop.command(&PUBLISH).env("STUB_MOVE", moment).output().unwrap();
        let ended = Ended::of(&output);
        if moment.starts_with("publish") {
            // Moved when all is checked: the release is public, of the files that were verified; the next run tells.
            assert_eq!(ended.code, Some(0), "{ended:#?}");
        } else {
            assert_eq!(ended.code, Some(1), "{ended:#?}");
            ended.says(&["the tag v0.1.0 moved: at the remote it is at", "never moved"]);
            nothing_is_public(&workshop);
        }
        assert_eq!(workshop.state()["releases"].as_array().unwrap().len(), kept);
        let ended = workshop.run(&PUBLISH);
        assert_eq!(ended.code, Some(1), "{ended:#?}");
        ended.says(&["v0.1.0 exists", "at the remote at"]);
    }
}

#[test]
fn files_of_another_release_are_never_replaced_and_half_files_are() {
    let workshop = Workshop::packaged();
    let draft = |assets: Value| {
        json!([{ "id": 55, "tag_name": "v0.1.0", "draft": true, "name": "Flowship 0.1.0", "prerelease": false,
                 "body": "- The first thing that users get.", "assets": assets }])
    };
    let asset = |state: &str, size: u64| json!([{ "id": 1, "name": "SHA256SUMS", "state": state, "size": size, "digest": null }]);
    workshop.change_github(|state| state["releases"] = draft(asset("uploaded", 3)));
    let ended = workshop.run(&PUBLISH);
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    ended.says(&[
        "the release has another SHA256SUMS: of 3 bytes",
        "gh release delete-asset v0.1.0 SHA256SUMS",
    ]);
    ended.says(&["not public at origin", "done: tag v0.1.0, push v0.1.0", "run the same command again"]);
    nothing_is_public(&workshop);
    workshop.change_github(|state| state["releases"] = draft(asset("starter", 3)));
    workshop.done(&PUBLISH);
    is_public(&workshop);
}

#[test]
fn a_draft_of_an_earlier_attempt_becomes_public_with_what_this_release_says() {
    let workshop = Workshop::packaged();
    let draft = json!({ "id": 55, "tag_name": "v0.1.0", "draft": true, "name": "Old", "prerelease": true,
                        "body": "What was wrong.", "assets": [] });
    workshop.change_github(|state| state["releases"] = json!([draft]));
    workshop.done(&PUBLISH);
    is_public(&workshop);
    assert!(!workshop.state()["releases"][0]["body"].as_str().unwrap().contains("What was wrong."));
}

#[test]
fn a_host_without_digests_is_asked_for_the_bytes() {
    let workshop = Workshop::packaged();
    let output = workshop.command(&PUBLISH).env("STUB_NO_DIGEST", "1").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{:#?}", Ended::of(&output));
    assert!(workshop.calls().iter().any(|call| call == "download-SHA256SUMS"), "{:?}", workshop.calls());
    is_public(&workshop);
    let sums = workshop.github().join("assets/SHA256SUMS");
    let text = fs::read_to_string(&sums).unwrap();
    fs::write(&sums, text.replacen(&text[..1], "x", 1)).unwrap();
    let ended = workshop.run(&PUBLISH);
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    ended.says(&["the release has another SHA256SUMS: SHA-256"]);
}

#[test]
fn what_is_public_is_not_changed() {
    let workshop = Workshop::packaged();
    workshop.done(&PUBLISH);
    workshop.change_github(|state| {
        let assets = state["releases"][0]["assets"].as_array_mut().unwrap();
        assets.retain(|asset| asset["name"] != "SHA256SUMS");
    });
    let ended = workshop.run(&PUBLISH);
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    ended.says(&["v0.1.0 is public and lacks SHA256SUMS; a public release is not changed"]);
}

#[test]
fn files_that_are_not_part_of_it_and_second_releases_stop_it() {
    let workshop = Workshop::packaged();
    let draft = |id: u64, assets: Value| json!({ "id": id, "tag_name": "v0.1.0", "draft": true, "name": "x", "prerelease": false, "body": "", "assets": assets });
    let extra = json!([{ "id": 1, "name": "extra.zip", "state": "uploaded", "size": 3, "digest": null }]);
    workshop.change_github(|state| state["releases"] = json!([draft(55, extra)]));
    let ended = workshop.run(&PUBLISH);
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    ended.says(&["the release has files that are not part of it: extra.zip"]);
    workshop.change_github(|state| state["releases"] = json!([draft(55, json!([])), draft(56, json!([]))]));
    let ended = workshop.run(&PUBLISH);
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    ended.says(&["v0.1.0 has 2 releases; expected one"]);
    nothing_is_public(&workshop);
}
