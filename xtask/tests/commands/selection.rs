//! `cargo xtask ci --list`: which gates, and which jobs of a workflow, a change concerns.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn ci(root: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(["ci", "--root"]).arg(root).args(arguments).output().unwrap()
}

fn git(root: &Path, arguments: &[&str]) {
    let output = Command::new("git")
        .current_dir(root)
        .args(["-c", "user.name=x", "-c", "user.email=x@localhost", "-c", "commit.gpgsign=false"])
        .args(["-c", "init.defaultBranch=main"])
        .args(arguments)
        .env_remove("GIT_DIR")
        .env_remove("GIT_INDEX_FILE")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
}

fn write(root: &Path, name: &str, text: &str) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// A repository with a branch that has this file besides what `main` has, which has gone on.
fn branch(changed: &str) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "README.md", "x\n");
    git(root.path(), &["init", "--quiet"]);
    git(root.path(), &["add", "."]);
    git(root.path(), &["commit", "--quiet", "--message", "x"]);
    git(root.path(), &["checkout", "--quiet", "-b", "topic"]);
    write(root.path(), changed, "y\n");
    git(root.path(), &["add", "."]);
    git(root.path(), &["commit", "--quiet", "--message", "y"]);
    git(root.path(), &["checkout", "--quiet", "main"]);
    write(root.path(), "xtask/of-others.rs", "z\n");
    git(root.path(), &["add", "."]);
    git(root.path(), &["commit", "--quiet", "--message", "z"]);
    git(root.path(), &["checkout", "--quiet", "topic"]);
    root
}

/// What the groups' jobs are told: the names of those that have to judge, and all names.
fn selected(root: &Path, since: &str) -> (Vec<String>, Vec<String>, String) {
    let outputs = tempfile::tempdir().unwrap();
    let file = outputs.path().join("outputs");
    fs::write(&file, "before=1\n").unwrap();
    let output = ci(root, &["--list", "--changed-since", since, "--outputs", file.to_str().unwrap()]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let written = fs::read_to_string(&file).unwrap();
    let lines = written.strip_prefix("before=1\n").expect("it is appended").lines();
    let pairs: Vec<_> = lines.map(|line| line.split_once('=').unwrap()).collect();
    assert!(pairs.iter().all(|(_, value)| ["true", "false"].contains(value)), "{written}");
    let wanted = pairs.iter().filter(|(_, value)| *value == "true").map(|(name, _)| (*name).to_owned());
    let all = pairs.iter().map(|(name, _)| (*name).to_owned()).collect();
    (wanted.collect(), all, text(&output.stderr).to_owned())
}

#[test]
fn only_groups_that_read_what_a_branch_changed_are_selected() {
    let root = branch("docs/page.md");
    let (wanted, all, _) = selected(root.path(), "main");
    let gates: Value = serde_json::from_slice(&ci(root.path(), &["--list", "--json"]).stdout).unwrap();
    let reads_docs = |gate: &&Value| {
        gate["reads"].get("files").is_none_or(|files| files.as_array().unwrap().contains(&"docs".into()))
    };
    for group in &all {
        let mut gates = gates.as_array().unwrap().iter().filter(|gate| gate["group"] == group.as_str());
        let expected = gates.any(|gate| reads_docs(&gate));
        assert_eq!(wanted.contains(group), expected, "{group}: {wanted:?} of {all:?}");
    }
    assert!(!wanted.is_empty() && wanted.len() < all.len(), "{wanted:?} of {all:?}");
    let gates = ci(root.path(), &["--list", "--json", "--changed-since", "main"]);
    let gates: Value = serde_json::from_slice(&gates.stdout).unwrap();
    let ids: Vec<_> = gates.as_array().unwrap().iter().map(|gate| gate["id"].as_str().unwrap()).collect();
    assert!(ids.contains(&"generated") && !ids.contains(&"format"), "{ids:?}");

    // What is not committed counts too.
    write(root.path(), "flows/new.json", "{}");
    let (wanted, ..) = selected(root.path(), "main");
    assert!(wanted.iter().any(|name| name == "node"), "{wanted:?}");
}

#[test]
fn a_changed_tool_or_gate_selects_all() {
    let root = branch("ops/ci/requirements.txt");
    let (wanted, all, _) = selected(root.path(), "main");
    assert_eq!(wanted, all);
}

#[test]
fn everything_runs_if_the_change_is_unknown() {
    let root = branch("docs/page.md");
    let shallow = tempfile::tempdir().unwrap();
    let from = format!("file://{}", root.path().display());
    git(shallow.path(), &["clone", "--quiet", "--depth=1", &from, "clone"]);
    let nowhere = tempfile::tempdir().unwrap();
    for (root, since, reason) in [
        (root.path(), "", "nothing to compare with"),
        (root.path(), "nosuch", "cannot determine what has changed since nosuch"),
        (&shallow.path().join("clone"), "origin/main", "cannot determine what has changed"),
        (nowhere.path(), "main", "cannot determine what has changed"),
    ] {
        let (wanted, all, shown) = selected(root, since);
        assert_eq!(wanted, all, "{since}");
        assert!(shown.contains(reason) && shown.contains("everything counts as changed"), "{shown}");
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let root = branch("docs/page.md");
    for (arguments, expected) in [
        (&["--list", "--changed-since=--help"][..], "expected a commit, a branch or a tag"),
        (&["--list", "--changed-since", "main", "--outputs", "/no/such/file"], "--outputs /no/such/file"),
        (&["--changed-since", "main"], "--list"),
        (&["--group", "surces"], "unknown group surces; did you mean sources?"),
        (&["--list", "--group", "zebra"], "unknown group zebra\nthe groups are sources, "),
    ] {
        let output = ci(root.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).contains(expected), "{arguments:?}: {}", text(&output.stderr));
    }
    let listed = ci(root.path(), &["--list", "--group", "rust"]);
    let listed = text(&listed.stdout);
    assert!(listed.contains("clippy ") && !listed.contains("format "), "{listed}");
}

#[test]
fn the_list_has_two_columns_however_long_the_names_are() {
    let root = branch("docs/page.md");
    let gates: Value = serde_json::from_slice(&ci(root.path(), &["--list", "--json"]).stdout).unwrap();
    let output = ci(root.path(), &["--list"]);
    let lines: Vec<_> = text(&output.stdout).lines().collect();
    let gates = gates.as_array().unwrap();
    assert_eq!(lines.len(), gates.len());
    let longest = gates.iter().map(|gate| gate["id"].as_str().unwrap().len()).max().unwrap();
    for (line, gate) in lines.iter().zip(gates) {
        let (id, checks) = (gate["id"].as_str().unwrap(), gate["checks"].as_str().unwrap());
        assert_eq!(*line, format!("{id:<longest$}  {checks}"));
    }
}
