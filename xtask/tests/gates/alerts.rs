//! `cargo xtask alerts`: promtool finds faults in rules and in tests, and each command of a runbook can be called.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn xtask(root: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.arg("--root").arg(root).args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A tree with the rules of one service, and their tests.
fn tree() -> TempDir {
    let tree = tempfile::tempdir().unwrap();
    let copy = |file: &str| {
        fs::copy(repository().join(file), tree.path().join(file)).unwrap();
    };
    fs::create_dir_all(tree.path().join("ops/environments")).unwrap();
    for folder in ["ops/monitoring/rules", "ops/monitoring/tests"] {
        fs::create_dir_all(tree.path().join(folder)).unwrap();
    }
    for folder in ["ops/ci/tools/otel-collector", "ops/ci/tools/prometheus"] {
        fs::create_dir_all(tree.path().join(folder)).unwrap();
        for file in fs::read_dir(repository().join(folder)).unwrap() {
            copy(&format!("{folder}/{}", file.unwrap().file_name().into_string().unwrap()));
        }
    }
    for file in [
        "ops/ci/requirements.txt",
        "ops/monitoring/otel-collector.yaml",
        "ops/monitoring/rules/alertmanager.yaml",
        "ops/monitoring/rules/recordings.yaml",
        "ops/monitoring/tests/alertmanager.yaml",
    ] {
        copy(file);
    }
    tree
}

#[test]
fn rules_and_tests_with_a_fault_are_found() {
    let tree = tree();
    let rules = tree.path().join("ops/monitoring/rules/alertmanager.yaml");
    let good = fs::read_to_string(&rules).unwrap();
    for command in [["alerts", "check"], ["alerts", "test"]] {
        let output = xtask(tree.path(), &command);
        assert!(output.status.success(), "{output:?}");
    }

    let collector = tree.path().join("ops/monitoring/otel-collector.yaml");
    let configuration = fs::read_to_string(&collector).unwrap();
    for (good, bad, found) in [
        ("start_at:", "strat_at:", "strat_at"),
        ("directory: \"${env:POSITIONS}\"", "directory: \"\"", "directory, metrics and settle must be set"),
        ("exporters:\n        - otlp_http", "exporters:\n        - nobody", "nobody"),
    ] {
        let other = configuration.replace(good, bad);
        assert_ne!(other, configuration, "{good}");
        fs::write(&collector, other).unwrap();
        let output = xtask(tree.path(), &["alerts", "check"]);
        assert_eq!(output.status.code(), Some(1), "{bad}: {output:?}");
        let said = said(&output);
        assert!(said.contains("ops/monitoring/otel-collector.yaml: ") && said.contains(found), "{said}");
    }
    fs::write(&collector, &configuration).unwrap();

    fs::write(&rules, good.replace("[10m]", "[10m")).unwrap();
    let output = xtask(tree.path(), &["alerts", "check"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(said(&output).contains("alertmanager.yaml"), "{}", said(&output));

    // It is a rule, only another one.
    let other = good.replace("[10m])) > 0", "[10m])) > 100");
    assert_ne!(other, good);
    fs::write(&rules, other).unwrap();
    assert!(xtask(tree.path(), &["alerts", "check"]).status.success());
    let output = xtask(tree.path(), &["alerts", "test"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(said(&output).contains("NotificationsFail: just beyond the limit"), "{}", said(&output));

    fs::remove_dir_all(tree.path().join("ops/monitoring/rules")).unwrap();
    let output = xtask(tree.path(), &["alerts", "check"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(
        said(&output).contains("ops/monitoring/rules: ") && said(&output).contains("generate"),
        "{output:?}"
    );
}

#[test]
fn faults_in_a_rule_are_made_and_noticed() {
    let output = xtask(repository(), &["alerts", "test", "--mutants", "ReplicaNotReady", "--json"]);
    assert!(output.status.success(), "{output:?}");
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(found["made"].as_u64().unwrap() >= 7 && found["made"] == found["noticed"], "{found}");
    assert_eq!(found["kinds"]["for"], serde_json::json!([2, 2]));

    let output = xtask(repository(), &["alerts", "test", "ReplicaNotRead"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(said(&output).contains("did you mean ReplicaNotReady?"), "{}", said(&output));
    let output = xtask(repository(), &["alerts", "test", "--mutants=none"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

/// The options come before `--help`, so that one which is not known any more is refused.
#[test]
fn every_command_of_a_runbook_can_be_called() {
    let mut commands = BTreeSet::new();
    for entry in fs::read_dir(repository().join("docs/runbooks")).unwrap() {
        let page = fs::read_to_string(entry.unwrap().path()).unwrap();
        let spans = page.split('`').skip(1).step_by(2);
        commands.extend(spans.filter_map(|span| span.strip_prefix("flowship ")).map(str::to_owned));
    }
    assert!(commands.len() >= 10, "{commands:?}");
    for command in commands {
        let words: Vec<_> = command.split(' ').chain(["--help"]).collect();
        let output = xtask(repository(), &words);
        assert!(output.status.success(), "flowship {command}: {}", said(&output));
    }
}

/// A fault that changed is drilled again before its figures are published.
#[test]
fn the_guide_has_figures_of_every_fault_that_the_drill_causes() {
    let guide = fs::read_to_string(repository().join("docs/monitoring.md")).unwrap();
    let (mut all, mut caused) = (0, 0);
    for entry in fs::read_dir(repository().join("docs/runbooks")).unwrap() {
        let runbook = fs::read_to_string(entry.unwrap().path()).unwrap();
        all += 1;
        let Some((_, fault)) = runbook.split_once("\n`cargo xtask alerts fire ") else { continue };
        caused += 1;
        let (name, fault) = fault.split_once("`: ").unwrap();
        let (fault, _) = fault.split_once(". [The figures]").unwrap();
        let is_row =
            |line: &str| line.starts_with(&format!("| {name} ")) && line.contains(&format!("| {fault} |"));
        assert!(
            name == "Watchdog" || guide.lines().any(is_row),
            "docs/monitoring.md: {name}, {fault}: no figures"
        );
    }
    for row in [
        format!("| alerts | {all} |"),
        format!("promtool | {all} |"),
        format!("causes | {caused} of {all} |"),
    ] {
        assert!(guide.contains(&row), "docs/monitoring.md: expected {row}");
    }
}
