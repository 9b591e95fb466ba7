//! `release plan`, `release prepare` and `release notes`.

use std::collections::BTreeSet;

use serde_json::json;

use super::workshop::{Ended, Workshop};
use crate::namespaces::{Apart, shell};

fn abouts(ended: &Ended) -> BTreeSet<String> {
    let problems = ended.json()["problems"].as_array().unwrap().clone();
    problems.iter().map(|problem| problem["subject"].as_str().unwrap().to_owned()).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn a_first_release_is_prepared_and_then_has_no_problems() {
    let workshop = Workshop::new();
    let planned = workshop.run(&["release", "--json"]);
    assert_eq!((planned.code, abouts(&planned)), (Some(1), set(&["prepared"])));
    let told = workshop.done(&["release", "prepare", "--dry-run"]);
    told.says(&["enter v0.1.0", "write CHANGELOG.md"]);
    assert_eq!(workshop.git(&["status", "--porcelain"]), "", "a dry run changes nothing");

    workshop.done(&["release", "prepare"]);
    assert!(workshop.read("CHANGELOG.md").contains("## [Unreleased]\n\n## [0.1.0] - 20"));
    workshop.commit("Release 0.1.0");
    workshop.push();
    let planned = workshop.done(&["release"]);
    planned.says(&[
        "Flowship 0.1.0: the first release",
        "- The first thing that users get.",
        "v0.1.0 at ",
        "No problems.",
    ]);
    assert_eq!(workshop.git(&["status", "--porcelain"]), "");
    assert_eq!(workshop.state()["releases"], serde_json::json!([]), "it changes nothing");
}

#[test]
fn every_problem_is_reported_at_once() {
    let workshop = Workshop::new();
    workshop.write("CHANGELOG.md", "# Changelog\n\n## Unreleased\n");
    workshop.commit("Empty the changelog");
    workshop.push();
    workshop.git(&["tag", "--annotate", "--message", "x", "v0.2.0", "HEAD"]);
    workshop.git(&["push", "--quiet", "origin", "v0.2.0"]);
    workshop.git(&["switch", "--quiet", "--create", "topic"]);
    let ports = workshop.read("docs/reference/ports.md");
    workshop.write("docs/reference/ports.md", &ports.replacen("5432", "5433", 1));
    workshop.commit("Change a generated file");
    workshop.write("new.txt", "x");
    workshop.ci("completed", Some("failure"));
    let planned = workshop.run(&["release", "plan", "--version", "0.2.0", "--json"]);
    assert_eq!(planned.code, Some(1));
    let expected = ["branch", "changelog", "ci", "generated", "prepared", "pushed", "tag", "tree", "version"];
    assert_eq!(abouts(&planned), set(&expected), "{planned:#?}");
    let shown = workshop.run(&["release", "plan", "--version", "0.2.0"]);
    shown.says(&[
        "9 problems",
        "1 uncommitted: new.txt",
        "the branch is topic, but releases are made from main",
        "origin lacks 1 commit",
        "v0.2.0 exists here at",
        "the check Required of",
        "ended with failure",
        "0.2.0 is not higher than 0.2.0",
        "nothing under Unreleased",
        "docs/reference/ports.md",
    ]);
}

#[test]
fn ci_that_runs_or_that_nobody_knows_is_a_problem() {
    let workshop = Workshop::prepared();
    workshop.ci("in_progress", None);
    workshop.run(&["release"]).says(&["is in progress", "wait for it"]);
    workshop.change_github(|state| state["checks"] = serde_json::json!([]));
    let planned = workshop.run(&["release", "--json"]);
    assert_eq!((planned.code, abouts(&planned)), (Some(1), set(&["ci"])));
    planned.says(&["no checks ran on it"]);
    let output = workshop.command(&["release"]).env_remove("GH_TOKEN").output().unwrap();
    Ended::of(&output).says(&["cannot determine whether CI passed", "GH_TOKEN"]);
}

#[test]
fn without_a_network_everything_else_is_reported() {
    let workshop = Workshop::prepared();
    let output =
        workshop.command(&["release", "--json"]).env("STUB_FAULT", "checks:before:fail").output().unwrap();
    let planned = Ended::of(&output);
    planned.says(&["error connecting to api.github.com"]);
    assert_eq!(abouts(&planned), set(&["ci"]));
    workshop.git(&["remote", "set-url", "origin", "/nowhere/remote.git"]);
    let planned = workshop.run(&["release", "--json"]);
    assert_eq!(abouts(&planned), set(&["pushed"]), "{planned:#?}");
    planned.says(&["origin does not answer", "/nowhere/remote.git"]);
    workshop.git(&["remote", "remove", "origin"]);
    let planned = workshop.run(&["release", "--json"]);
    assert_eq!(abouts(&planned), set(&["pushed", "ci"]), "{planned:#?}");
    planned.says(&["git remote add origin URL"]);
}

#[test]
fn a_host_that_cannot_be_reached_is_named_before_anything_is_done() {
    let workshop = Workshop::packaged();
    workshop.git(&["remote", "set-url", "origin", "https://github.com/o/r.git"]);
    for arguments in [&["release"][..], &["release", "publish"], &["release", "publish", "--execute"]] {
        let mut command = workshop.command(arguments);
        // The stand-in for `gh` needs no network, and must not seem to have one.
        command.env("STUB_FAULT", "checks:before:fail");
        let Some(output) = shell(Apart::Network, "exec \"$@\"", &command) else {
            return eprintln!(
                "this machine allows no network namespaces: nothing is tried without a network"
            );
        };
        let ended = Ended::of(&output);
        assert_eq!(ended.code, Some(1), "{ended:#?}");
        ended.says(&["origin does not answer", "https://github.com/o/r.git", "Could not resolve host"]);
        assert_eq!(
            (workshop.git(&["tag"]), workshop.state()["releases"].clone()),
            (String::new(), json!([]))
        );
    }
}

#[test]
fn commits_tell_the_version_and_their_part_of_the_notes() {
    let workshop = Workshop::prepared();
    workshop.git(&["tag", "--annotate", "--message", "x", "v0.1.0", "HEAD"]);
    workshop.git(&["push", "--quiet", "origin", "v0.1.0"]);
    workshop.commit("One file for each gate");
    let planned = workshop.run(&["release", "--json"]);
    assert_eq!(planned.json()["version"], serde_json::Value::Null);
    planned
        .says(&["none of the 1 commits since then asks for one in the form", "--bump major, minor or patch"]);
    workshop.run(&["release", "--bump", "minor"]).says(&["Flowship 0.2.0: a minor bump, as asked, of 0.1.0"]);

    workshop.commit("fix(edge): close idle connections");
    workshop.commit("docs: explain the edge");
    workshop.run(&["release"]).says(&["Flowship 0.1.1: a patch bump of 0.1.0: 1 docs, 1 fix, 1 other"]);
    workshop.commit("feat!: rename the setting\n\nBREAKING CHANGE: `port` is now `listen`");
    let text = workshop.read("CHANGELOG.md");
    workshop.write(
        "CHANGELOG.md",
        &text.replacen(
            "## [Unreleased]\n",
            "## [Unreleased]\n\n### Fixed\n\n- A fault that no commit tells.\n",
            1,
        ),
    );
    workshop.commit("chore: write the changelog");
    workshop.push();
    let planned = workshop.run(&["release"]);
    planned.says(&[
        "Flowship 0.2.0",
        "One file for each gate",
        "0.2.0 is not prepared: Cargo.toml declares 0.1.0",
    ]);
    let notes = workshop.done(&["release", "notes"]).out;
    let expected = "### Added\n\n- rename the setting\n\n### Changed\n\n- **Breaking:** `port` is now `listen`\n\n### \
                    Fixed\n\n- A fault that no commit tells.\n- **edge:** close idle connections\n";
    assert_eq!(notes, expected);

    workshop.done(&["release", "prepare"]);
    workshop.commit("chore: release 0.2.0");
    workshop.push();
    workshop.done(&["release"]).says(&["Flowship 0.2.0: after 0.1.0, as Cargo.toml declares it"]);
    assert!(workshop.read("Cargo.toml").contains("version = \"0.2.0\""));
    assert!(workshop.read("Cargo.lock").contains("version = \"0.2.0\""));
    assert_eq!(workshop.done(&["release", "notes", "0.2.0"]).out, expected);

    let small = workshop.run(&["release", "prepare", "--version", "0.1.0"]);
    assert_eq!(small.code, Some(2));
    small.says(&["0.1.0 is not higher than 0.1.0"]);
}

#[test]
fn notes_of_releases_without_a_part_come_from_their_commits() {
    let workshop = Workshop::new();
    workshop.write("CHANGELOG.md", "# Changelog\n\n## 0.2.0\n\nWritten by hand.\n");
    for (message, tag) in
        [("feat: a", "v0.1.0"), ("fix: b", "v0.2.0"), ("fix: c", "v0.3.0-rc.1"), ("feat: d", "")]
    {
        workshop.commit(message);
        if !tag.is_empty() {
            workshop.git(&["tag", tag]);
        }
    }
    assert_eq!(workshop.done(&["release", "notes", "0.1.0"]).out, "### Added\n\n- a\n");
    assert_eq!(workshop.done(&["release", "notes", "0.2.0"]).out, "Written by hand.\n");
    assert_eq!(workshop.done(&["release", "notes", "0.3.0-rc.1"]).out, "### Fixed\n\n- c\n");
    let missing = workshop.run(&["release", "notes", "0.9.0"]);
    assert_eq!(missing.code, Some(2));
    missing.says(&["no release 0.9.0", "tagged are 0.3.0-rc.1, 0.2.0, 0.1.0"]);
    let page = workshop.done(&["release", "notes", "--all"]).out;
    let titles: Vec<_> =
        page.lines().filter(|line| line.starts_with("## ")).map(|line| &line[..10]).collect();
    assert_eq!(titles, ["## Unrelea", "## 0.3.0-r", "## 0.2.0 -", "## 0.1.0 -"]);
    assert!(page.contains("Written by hand.") && page.contains("- d\n"), "{page}");
    let page = workshop.done(&["release", "notes", "--all", "--from-commits"]).out;
    assert!(page.contains("### Fixed\n\n- b\n") && !page.contains("by hand"), "{page}");
}

#[test]
fn a_tag_that_others_pushed_is_seen() {
    let workshop = Workshop::prepared();
    workshop.git(&["tag", "v0.3.0"]);
    workshop.git(&["push", "--quiet", "origin", "v0.3.0"]);
    workshop.git(&["tag", "--delete", "v0.3.0"]);
    let planned = workshop.run(&["release", "--json"]);
    assert_eq!(abouts(&planned), set(&["version"]), "{planned:#?}");
    planned.says(&["origin has 0.3.0, which is not fetched", "git fetch --tags origin"]);
}

#[test]
fn a_shallow_clone_is_a_problem() {
    let workshop = Workshop::prepared();
    let clone = workshop.root().with_file_name("shallow");
    let url = format!("file://{}", workshop.root().with_file_name("remote.git").display());
    workshop.git(&["clone", "--quiet", "--depth", "1", &url, clone.to_str().unwrap()]);
    let planned = Ended::of(&workshop.command_in(&clone, &["release", "--json"]).output().unwrap());
    assert_eq!((planned.code, abouts(&planned)), (Some(1), set(&["history"])), "{planned:#?}");
    planned.says(&["git fetch --unshallow --tags origin"]);
}

#[test]
fn wrong_words_are_refused() {
    let workshop = Workshop::new();
    for (arguments, part) in [
        (&["release", "--version", "1.2"][..], "--version: `1.2` is not a version"),
        (&["release", "plan", "--version", "1.2.0", "--bump", "major"], "cannot be used with"),
        (&["release", "notes", "x"], "notes: `x` is not a version"),
    ] {
        let ended = workshop.run(arguments);
        assert_eq!(ended.code, Some(2), "{ended:#?}");
        ended.says(&[part]);
    }
    workshop.write("Cargo.toml", "[workspace]\n");
    let ended = workshop.run(&["release"]);
    assert_eq!(ended.code, Some(2));
    ended.says(&["Cargo.toml: expected `version"]);
}
