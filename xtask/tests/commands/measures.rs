//! `cargo xtask measure` as gates run it: each threshold fails on the fault that it is there for.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

const THRESHOLDS: &str = "drop = 2.0\n\n[rust]\nplaces = [\"xtask/src/*\"]\noverall = 50\neach = 40\n\n[rust.rooms]\n\
                          \"xtask/src/plan\" = 70\n";
const RECORDED: &str = "ops/ci/recorded/coverage.toml";

/// A tree that holds thresholds and a report, and no sources: judging reads nothing else.
struct Tree {
    folder: TempDir,
}

impl Tree {
    fn new(thresholds: &str) -> Self {
        let tree = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir_all(tree.folder.path().join("ops/environments")).unwrap();
        tree.write("ops/ci/coverage.toml", thresholds);
        tree
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A report in which so many of 100 lines of each file ran.
    fn report(&self, files: &[(&str, usize)]) {
        let root = self.folder.path().canonicalize().unwrap();
        let record = |(name, covered): &(&str, usize)| {
            let lines: String =
                (1..=100).map(|line| format!("DA:{line},{}\n", u8::from(line <= *covered))).collect();
            format!("SF:{}\n{lines}end_of_record\n", root.join(name).display())
        };
        self.write("report.lcov", &files.iter().map(record).collect::<String>());
    }

    fn coverage(&self, more: &[&str]) -> Output {
        let report = self.folder.path().join("report.lcov");
        let mut command = xtask();
        command.args(["measure", "coverage", "rust", "--root"]).arg(self.folder.path());
        command.arg("--report").arg(report).args(more).output().unwrap()
    }
}

/// The program, without what a gate that runs this test has it leave.
fn xtask() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.env_remove("FLOWSHIP_OUTPUT");
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// It failed, and said so much.
fn fails(output: &Output, code: i32, told: &[&str]) {
    let shown = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{shown}");
    for part in told {
        assert!(shown.contains(part), "{part}\nin\n{shown}");
    }
}

fn passes(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn what_was_recorded_may_drop_by_two_points_and_not_by_three() {
    let tree = Tree::new(THRESHOLDS);
    tree.report(&[("xtask/src/plan/a.rs", 90), ("xtask/src/site/b.rs", 60)]);
    passes(&tree.coverage(&["--record"]));
    let recorded = fs::read_to_string(tree.folder.path().join(RECORDED)).unwrap();
    assert!(recorded.contains("[rust]\noverall = 75.0\n\"xtask/src/plan\" = 90.0\n"), "{recorded}");

    tree.report(&[("xtask/src/plan/a.rs", 88), ("xtask/src/site/b.rs", 60)]);
    let table = passes(&tree.coverage(&[]));
    assert_eq!(table.lines().next(), Some("ROOM             LINES MEASURED   WANTED RECORDED"));
    assert!(table.contains("xtask/src/plan     100   88.0 %   88.0 %   90.0 %\n"), "{table}");

    tree.report(&[("xtask/src/plan/a.rs", 87), ("xtask/src/site/b.rs", 60)]);
    fails(
        &tree.coverage(&[]),
        1,
        &["xtask/src/plan: 87.0 % of its lines ran, 3.0 points less than the recorded 90.0 %", "--record"],
    );
    passes(&tree.coverage(&["--record"]));
    passes(&tree.coverage(&[]));
}

#[test]
fn what_passes_leaves_its_figure_to_the_gate_and_what_fails_leaves_none() {
    let tree = Tree::new(THRESHOLDS);
    tree.write("output", "");
    let output = tree.folder.path().join("output");
    let measure = || {
        let mut command = xtask();
        command.args(["measure", "coverage", "rust", "--root"]).arg(tree.folder.path());
        command.arg("--report").arg(tree.folder.path().join("report.lcov")).env("FLOWSHIP_OUTPUT", &output);
        command.output().unwrap()
    };
    tree.report(&[("xtask/src/plan/a.rs", 60)]);
    fails(&measure(), 1, &["xtask/src/plan: 60.0 %"]);
    assert_eq!(fs::read_to_string(&output).unwrap(), "");
    tree.report(&[("xtask/src/plan/a.rs", 75)]);
    passes(&measure());
    assert_eq!(fs::read_to_string(&output).unwrap(), "coverage_rust=75.000\n");
}

#[test]
fn the_whole_may_not_drop_either_when_each_room_is_new() {
    let tree = Tree::new(THRESHOLDS);
    tree.write(RECORDED, "[rust]\noverall = 78.0\n");
    tree.report(&[("xtask/src/plan/a.rs", 90), ("xtask/src/site/b.rs", 60)]);
    fails(
        &tree.coverage(&[]),
        1,
        &["overall: 75.0 % of its lines ran, 3.0 points less than the recorded 78.0 %"],
    );
}

#[test]
fn a_room_under_its_threshold_fails_and_is_not_recorded() {
    let tree = Tree::new(THRESHOLDS);
    tree.report(&[("xtask/src/plan/a.rs", 69), ("xtask/src/site/b.rs", 60), ("xtask/src/new/c.rs", 39)]);
    for more in [&["--json"][..], &["--record"]] {
        let output = tree.coverage(more);
        fails(
            &output,
            1,
            &[
                "xtask/src/plan: 69.0 % of its lines ran, the minimum is 70.0 %: add tests",
                "xtask/src/new: 39.0 % of its lines ran, the minimum is 40.0 %",
                "the thresholds stand in ops/ci/coverage.toml",
            ],
        );
        if more == ["--json"] {
            let value: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!((&value["good"], &value["rooms"][0]["measured"]), (&false.into(), &56.0.into()));
        }
    }
    assert!(!tree.folder.path().join(RECORDED).exists());
}

#[test]
fn an_empty_report_fails() {
    let tree = Tree::new(THRESHOLDS);
    fails(&tree.coverage(&[]), 1, &["report.lcov: No such file", "expected an lcov report"]);
    for empty in ["", "TN:\nSF:xtask/src/plan/a.rs\nend_of_record\n"] {
        tree.write("report.lcov", empty);
        fails(&tree.coverage(&[]), 1, &["the report has no lines: no test ran, or nothing was instrumented"]);
        fails(&tree.coverage(&["--record"]), 1, &["the report has no line"]);
    }
    tree.write("report.lcov", "SF:xtask/src/plan/a.rs\nDA:1,1\n");
    fails(&tree.coverage(&[]), 1, &["the record of xtask/src/plan/a.rs has no end; the report is cut off"]);
    tree.report(&[("xtask/src/site/b.rs", 100)]);
    fails(&tree.coverage(&[]), 1, &["xtask/src/plan: has no lines in the report"]);
}

#[test]
fn wrong_thresholds_are_refused_with_their_place() {
    for (from, to, told) in [
        ("overall", "overal", "ops/ci/coverage.toml:5:1: unknown field `overal`; expected one of `places`, "),
        ("= 70", "= 170", "ops/ci/coverage.toml:9:20: 170 is out of range; expected a number from 0 to 100"),
        ("[rust]", "[rust", "ops/ci/coverage.toml:3:6: "),
        ("[rust]", "[javascript]", "ops/ci/coverage.toml"),
    ] {
        let tree = Tree::new(&THRESHOLDS.replacen(from, to, 1));
        tree.report(&[("xtask/src/plan/a.rs", 100)]);
        fails(&tree.coverage(&[]), 2, &[told]);
    }
    let tree = Tree::new(THRESHOLDS);
    fs::remove_file(tree.folder.path().join("ops/ci/coverage.toml")).unwrap();
    fails(
        &tree.coverage(&[]),
        2,
        &["ops/ci/coverage.toml: there is no such file", "expected a TOML file with"],
    );
}

/// A crate of which its test runs half, measured by the real program.
#[test]
fn a_crate_is_measured() {
    let found = Command::new("sh")
        .args(["-c", "command -v llvm-profdata-19 || rustup component list --installed | grep llvm-tools"])
        .output();
    if !found.is_ok_and(|found| found.status.success()) {
        eprintln!("not run: no LLVM tools");
        return;
    }
    let tree = Tree::new(&THRESHOLDS.replace("xtask/src/*", "src").replace("\"xtask/src/plan\"", "\"src\""));
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    tree.write(
        "ops/ci/requirements.txt",
        &fs::read_to_string(repository.join("ops/ci/requirements.txt")).unwrap(),
    );
    tree.write("Cargo.toml", "[package]\nname = \"fixture\"\nversion = \"0.1.0\"\nedition = \"2024\"\n");
    let source = "pub fn run(number: u32) -> u32 {\n    number * 2\n}\n\npub fn never(number: u32) -> u32 {\n    number * 3\n}\n\n\
                  #[test]\nfn doubles() {\n    assert_eq!(run(2), 4);\n}\n";
    tree.write("src/lib.rs", source);
    let measure = || {
        let mut command = xtask();
        // When this test itself is measured, its variables lead to another tree.
        let of_measuring = |name: &str| {
            name.contains("CARGO_LLVM_COV") || name.ends_with("_WRAPPER") || name == "CARGO_TARGET_DIR"
        };
        for (name, _) in std::env::vars().filter(|(name, _)| of_measuring(name)) {
            command.env_remove(name);
        }
        command
            .args(["measure", "coverage", "rust", "--json", "--root"])
            .arg(tree.folder.path())
            .output()
            .unwrap()
    };
    let output = measure();
    fails(&output, 1, &["src: 66.7 % of its lines ran, the minimum is 70.0 %"]);
    tree.write("src/lib.rs", &source.replace("run(2), 4", "run(2) + never(2), 10"));
    passes(&measure());
    tree.write("src/lib.rs", &source.replace("run(2), 4", "run(2), 5"));
    fails(&measure(), 1, &["the tests do not pass under coverage"]);
}

const INSTRUCTIONS: &str = "ops/ci/recorded/instructions.toml";

/// A tree with few flows, so that Valgrind has little to do.
fn tree_with_flows() -> Tree {
    let tree = Tree::new(THRESHOLDS);
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for name in ["ops/ci/requirements.txt", "ops/ci/instructions.toml"] {
        tree.write(name, &fs::read_to_string(repository.join(name)).unwrap());
    }
    let flows = r#"[{"id": "api", "type": "tab", "label": "API"},
        {"id": "in", "type": "http in", "z": "api", "method": "get", "url": "/", "x": 1, "y": 1, "wires": [["answer"]]},
        {"id": "caught", "type": "catch", "z": "api", "scope": null, "x": 1, "y": 1, "wires": [["answer"]]},
        {"id": "answer", "type": "http response", "z": "api", "x": 1, "y": 1, "wires": []}]"#;
    tree.write("flows/flows.json", flows);
    tree.write("flows/test-smoke.json", "[]\n");
    tree.write("flows/catalogue.json", r#"{"http in": {}, "catch": {}, "http response": {}}"#);
    tree
}

fn instructions(tree: &Tree, more: &[&str]) -> Output {
    let mut command = xtask();
    command.args(["measure", "instructions", "flows", "--root"]).arg(tree.folder.path());
    command.args(more).output().unwrap()
}

#[test]
fn ten_percent_more_instructions_fail_and_noise_does_not() {
    if !Command::new("valgrind").arg("--version").output().is_ok_and(|found| found.status.success()) {
        eprintln!("not run: no Valgrind");
        return;
    }
    let tree = tree_with_flows();
    let never = instructions(&tree, &["--json"]);
    fails(&never, 1, &["not comparable: this is rustc ", "recorded is nothing", "--record`"]);
    let value: Value = serde_json::from_slice(&never.stdout).unwrap();
    let (compiler, each) = (value["compiler"].as_str().unwrap(), value["works"][0]["each"].as_f64().unwrap());
    assert!(each > 1.0, "{value}");
    let record = |compiler: &str, work: &str, each: f64| {
        tree.write(INSTRUCTIONS, &format!("[\"{compiler}\"]\n{work} = {each}\n"));
    };

    record(compiler, "flows", each);
    for _ in 0..3 {
        let output = instructions(&tree, &["--json"]);
        let value: Value = serde_json::from_slice(passes(&output).as_bytes()).unwrap();
        let growth = value["works"][0]["growth"].as_f64().unwrap();
        assert!(growth.abs() < 1.0, "noise is well below the limit: {growth} %");
    }
    let slower = instructions(&tree, &["--slower", "10", "--json"]);
    fails(&slower, 1, &["flows: ", "% more than the recorded", "at most 5.0 % are allowed: make it cheaper"]);
    let value: Value = serde_json::from_slice(&slower.stdout).unwrap();
    let growth = value["works"][0]["growth"].as_f64().unwrap();
    assert!((growth - 10.0).abs() < 1.0, "within the noise: {growth} %");

    record(compiler, "why", each);
    fails(
        &instructions(&tree, &[]),
        1,
        &["flows: no figure is recorded: `cargo xtask measure instructions --record`"],
    );
    record("rustc 1.0.0, riscv64, debug", "flows", each);
    fails(
        &instructions(&tree, &[]),
        1,
        &["not comparable: this is ", "recorded is rustc 1.0.0, riscv64, debug: "],
    );
}

#[test]
fn what_cannot_be_counted_is_refused_or_fails() {
    let tree = tree_with_flows();
    let run = |more: &[&str]| {
        let mut command = xtask();
        command.args(["measure", "instructions", "--root"]).arg(tree.folder.path());
        command.args(more).output().unwrap()
    };
    fails(&run(&["flow"]), 2, &["no hot path is called flow", "did you mean flows?"]);
    fails(&run(&["why", "--slower", "10"]), 2, &["--slower 10: why is done in 1 rounds"]);
    for growth in ["0", "10", "-1"] {
        tree.write("ops/ci/instructions.toml", &format!("growth = {growth}\n"));
        let told = format!(
            "ops/ci/instructions.toml:1:10: {growth} is out of range; expected a number above 0 and below 10"
        );
        fails(&run(&["flows"]), 2, &[&told]);
    }
}

#[test]
fn a_share_that_no_launcher_can_have_is_refused() {
    let tree = Tree::new(THRESHOLDS);
    let wrong =
        "[node-red]\nshare = 2\nprocessor-share = 0.6\nrounds = 3\nmilliseconds = 100\nconnections = 1\n";
    tree.write("ops/ci/requests.toml", wrong);
    let output = xtask().args(["measure", "requests", "--root"]).arg(tree.folder.path()).output().unwrap();
    fails(&output, 2, &["ops/ci/requests.toml:2:9: 2 is out of range; expected a number above 0, at most 1"]);
}

#[test]
fn a_launcher_that_takes_more_than_its_share_fails() {
    let tree = Tree::new(THRESHOLDS);
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for below in ["flows", "ops/ci"] {
        let entries = walkdir::WalkDir::new(repository.join(below)).into_iter();
        for entry in entries.filter_entry(|entry| entry.file_name() != "node_modules").map(Result::unwrap) {
            if entry.file_type().is_file() {
                let name = entry.path().strip_prefix(repository).unwrap().to_str().unwrap();
                tree.write(name, &fs::read_to_string(entry.path()).unwrap());
            }
        }
    }
    let measure = |share: &str| {
        tree.write(
            "ops/ci/requests.toml",
            &format!("[node-red]\nshare = {share}\nprocessor-share = {share}\nrounds = 3\nmilliseconds = 200\nconnections = 4\n"),
        );
        let mut command = xtask();
        command.args(["measure", "requests", "--root"]).arg(tree.folder.path()).output().unwrap()
    };
    let shown = passes(&measure("0.001"));
    assert!(shown.contains("share by processor time"), "{shown}");

    let listener = fs::read_to_string(tree.folder.path().join("flows/runtime/flows-listener.js")).unwrap();
    let planted =
        "    account(req, res);\n    for (const end = performance.now() + 5; performance.now() < end;);\n";
    assert!(listener.contains("    account(req, res);\n    if"), "{listener}");
    tree.write("flows/runtime/flows-listener.js", &listener.replacen("    account(req, res);\n", planted, 1));
    fails(
        &measure("0.4"),
        1,
        &[
            "of bare Node-RED's requests per second; the minimum is 0.40",
            "of bare Node-RED's requests per second of processor time",
            "the thresholds stand in ops/ci/requests.toml",
        ],
    );
}
