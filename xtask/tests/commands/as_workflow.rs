//! `cargo xtask ci --as-workflow` as its users run it, with a `cargo` and a `sudo` that only write down how they were
//! called.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

struct Tree {
    folder: TempDir,
}

impl Tree {
    fn new() -> Self {
        let tree = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir_all(tree.path("bin")).unwrap();
        fs::create_dir_all(tree.path("tree/target")).unwrap();
        tree.program(
            "cargo",
            "printf 'cargo %s (CI=%s BASE=%s)\\n' \"$*\" \"$CI\" \"${BASE-none}\" >> \"$CALLS\"\n\
             echo rust=true >> \"$GITHUB_OUTPUT\"\n[ ! -e \"$CALLS.fail\" ]\n",
        );
        tree.program(
            "sudo",
            "echo \"sudo $1\" >> \"$CALLS\"\n[ \"$1\" = --preserve-env ] && shift\nexec \"$@\"\n",
        );
        tree
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn program(&self, name: &str, script: &str) {
        let path = self.path("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}")).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap());
        Command::new(env!("CARGO_BIN_EXE_xtask"))
            .args(["ci", "--root"])
            .arg(self.path("tree"))
            .args(arguments)
            .env("PATH", path)
            .env("CALLS", self.path("calls"))
            .env_remove("GITHUB_ACTIONS")
            .env_remove("CI")
            .env_remove("BASE")
            .output()
            .unwrap()
    }

    fn calls(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("calls")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

fn written(workflow: &str) -> String {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    fs::read_to_string(repository.join(".github/workflows").join(workflow)).unwrap()
}

#[test]
fn the_commands_of_a_job_run_as_they_are_written() {
    let tree = Tree::new();
    let output = tree.run(&["--as-workflow", "sources"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let command = "cargo xtask ci --group sources --keep-going --require-all";
    assert_eq!(tree.calls(), [format!("{command} (CI=true BASE=none)")]);
    assert!(written("ci.yml").contains(&format!("run: {command}\n")));
    let table = text(&output.stdout);
    assert!(table.contains("skipped: it is the action actions/checkout, which only GitHub runs"), "{table}");
    assert!(
        table.lines().any(|line| line.starts_with("Run the gates ") && line.contains("passed")),
        "{table}"
    );

    let output = tree.run(&["--as-workflow", "ci/sources", "--json"]);
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["job"], "ci/sources");
    assert_eq!(value["steps"][0]["result"], "left-out");
    assert_eq!(tree.calls().len(), 2);
}

#[test]
fn what_only_github_knows_has_a_stand_in_and_outputs_have_a_file() {
    let tree = Tree::new();
    for _ in 0..2 {
        let output = tree.run(&["--as-workflow", "changes"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        // The file is a new one for each run.
        let outputs = fs::read_to_string(tree.path("tree/.flowship/workflow/outputs")).unwrap();
        assert_eq!(outputs, "rust=true\n");
    }
    let calls = tree.calls();
    assert!(calls[0].contains("--changed-since  --outputs /"), "{calls:?}");
    assert!(calls[0].ends_with("(CI=true BASE=)"), "{calls:?}");
}

#[test]
fn a_failure_ends_the_job_but_for_what_always_runs() {
    let tree = Tree::new();
    fs::write(tree.path("calls.fail"), "").unwrap();
    let output = tree.run(&["--as-workflow", "containers"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let calls = tree.calls();
    assert_eq!(calls.len(), 3, "{calls:?}");
    assert_eq!((calls[0].as_str(), calls[2].as_str()), ("sudo --preserve-env", "sudo chown"));
    let table = text(&output.stdout);
    let row = |name: &str| table.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
    // The engine of a machine that is not thrown away afterwards is somebody's.
    assert!(row("Start an engine").contains("skipped: only GitHub knows MACHINE"), "{table}");
    assert!(row("Run the gates").contains("FAILED"), "{table}");
    assert!(row("Take ownership of the files that root wrote").contains("passed"), "{table}");
    assert!(
        text(&output.stderr).contains("to do: run only this step: sudo --preserve-env"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn a_dry_run_shows_the_commands_and_runs_none() {
    let tree = Tree::new();
    let output = tree.run(&["--as-workflow", "rust", "--dry-run"]);
    assert!(output.status.success());
    let shown = text(&output.stdout);
    for expected in
        ["cargo xtask ci --group rust --keep-going --require-all", "skipped: Check out: it is the action"]
    {
        assert!(shown.contains(expected), "{shown}");
    }
    assert_eq!(tree.calls(), [""; 0]);
    assert!(!tree.path("tree/.flowship/workflow").exists());
}

#[test]
fn a_job_that_is_none_or_runs_nothing_is_refused() {
    let tree = Tree::new();
    for (arguments, expected) in [
        (&["--as-workflow", "rusty"][..], "unknown workflow job rusty; did you mean rust?"),
        (&["--as-workflow", "ci/rst"], "did you mean ci/rust?"),
        (&["--as-workflow", "required"], "no step of ci/required can run here:"),
        (&["--as-workflow", "rust", "format"], "cannot be used with"),
    ] {
        let output = tree.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).contains(expected), "{arguments:?}: {}", text(&output.stderr));
        assert_eq!(tree.calls(), [""; 0]);
    }
}

/// The arguments of each `cargo xtask` that a workflow runs, with `x` for what the environment says.
fn calls_of_workflows() -> Vec<Vec<String>> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let files = fs::read_dir(repository.join(".github/workflows")).unwrap();
    let texts = files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap()).collect::<String>();
    // `${NAME:+--option "$NAME"}` is the option where there is something to give.
    let word = |word: &str| match word.split_once(":+") {
        Some((_, option)) => option.to_owned(),
        None if word.starts_with('$') => "x".to_owned(),
        None => word.to_owned(),
    };
    let called = |call: &str| {
        let call = call.split(" && ").next().unwrap_or(call);
        let words = call.trim_end_matches('"').replace("\\\"", "");
        words.split_whitespace().map(word).collect::<Vec<_>>()
    };
    let runs = texts.lines().filter_map(|line| line.trim().strip_prefix("run: "));
    runs.flat_map(|line| line.split("cargo xtask ").skip(1)).map(called).collect()
}

#[test]
fn workflows_call_only_what_there_is() {
    let calls = calls_of_workflows();
    assert!(
        calls.iter().any(|call| call[0] == "ci") && calls.iter().any(|call| call[0] == "generate"),
        "{calls:?}"
    );
    for call in calls {
        // The command line is read before the tree is looked for.
        let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
            .args(["--root", "/no/such/tree"])
            .args(&call)
            .env("FLOWSHIP_SIGNING_KEY", "x")
            .output()
            .unwrap();
        let shown = text(&output.stderr);
        assert!(shown.starts_with("error: --root /no/such/tree: "), "{call:?}: {shown}");
    }
}
