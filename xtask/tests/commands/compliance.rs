//! `cargo xtask check compliance` as its users run it: every row passes its good fixture and fails its bad one, with
//! just the findings that are expected. A row that never failed proves nothing.
//!
//! `compliance/ROW/` holds the trees `pass` and `fail`, and `expected`: the findings in `fail`, one a line.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// When the fixtures are judged: 2026-11-24T12:00:00Z.
const AT: &str = "--at=1795521600";

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compliance")
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn check(root: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(["check", "compliance"]).args(arguments).arg("--root").arg(root).output().unwrap()
}

/// The rows as JSON, and the exit code.
fn judged(root: &Path, arguments: &[&str]) -> (Vec<Value>, Option<i32>) {
    let output = check(root, &[arguments, &["--json", AT]].concat());
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    (report["rows"].as_array().unwrap().clone(), output.status.code())
}

fn ids() -> Vec<String> {
    let empty = tempfile::tempdir().unwrap();
    let (rows, _) = judged(empty.path(), &[]);
    rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

/// `FILE:LINE: WHAT` of each finding.
fn findings(row: &Value) -> Vec<String> {
    let shown = |finding: &Value| {
        assert!(!finding["remedy"].as_str().unwrap().is_empty(), "{finding}");
        format!(
            "{}:{}: {}",
            finding["file"].as_str().unwrap(),
            finding["line"],
            finding["seen"].as_str().unwrap()
        )
    };
    row["findings"].as_array().into_iter().flatten().map(shown).collect()
}

#[test]
fn every_row_passes_its_good_fixture_and_fails_its_bad_one() {
    let ids = ids();
    assert!(ids.len() >= 45, "{ids:?}");
    for id in &ids {
        let folder = fixtures().join(id);
        for part in ["pass", "fail", "expected"] {
            assert!(folder.join(part).exists(), "{} has no {part}", folder.display());
        }
        let (rows, code) = judged(&folder.join("pass"), &[id]);
        assert_eq!((rows[0]["result"].as_str(), code), (Some("passed"), Some(0)), "{id}: {:#}", rows[0]);
        assert!(rows[0]["seen"].as_u64().unwrap() > 0, "{id} has looked at nothing");
        let (rows, code) = judged(&folder.join("fail"), &[id]);
        assert_eq!((rows[0]["result"].as_str(), code), (Some("failed"), Some(1)), "{id}: {:#}", rows[0]);
        let expected = fs::read_to_string(folder.join("expected")).unwrap();
        assert!(!expected.is_empty(), "{id} expects nothing");
        assert_eq!(findings(&rows[0]).join("\n"), expected.trim_end(), "{id}");
    }
    let folders: BTreeSet<String> = fs::read_dir(fixtures())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(folders, ids.into_iter().collect(), "a fixture without a row");
}

#[test]
fn what_does_not_exist_is_not_applicable_and_never_passes() {
    let empty = tempfile::tempdir().unwrap();
    let (rows, code) = judged(empty.path(), &[]);
    // Nobody is told how to report: that nothing is there is the fault.
    assert_eq!(code, Some(1));
    for row in rows {
        let (id, result) = (row["id"].as_str().unwrap(), row["result"].as_str().unwrap());
        if id == "S1" {
            assert_eq!(result, "failed");
        } else {
            assert_eq!(result, "not-applicable", "{id}");
            assert!(row["reason"].as_str().unwrap().starts_with("no "), "{row}");
        }
    }
}

#[test]
fn every_row_is_in_the_reference_and_its_gates_exist() {
    let page = fs::read_to_string(repository().join("docs/reference/compliance.md")).unwrap();
    let gates = fs::read_to_string(repository().join("docs/reference/gates.md")).unwrap();
    for id in ids() {
        let line = page.lines().find(|line| line.starts_with(&format!("| `{id}` |")));
        let line = line.unwrap_or_else(|| panic!("{id} is not in docs/reference/compliance.md"));
        let named = line.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        for gate in named.split(", ") {
            assert!(gates.contains(&format!("| {gate} |")), "{id}: {gate} is no gate");
        }
    }
}

#[test]
fn the_text_shows_where_what_and_how_many() {
    let output = check(&fixtures().join("C6/fail"), &["C6", "c9"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("C9   passed          seccomp is not switched off (2 checked)"), "{text}");
    assert_eq!(
        lines[1], "C6   FAILED          every root file system is read-only",
        "what matters comes last"
    );
    let place = "       ops/docker/compose.yaml:3: web can change its own programs; give it read_only: true";
    assert!(lines[2].starts_with(place), "{text}");
    assert_eq!(lines[4], "2 rows: 1 passed, 1 failed, 0 not applicable");
}

#[test]
fn an_unknown_row_is_refused_with_the_nearest() {
    let empty = tempfile::tempdir().unwrap();
    let output = check(empty.path(), &["C99", "D1"]);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.starts_with("error: unknown row C99; did you mean C9?\nthe rows are D1, D2, "), "{text}");
    assert!(output.stdout.is_empty());
}

/// A tree that the whole gate accepts, and a file in it.
fn gate(file: &str, text: &str) -> Output {
    let root = tempfile::tempdir().unwrap();
    for name in ["Cargo.toml", "SECURITY.md", "LICENSE-MIT", "LICENSE-APACHE"] {
        fs::copy(fixtures().join("S1/pass").join(name), root.path().join(name)).unwrap();
    }
    // The runner reads which programs are pinned.
    let locked = "ops/ci/requirements.txt";
    fs::create_dir_all(root.path().join("ops/ci")).unwrap();
    fs::copy(repository().join(locked), root.path().join(locked)).unwrap();
    let path = root.path().join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(["ci", "compliance"]).arg("--root").arg(root.path()).output().unwrap()
}

#[test]
fn the_gate_fails_on_a_planted_fault() {
    let good = format!(
        "FROM node:24@sha256:{} AS base\nRUN find / -perm /6000 -exec chmod a-s {{}} +\nUSER 1:1\nHEALTHCHECK CMD [\"true\"]\n",
        "0".repeat(64)
    );
    let output = gate("ops/docker/prod/Dockerfile", &good);
    let shown = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{shown}");
    let output = gate("ops/docker/prod/Dockerfile", &good.replace("USER 1:1", "USER root"));
    let shown = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{shown}");
    assert!(shown.contains("ops/docker/prod/Dockerfile:3: the user of base is root"), "{shown}");
}

#[test]
fn findings_are_left_for_those_who_show_them_beside_the_code() {
    let root = tempfile::tempdir().unwrap();
    assert_eq!(check(root.path(), &["S1"]).status.code(), Some(1));
    assert!(!root.path().join("target").exists(), "a single row leaves nothing");
    assert_eq!(check(root.path(), &[]).status.code(), Some(1));
    let file = root.path().join("target/xtask/sarif/compliance.sarif");
    let log: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    let result = &log["runs"][0]["results"][0];
    assert_eq!((&result["ruleId"], &result["level"]), (&"S1".into(), &"error".into()));
    let place = &result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
    assert!(["LICENSE", "SECURITY.md"].contains(&place.as_str().unwrap()), "{log}");
}

/// Another checkout in the tree, and what git ignores, is judged where it belongs.
#[test]
fn only_what_this_checkout_holds_is_judged() {
    const BAD: &str = "FROM node\n";
    let root = tempfile::tempdir().unwrap();
    let git = |folder: &Path, arguments: &[&str]| {
        let mut git = Command::new("git");
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
            git.env_remove(name);
        }
        assert!(git.args(arguments).current_dir(folder).status().unwrap().success(), "{arguments:?}");
    };
    let write = |path: &str, text: &str| {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let seen = || {
        let (rows, _) = judged(root.path(), &["D2"]);
        findings(&rows[0])
            .into_iter()
            .map(|line| line.split(':').next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    write("nested/Dockerfile", BAD);
    write("excluded/Dockerfile", BAD);
    write("ignored/Dockerfile", BAD);
    write("own/Dockerfile", BAD);
    git(&root.path().join("nested"), &["init", "--quiet"]);
    assert_eq!(seen(), ["excluded/Dockerfile", "ignored/Dockerfile", "own/Dockerfile"], "without git");
    git(root.path(), &["init", "--quiet"]);
    write(".gitignore", "/ignored/\n");
    write(".git/info/exclude", "/excluded/\n");
    assert_eq!(seen(), ["own/Dockerfile"]);
}

/// What cannot be looked at is never taken for what is not there.
#[test]
fn something_else_in_the_place_of_a_judged_file_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name);
    std::os::unix::fs::symlink("/dev/zero", path("compose.yaml")).unwrap();
    assert!(Command::new("mkfifo").arg(path("Dockerfile")).status().unwrap().success());
    fs::File::create(path("main.tf")).unwrap().set_len(1 << 40).unwrap();
    // Nothing that is found by its name.
    std::os::unix::fs::symlink("/dev/zero", path("README.md")).unwrap();
    let output = check(root.path(), &["D1"]);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    let shown = |name: &str, what: &str| {
        assert!(text.contains(&format!("{} is {what}", path(name).display())), "{what}\nin\n{text}");
    };
    shown("compose.yaml", "a symbolic link to /dev/zero");
    shown("Dockerfile", "a FIFO");
    shown("main.tf", "too large; the limit is ");
    assert_eq!(text.lines().count(), 3, "{text}");
}

/// Aliases that stand for 10^30 parts, and what is nested 100,000 levels deep, in every format that rows read.
#[test]
fn a_file_that_expands_to_more_than_fits_is_a_finding() {
    let laughs: String = (1..30)
        .map(|at| format!("l{at}: &l{at} [{}]\n", vec![format!("*l{}", at - 1); 10].join(", ")))
        .fold("services: {}\nl0: &l0 x\n".to_owned(), |all, line| all + &line);
    let deep = |open: &str| open.repeat(100_000);
    let files = [
        ("C2", "compose.yaml", laughs.clone()),
        ("C2", "compose.yaml", deep("[")),
        ("C2", "compose.yaml", deep("- ")),
        ("C2", "compose.yaml", deep("{a: ")),
        ("G1", ".github/workflows/ci.yml", laughs),
        ("T1", "ops/terraform/main.tf", format!("a = {}", deep("["))),
        ("T1", "ops/terraform/main.tf", format!("a = {}", deep("("))),
        ("T1", "ops/terraform/main.tf", format!("a = {}1", deep("!"))),
        ("T1", "ops/terraform/main.tf", deep("a {\n")),
        ("T1", "ops/terraform/main.tf", format!("a = \"{}", deep("${\""))),
        ("D1", "Dockerfile", format!("FROM {}\n", deep("${a:-"))),
        ("D2", "Dockerfile", format!("FROM {}\n", deep("x"))),
        (
            "C2",
            "compose.yaml",
            format!("services: {{ {}: {{ image: a, privileged: true }} }}\n", "x".repeat(1000)),
        ),
        ("G1", ".github/workflows/ci.yml", format!("jobs: {{ a: {{ uses: {} }} }}\n", deep("x"))),
        ("C7", "compose.yaml", format!("services: {{ a: {{ ports: [\"{}\"] }} }}\n", deep("${a:-"))),
    ];
    for (row, file, text) in files {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, &text).unwrap();
        let mut bounded = Command::new("sh");
        bounded.args(["-c", "ulimit -v 2000000; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_xtask")]);
        let output = bounded.args(["check", "compliance", row, "--root"]).arg(root.path()).output().unwrap();
        let shown = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        let start = &text[..text.len().min(30)];
        assert_eq!(output.status.code(), Some(1), "{file} {start}: {shown}");
        assert!(shown.contains(&format!("{file}:")), "{file} {start}: {shown}");
        assert!(shown.len() < 2000, "{file} {start}: {} bytes", shown.len());
    }
}
