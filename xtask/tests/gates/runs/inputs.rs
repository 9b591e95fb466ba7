//! What a gate declares to read is all that it reads: it passes in a tree that holds nothing else.

use std::fs;
use std::process::Command;

use serde_json::Value;
use tempfile::{TempDir, tempdir};

use super::fixture::{ci_in, judged};

/// The real tree's tracked files at these paths, and the lock that any run begins with.
fn only(paths: &[&str]) -> TempDir {
    let tree = tempdir().unwrap();
    crate::tree::copy(&[&["ops/ci/requirements.txt"], paths].concat(), tree.path());
    // actionlint looks for the repository by it.
    fs::create_dir(tree.path().join(".git")).unwrap();
    tree
}

#[test]
fn a_gate_passes_with_nothing_but_its_declared_inputs() {
    let listed = Command::new(env!("CARGO_BIN_EXE_xtask")).args(["ci", "--list", "--json"]).output().unwrap();
    let gates: Value = serde_json::from_slice(&listed.stdout).unwrap();
    for id in ["format", "generated", "flows", "workflows", "containers"] {
        let gate = gates.as_array().unwrap().iter().find(|gate| gate["id"] == id).unwrap();
        let paths = gate["reads"]["files"].as_array().unwrap_or_else(|| panic!("{id} reads files"));
        let paths: Vec<_> = paths.iter().map(|path| path.as_str().unwrap()).collect();
        let tree = only(&paths);
        let judged = judged(ci_in(tree.path(), &[id]));
        assert_eq!(judged.results(), [(id, "passed")], "{}", judged.shown);
    }
}

#[test]
fn without_an_input_the_same_test_fails() {
    let tree = only(&["xtask", "rustfmt.toml", "rust-toolchain.toml"]);
    assert_eq!(judged(ci_in(tree.path(), &["format"])).results(), [("format", "failed")]);
}
