//! Nobody gets escape codes who has no terminal: not a pipe, not a log, whatever the caller asks programs for.

use std::fs;

use super::fixture::{LIB, Tree, WORKFLOW, read};

/// What people set so that programs write colours into pipes too.
const COLOURS: [(&str, &str); 5] = [
    ("CARGO_TERM_COLOR", "always"),
    ("CLICOLOR_FORCE", "1"),
    ("COLORTERM", "truecolor"),
    ("FORCE_COLOR", "1"),
    ("TERM", "xterm-256color"),
];

#[test]
fn no_gate_writes_colours_into_pipes_logs_or_reports() {
    let tree = Tree::new();
    let run = |arguments: &[&str]| {
        let mut command = tree.ci(arguments);
        command.args(["--json", "--keep-going", "--fresh"]).envs(COLOURS);
        read(&command.output().unwrap())
    };
    let gates = ["format", "workflows", "clippy", "tests"];
    let good = run(&gates);
    assert_eq!(good.code, Some(0), "the tests are counted all the same: {}", good.shown);
    tree.write(
        LIB,
        &tree.text(LIB).replace("    number", " let x = 1;\n number").replace("twice(2), 4", "twice(2), 5"),
    );
    tree.write(WORKFLOW, &tree.text(WORKFLOW).replace("ubuntu-24.04", "ubuntu-1"));
    let bad = run(&gates);
    let failed = gates.map(|gate| bad.rows[gate]["result"].as_str().unwrap().to_owned());
    assert_eq!(failed, ["failed"; 4], "{}", bad.shown);
    assert!(!good.shown.contains('\u{1b}') && !bad.shown.contains('\u{1b}'), "{}", bad.shown);
    for folder in [".flowship/ci/log", "target/xtask"] {
        for file in fs::read_dir(tree.path(folder)).unwrap().map(|file| file.unwrap().path()) {
            let Ok(text) = fs::read_to_string(&file) else { continue };
            assert!(!text.contains('\u{1b}'), "{}: {text}", file.display());
        }
    }
}
