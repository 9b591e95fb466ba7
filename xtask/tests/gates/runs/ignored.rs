//! Tests that are left out are counted, shown and recorded, and there may be no more of them than was decided.

use super::fixture::{LIB, Tree};

const LIMITS: &str = "ops/ci/ignored-tests.toml";

/// Two tests that run, and so many that are ignored.
fn with_ignored(tree: &Tree, count: usize) {
    let ignored =
        (0..count).map(|number| format!("\n#[test]\n#[ignore = \"x\"]\nfn ignored_{number}() {{}}\n"));
    tree.write("xtask/tests/more.rs", &format!("#[test]\nfn runs() {{}}\n{}", ignored.collect::<String>()));
}

#[test]
fn ignored_tests_are_shown_and_recorded_and_more_than_allowed_fail() {
    let tree = Tree::new();
    with_ignored(&tree, 2);
    let judged = tree.judge(&["tests"]);
    assert_eq!(judged.results(), [("tests", "failed")]);
    let expected =
        "2 tests were ignored, and ops/ci/ignored-tests.toml allows tests 0: run them, or raise `most`";
    assert!(judged.error("tests").starts_with(expected), "{}", judged.error("tests"));

    tree.write(LIMITS, "[tests]\nmost = 2\nwhy = \"They need a moon.\"\n");
    let judged = tree.judge(&["tests"]);
    assert_eq!(judged.results(), [("tests", "passed")], "{}", judged.shown);
    let row = &judged.rows["tests"];
    assert_eq!((&row["tests"], &row["ignored"]), (&2.into(), &2.into()));
    let record = tree.record("tests");
    assert_eq!((&record["tests"], &record["ignored"]), (&2.into(), &2.into()));
    let table = |arguments: &[&str]| String::from_utf8(tree.ci(arguments).output().unwrap().stdout).unwrap();
    let unchanged = table(&["tests"]);
    assert!(
        unchanged.contains("tests        unchanged") && unchanged.contains("  2 passed, 2 ignored\n"),
        "{unchanged}"
    );

    with_ignored(&tree, 1);
    let table = table(&["tests"]);
    assert!(table.contains("  2 passed, 1 ignored\n"), "{table}");
    let expected =
        "\ntests: ops/ci/ignored-tests.toml allows 2 ignored tests, but there are only 1: lower `most`\n";
    assert!(table.contains(expected), "{table}");
}

#[test]
fn a_test_program_that_runs_nothing_fails_beside_others_that_do() {
    let tree = Tree::new();
    tree.write("xtask/tests/empty.rs", "//! Nothing yet.\n");
    let judged = tree.judge(&["tests"]);
    assert_eq!(judged.results(), [("tests", "failed")]);
    assert!(judged.error("tests").starts_with("no test in tests/empty.rs"), "{}", judged.error("tests"));
    assert!(tree.text(LIB).contains("fn doubles()"), "the crate's own test has passed");
}
