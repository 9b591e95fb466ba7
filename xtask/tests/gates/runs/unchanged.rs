//! A gate runs again when something that its pass rests on has changed, and only then.

use std::fs;

use tempfile::tempdir;

use super::fixture::{LIB, Tree, WORKFLOW, ci_in, judged};

const GATES: [&str; 3] = ["format", "workflows", "secrets-in-history"];

#[test]
fn only_what_has_changed_is_judged_again() {
    let tree = Tree::new();
    let results = |more: &[&str]| {
        let judged = tree.judge(&[&GATES, more].concat());
        assert_eq!(judged.code, Some(0), "{}", judged.shown);
        judged.results().into_iter().map(|(_, result)| result.to_owned()).collect::<Vec<_>>()
    };
    // In the order of the names: format, secrets-in-history, workflows.
    assert_eq!(results(&[]), ["passed", "passed", "passed"]);
    assert_eq!(results(&[]), ["unchanged", "unchanged", "unchanged"]);
    tree.append(WORKFLOW, "# A comment.\n");
    assert_eq!(results(&[]), ["unchanged", "passed", "passed"]);
    tree.write("xtask/src/other.rs", "//! Untracked, and read all the same.\n");
    assert_eq!(results(&[]), ["passed", "passed", "unchanged"]);
    tree.write("docs/of-no-other-gate.md", "x");
    assert_eq!(results(&[]), ["unchanged", "passed", "unchanged"]);
    tree.commit();
    assert_eq!(results(&[]), ["unchanged", "passed", "unchanged"], "a commit is more history");
    assert_eq!(results(&[]), ["unchanged", "unchanged", "unchanged"]);
    assert_eq!(results(&["--fresh"]), ["passed", "passed", "passed"]);
}

#[test]
fn what_is_unchanged_is_shown_with_the_time_it_took_and_runs_nothing() {
    let tree = Tree::new();
    let first = tree.judge(&["format", "workflows"]);
    let record = tree.record("workflows");
    let output = tree.ci(&["format", "workflows"]).output().unwrap();
    let (table, shown) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(table.contains("gates: 0 passed, 2 unchanged, 0 failed\n"), "{table}");
    assert_eq!(shown, "", "no step was run");
    let again = tree.judge(&["format", "workflows"]);
    for gate in ["format", "workflows"] {
        assert_eq!(again.rows[gate]["duration_ms"], first.rows[gate]["duration_ms"]);
    }
    assert_eq!(tree.record("workflows"), record, "a pass that stands is not a new one");
}

#[test]
fn a_secret_in_the_history_is_found_however_it_gets_there() {
    let tree = Tree::new();
    let secret = format!("token = {:?}\n", format!("ghp_{}", "aB3dE6gH9jK2mN5pQ8sT1vW4xY7zA0cD3fG6"));
    let run = || tree.judge(&["secrets-in-history"]).results()[0].1.to_owned();
    assert_eq!((run(), run()), ("passed".to_owned(), "unchanged".to_owned()));
    // Staged, and gone from the working tree.
    tree.write("a.toml", &secret);
    tree.git(&["add", "a.toml"]);
    fs::remove_file(tree.path("a.toml")).unwrap();
    assert_eq!(run(), "failed");
    tree.git(&["reset", "--quiet"]);
    assert_eq!(run(), "unchanged", "as it was when it passed");
    // Committed, and removed by the next commit: the files are those of before.
    tree.write("a.toml", &secret);
    tree.commit();
    fs::remove_file(tree.path("a.toml")).unwrap();
    tree.commit();
    assert_eq!(run(), "failed");
    // The commits of another branch do not count before they lead to what is checked out.
    tree.git(&["branch", "other"]);
    tree.git(&["reset", "--quiet", "--hard", "HEAD~2"]);
    assert_eq!(run(), "unchanged");
    tree.git(&["merge", "--quiet", "other"]);
    assert_eq!(run(), "failed");
}

#[test]
fn in_ci_every_gate_runs() {
    let tree = Tree::new();
    let gates = ["secrets-in-history", "workflows"];
    let all = |result| gates.map(|gate| (gate, result));
    tree.judge(&gates);
    assert_eq!(tree.judge(&gates).results(), all("unchanged"));
    for (name, value) in [("CI", "true"), ("GITHUB_ACTIONS", "true")] {
        let mut command = tree.ci(&gates);
        command.env(name, value);
        assert_eq!(judged(command).results(), all("passed"), "{name}");
    }
}

#[test]
fn a_variable_that_a_program_heeds_counts_as_changed() {
    let tree = Tree::new();
    tree.judge(&["workflows"]);
    let mut command = tree.ci(&["workflows"]);
    command.env("ZIZMOR_PERSONA", "regular");
    assert_eq!(judged(command).results(), [("workflows", "passed")]);
}

#[test]
fn a_failure_is_no_pass_and_its_repair_is_judged() {
    let tree = Tree::new();
    let good = tree.text(LIB);
    tree.judge(&["format"]);
    tree.write(LIB, &good.replace("    number", " number"));
    assert_eq!(tree.judge(&["format"]).results(), [("format", "failed")]);
    assert_eq!(tree.judge(&["format"]).results(), [("format", "failed")]);
    tree.write(LIB, &good);
    assert_eq!(tree.judge(&["format"]).results(), [("format", "unchanged")], "as it was when it passed");
}

#[test]
fn what_is_changed_while_a_gate_runs_is_judged_again() {
    let tree = Tree::new();
    tree.append(
        LIB,
        "\n#[test]\nfn changes_an_input() {\n    std::fs::write(concat!(env!(\"CARGO_MANIFEST_DIR\"), \
         \"/written\"), \"x\").unwrap();\n}\n",
    );
    assert_eq!(tree.judge(&["tests"]).results(), [("tests", "passed")]);
    assert!(!tree.path(".flowship/evidence/gate/tests.json").exists(), "of which tree would it be?");
    assert_eq!(tree.judge(&["tests"]).results(), [("tests", "passed")]);
    assert_eq!(tree.record("tests")["tests"], 2);
    assert_eq!(tree.judge(&["tests"]).results(), [("tests", "unchanged")]);
}

#[test]
fn a_record_notes_a_dirty_tree_and_is_confirmed_for_the_commit_of_the_same_files() {
    let tree = Tree::new();
    let first = tree.git(&["rev-parse", "HEAD"]).trim().to_owned();
    tree.append(WORKFLOW, "# Not committed.\n");
    tree.judge(&["workflows"]);
    let record = tree.record("workflows");
    assert_eq!((&record["commit"], &record["clean"]), (&first.into(), &false.into()));
    assert_eq!(
        record["negative_control"],
        "xtask/tests/gates/faults.rs::workflows_fails_on_a_finding_of_zizmor"
    );
    assert!(record["tools"]["zizmor"].is_string() && record["started_at"].as_str().unwrap().ends_with('Z'));
    let second = tree.commit();
    assert_eq!(tree.judge(&["workflows"]).results(), [("workflows", "unchanged")]);
    let confirmed = &tree.record("workflows")["confirmed"];
    assert_eq!((&confirmed["commit"], &confirmed["clean"]), (&second.into(), &true.into()));
}

#[test]
fn a_broken_record_is_reported_and_replaced() {
    let tree = Tree::new();
    tree.judge(&["workflows"]);
    tree.write(".flowship/evidence/gate/workflows.json", "{");
    let judged = tree.judge(&["workflows"]);
    assert_eq!(judged.results(), [("workflows", "passed")]);
    assert!(judged.shown.contains("workflows.json: expected the record of a pass"), "{}", judged.shown);
    assert_eq!(tree.judge(&["workflows"]).results(), [("workflows", "unchanged")]);
}

#[test]
fn a_shallow_clone_is_judged_like_any_other() {
    let tree = Tree::new();
    let commit = tree.commit();
    let place = tempdir().unwrap();
    let clone = place.path().join("clone");
    let from = format!("file://{}", tree.folder.path().display());
    tree.git(&["clone", "--quiet", "--depth=1", &from, clone.to_str().unwrap()]);
    let run = || judged(ci_in(&clone, &["format", "workflows"]));
    let first = run();
    assert_eq!(first.results(), [("format", "passed"), ("workflows", "passed")], "{}", first.shown);
    assert_eq!(run().results(), [("format", "unchanged"), ("workflows", "unchanged")]);
    let record = fs::read_to_string(clone.join(".flowship/evidence/gate/format.json")).unwrap();
    assert!(record.contains(&commit) && record.contains("\"clean\": true"), "{record}");
}
