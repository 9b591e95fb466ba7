//! `cargo xtask ci` as its users run it: each gate fails on the fault that it is there for, and no other gate does.
//!
//! The trees are small, the programs of the gates are the real ones.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

/// All gates but the smoke: that one brings up a platform.
const QUICK: [&str; 7] = ["format", "generated", "flows", "workflows", "clippy", "tests", "node"];

/// Where the gates look for Rust: a crate at the root would be read by none of them.
const LIB: &str = "xtask/src/lib.rs";
const NODE_TEST: &str = "flows/test/planted.test.js";
/// What the planted tests load, below `flows`.
const COVERED: &str = "runtime/problem.js";
const EXTRA_WORKFLOW: &str = ".github/workflows/extra.yml";

const GOOD_LIB: &str = "//! A fixture.\n\n/// Twice the number.\npub fn twice(number: u32) -> u32 {\n    number * 2\n}\n\n\
                        #[test]\nfn doubles() {\n    assert_eq!(twice(2), 4);\n}\n";

/// A tree with a Cargo workspace of one small crate, this repository's flows and all that is generated.
struct Tree {
    folder: TempDir,
}

impl Tree {
    fn new() -> Self {
        let tree = Self { folder: tempfile::tempdir().unwrap() };
        for below in ["ops/environments", "ops/ci", "ops/scripts", "flows"] {
            tree.copy(below);
        }
        fs::remove_dir_all(tree.path("flows/test")).unwrap();
        tree.write(
            "Cargo.toml",
            "[workspace]\nresolver = \"3\"\nmembers = [\"xtask\"]\n\n[profile.dev]\ndebug = false\n",
        );
        tree.write(
            "xtask/Cargo.toml",
            "[package]\nname = \"xtask\"\nversion = \"0.1.0\"\nedition = \"2024\"\n",
        );
        // An input of gates: it must not come into being while they run.
        tree.write("Cargo.lock", "version = 4\n\n[[package]]\nname = \"xtask\"\nversion = \"0.1.0\"\n");
        tree.write(LIB, GOOD_LIB);
        tree.write(NODE_TEST, "require('node:test').test('works', () => {});\n");
        tree.write(
            "flows/test/deeper/second.test.js",
            &format!("require('../../{COVERED}');\nrequire('node:test').test('works too', () => {{}});\n"),
        );
        tree.cover(0);
        fs::create_dir(tree.path(".git")).unwrap();
        let generated = tree.xtask(&["generate"]).output().unwrap();
        assert!(generated.status.success(), "{}", text(&generated.stderr));
        tree
    }

    /// Wants so many percent of the lines of one small file.
    fn cover(&self, percent: u32) {
        let wanted = format!(
            "drop = 2\n[javascript]\nplaces = [\"flows/{COVERED}\"]\noverall = {percent}\neach = 0\n"
        );
        self.write("ops/ci/coverage.toml", &wanted);
        let _ = fs::remove_dir_all(self.path("ops/ci/recorded"));
    }

    fn copy(&self, below: &str) {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let entries = walkdir::WalkDir::new(repository.join(below)).into_iter();
        for entry in entries.filter_entry(|entry| entry.file_name() != "node_modules") {
            let entry = entry.unwrap();
            let to = self.path(entry.path().strip_prefix(repository).unwrap());
            if entry.file_type().is_dir() {
                fs::create_dir_all(to).unwrap();
            } else {
                fs::copy(entry.path(), to).unwrap();
            }
        }
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    fn write(&self, name: &str, text: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), text).unwrap();
    }

    fn change(&self, name: &str, from: &str, to: &str) {
        let text = self.text(name);
        assert!(text.contains(from), "{name} has no {from}");
        self.write(name, &text.replacen(from, to, 1));
    }

    fn change_nodes(&self, name: &str, change: impl FnOnce(&mut Vec<Value>)) {
        let mut nodes: Vec<Value> = serde_json::from_str(&self.text(name)).unwrap();
        change(&mut nodes);
        self.write(name, &serde_json::to_string_pretty(&nodes).unwrap());
    }

    fn xtask(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.args(arguments).arg("--root").arg(self.folder.path());
        quiet(&mut command);
        command
    }

    fn ci(&self, arguments: &[&str]) -> Output {
        self.xtask(&[&["ci"], arguments].concat()).output().unwrap()
    }

    /// Runs these gates, all of them; by gate how it went.
    fn judge(&self, gates: &[&str]) -> Judgement {
        let output = self.ci(&[gates, &["--keep-going", "--json"]].concat());
        let value: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}{}", text(&output.stdout), text(&output.stderr)));
        let rows = value["gates"].as_array().unwrap().clone();
        let rows = rows.into_iter().map(|row| (row["gate"].as_str().unwrap().to_owned(), row)).collect();
        Judgement { code: output.status.code(), rows, shown: text(&output.stderr) }
    }

    /// The fault makes this gate fail and no other; what the gate showed.
    fn only_fails(&self, gate: &str) -> String {
        let judgement = self.judge(&QUICK);
        assert_eq!(judgement.failed(), [gate], "{}", judgement.shown);
        assert_eq!(judgement.passed(), QUICK.len() - 1, "{}", judgement.shown);
        assert_eq!(judgement.code, Some(1));
        let log = judgement.rows[gate]["log"].as_str().unwrap();
        assert!(Path::new(log).is_file(), "{log}");
        assert!(judgement.rows[gate]["error"].is_string());
        judgement.shown
    }
}

struct Judgement {
    code: Option<i32>,
    rows: BTreeMap<String, Value>,
    shown: String,
}

impl Judgement {
    fn failed(&self) -> Vec<&str> {
        self.rows.iter().filter(|(_, row)| row["result"] == "failed").map(|(gate, _)| gate.as_str()).collect()
    }

    fn passed(&self) -> usize {
        self.rows.values().filter(|row| row["result"] == "passed" || row["result"] == "unchanged").count()
    }
}

/// Takes away what the surrounding `cargo test` would hand down to the gates' own cargo and node.
fn quiet(command: &mut Command) {
    for name in [
        "CARGO_TARGET_DIR",
        "CARGO_BUILD_TARGET_DIR",
        "NODE_OPTIONS",
        "NODE_TEST_CONTEXT",
        "GITHUB_ACTIONS",
        "CI",
    ] {
        command.env_remove(name);
    }
    command.env("CARGO_NET_OFFLINE", "true").env("CARGO_INCREMENTAL", "0").stdin(Stdio::null());
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn await_that(what: &str, holds: impl Fn() -> bool) {
    let give_up = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < give_up, "{what}: did not come true");
        sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_good_tree_passes() {
    let tree = Tree::new();
    let output = tree.ci(&QUICK);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let table = text(&output.stdout);
    let lines: Vec<_> = table.lines().collect();
    assert_eq!(lines[0], "GATE         RESULT        TIME  TESTS");
    for (line, gate) in lines[1..].iter().zip(QUICK) {
        let end = match gate {
            "tests" => " s  1 passed",
            "node" => " s  2 passed",
            _ => " s",
        };
        assert!(line.starts_with(&format!("{gate:<12} passed  ")) && line.ends_with(end), "{line}");
    }
    assert!(table.contains("\ngates: 7 passed, 0 failed\n"), "{table}");
    let shown = text(&output.stderr);
    assert!(shown.lines().count() < 26, "a good gate takes a line for each command:\n{shown}");
}

#[test]
fn format_fails_on_an_unformatted_source() {
    let tree = Tree::new();
    tree.change(LIB, "    number * 2", "  number*2");
    let shown = tree.only_fails("format");
    assert!(shown.contains("to do: run `cargo fmt --all`"), "{shown}");
}

#[test]
fn clippy_fails_on_a_lint() {
    let tree = Tree::new();
    tree.change(LIB, "    number * 2", "    let doubled = number * 2;\n    doubled");
    let shown = tree.only_fails("clippy");
    assert!(shown.contains("let_and_return"), "{shown}");
}

#[test]
fn tests_fails_on_a_failing_test() {
    let tree = Tree::new();
    tree.change(LIB, "assert_eq!(twice(2), 4);", "assert_eq!(twice(2), 5);");
    let shown = tree.only_fails("tests");
    assert!(shown.contains("test result: FAILED. 0 passed; 1 failed"), "{shown}");
}

#[test]
fn slow_tests_fails_on_a_failing_slow_test() {
    let tree = Tree::new();
    let test = |body: &str| format!("#[test]\n#[ignore = \"slow\"]\nfn judged() {{ {body} }}\n");
    for suite in ["commands", "gates", "platform", "releases"] {
        tree.write(&format!("xtask/tests/{suite}.rs"), &test(""));
    }
    assert_eq!(tree.judge(&["slow-tests"]).passed(), 1);
    tree.write("xtask/tests/platform.rs", &test("panic!(\"planted\")"));
    let judgement = tree.judge(&["slow-tests"]);
    assert_eq!(judgement.failed(), ["slow-tests"], "{}", judgement.shown);
    assert!(judgement.shown.contains("test judged ... FAILED"), "{}", judgement.shown);
}

#[test]
fn tests_fails_when_there_is_no_test_or_all_are_ignored() {
    let tree = Tree::new();
    tree.write(LIB, GOOD_LIB.split_once("\n#[test]").unwrap().0);
    let shown = tree.only_fails("tests");
    assert!(shown.contains("no test ran: none was found, or all were skipped"), "{shown}");
    tree.write(LIB, &GOOD_LIB.replace("#[test]\n", "#[test]\n#[ignore]\n"));
    assert_eq!(tree.judge(&["tests"]).failed(), ["tests"]);
}

#[test]
fn generated_fails_on_a_stale_file() {
    let tree = Tree::new();
    tree.change("docs/reference/ports.md", "5432", "5433");
    let shown = tree.only_fails("generated");
    for part in
        ["| -| `postgres.sql`", "| hand-edited docs/reference/ports.md", "to do: run `cargo xtask generate`"]
    {
        assert!(shown.contains(part), "{part}\nin\n{shown}");
    }
}

#[test]
fn generated_fails_on_wrong_settings_of_a_site() {
    let tree = Tree::new();
    tree.change("ops/environments/staging.toml", "tier = \"staging\"", "teir = \"staging\"");
    let shown = tree.only_fails("generated");
    assert!(shown.contains("ops/environments/staging.toml:"), "{shown}");
    assert!(shown.contains("tier"), "{shown}");
}

#[test]
fn flows_fails_on_a_dangling_wire() {
    let tree = Tree::new();
    tree.change_nodes("flows/flows.json", |nodes| {
        let wired = nodes.iter_mut().find(|node| node["type"] == "http in").unwrap();
        wired["wires"] = json!([["nowhere"]]);
    });
    let shown = tree.only_fails("flows");
    assert!(shown.contains("nowhere") && shown.contains("flows/flows.json:"), "{shown}");
}

#[test]
fn flows_fails_on_a_workflow_that_no_rule_routes() {
    let tree = Tree::new();
    tree.change_nodes("flows/flows.json", |nodes| {
        nodes.push(
            json!({"id": "my-workflow", "type": "workflow", "name": "Mine", "workflow_id": "mine", "schema": "{}"}),
        );
    });
    let shown = tree.only_fails("flows");
    assert!(shown.contains("[routing] node \"Mine\" (my-workflow): the router \"which tool?\""), "{shown}");
}

/// The engines that will run it say so: V8, Node-RED's JSONata, Ajv.
#[test]
fn flows_fails_on_code_an_expression_or_a_schema_that_does_not_parse() {
    let tree = Tree::new();
    tree.change_nodes("flows/flows.json", |nodes| {
        for node in nodes.iter_mut() {
            match node["type"].as_str() {
                Some("workflow") => node["schema"] = json!("{\"type\": \"objekt\"}"),
                Some("change") if node["rules"][0]["tot"] == "jsonata" => node["rules"][0]["to"] = json!("a.("),
                _ => {}
            }
        }
        nodes.push(json!({
            "id": "broken", "type": "function", "z": "worker", "name": "broken", "outputs": 1, "x": 400, "y": 1200,
            "func": "const a = 1;\nreturn msg.;", "wires": [[]],
        }));
    });
    let shown = tree.only_fails("flows");
    for part in [
        "[schema] node",
        "at \"/type\"",
        "[jsonata] node",
        "(broken)",
        "line 2, column 12: Unexpected token ';'",
    ] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
}

#[test]
fn flows_fails_on_a_finding_of_nrlint() {
    for (file, tab) in [("flows/flows.json", "planted"), ("flows/test-smoke.json", "smoke")] {
        let tree = Tree::new();
        tree.change_nodes(file, |nodes| {
            if tab == "planted" {
                nodes.push(json!({"id": tab, "type": "tab", "label": "Planted", "disabled": false, "info": ""}));
            }
            nodes.push(json!({
                "id": "unused", "type": "function", "z": tab, "name": "unused", "outputs": 1, "x": 400, "y": 1200,
                "func": "const never = 1;\nreturn msg;", "wires": [[]],
            }));
        });
        let judgement = tree.judge(&["flows", "workflows"]);
        assert_eq!(judgement.failed(), ["flows"], "{}", judgement.shown);
        assert!(
            judgement.shown.contains("'never' is assigned a value but never used"),
            "{}",
            judgement.shown
        );
    }
}

/// A workflow in which neither judge finds anything, with these steps.
fn workflow(runner: &str, step: &str) -> String {
    format!(
        "name: Extra\non:\n  workflow_dispatch: {{}}\npermissions: {{}}\nconcurrency:\n  group: extra\n  cancel-in-progress: \
         true\njobs:\n  extra:\n    name: Extra\n    runs-on: {runner}\n    timeout-minutes: 5\n    steps:\n      - name: \
         Do it\n        {step}\n"
    )
}

#[test]
fn workflows_fails_on_a_finding_of_actionlint() {
    let tree = Tree::new();
    tree.write(EXTRA_WORKFLOW, &workflow("ubuntu-24.04", "run: echo ${{ matrix.nothing }}"));
    let shown = tree.only_fails("workflows");
    assert!(
        shown.contains("workflows: actionlint") && shown.contains("\"nothing\" is not defined"),
        "{shown}"
    );
}

#[test]
fn workflows_fails_on_a_finding_of_zizmor() {
    let tree = Tree::new();
    tree.write(EXTRA_WORKFLOW, &workflow("ubuntu-24.04", "run: echo done"));
    let judgement = tree.judge(&["workflows"]);
    assert_eq!(judgement.failed(), [""; 0], "{}", judgement.shown);
    tree.write(EXTRA_WORKFLOW, &workflow("ubuntu-24.04", "uses: actions/setup-python@v6"));
    let shown = tree.only_fails("workflows");
    assert!(shown.contains("✓ workflows: actionlint") && shown.contains("unpinned"), "{shown}");
}

#[test]
fn workflows_fails_when_there_is_no_workflow() {
    let tree = Tree::new();
    fs::remove_dir_all(tree.path(".github")).unwrap();
    assert_eq!(tree.judge(&["workflows"]).failed(), ["workflows"]);
}

#[test]
fn node_fails_on_a_failing_test() {
    let tree = Tree::new();
    tree.write(NODE_TEST, "require('node:test').test('breaks', () => { throw new Error('planted'); });\n");
    let shown = tree.only_fails("node");
    assert!(shown.contains("planted"), "{shown}");
}

/// The remedy of the gate `node` names it.
#[test]
fn one_test_of_flows_is_run_with_the_programs_of_the_gate() {
    let tree = Tree::new();
    let works = "const { existsSync } = require('node:fs');\nrequire('node:test').test('works', () => {\n  for (const name of \
                 ['POSTGRES', 'DBMATE']) if (!existsSync(process.env[`FLOWSHIP_${name}`])) throw new Error(name);\n});\n";
    tree.write("flows/test/flows/works.test.js", works);
    tree.write(
        "flows/test/flows/breaks.test.js",
        "require('node:test').test('x', () => { throw new Error('planted'); });\n",
    );
    let run = |names: &[&str]| tree.xtask(&[&["test", "flows", "--json"], names].concat()).output().unwrap();
    let judged = |names: &[&str]| -> (Option<i32>, Value, Value) {
        let output = run(names);
        let value: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", text(&output.stderr)));
        (output.status.code(), value["passed"].clone(), value["failed"].clone())
    };
    assert_eq!(judged(&["works"]), (Some(0), json!(1), json!(0)));
    assert_eq!(judged(&["works.test.js", "flows/test/planted.test.js"]), (Some(0), json!(2), json!(0)));
    assert_eq!(judged(&[]), (Some(1), json!(1), json!(1)), "all of flows/test/flows");
    let unknown = run(&["work", "../../etc/passwd"]);
    assert_eq!((unknown.status.code(), unknown.stdout.len()), (Some(2), 0));
    let told = text(&unknown.stderr);
    assert!(
        told.contains("one of breaks, works; did you mean works?")
            && told.contains("../../etc/passwd: there is no"),
        "{told}"
    );
    tree.write("flows/test/flows/empty.test.js", "// Nothing yet.\n");
    let empty = run(&["empty"]);
    assert_eq!(empty.status.code(), Some(1));
    assert!(text(&empty.stderr).contains("error: no test in /"), "{}", text(&empty.stderr));
}

#[test]
fn node_fails_when_there_is_no_test_or_a_file_without_one() {
    let tree = Tree::new();
    fs::remove_dir_all(tree.path("flows/test")).unwrap();
    let shown = tree.only_fails("node");
    assert!(shown.contains("no test ran: none was found, or all were skipped"), "{shown}");
    tree.write(NODE_TEST, "require('node:test').test('works', () => {});\n");
    tree.write("flows/test/empty.test.js", "// Nothing yet.\n");
    let judgement = tree.judge(&["node"]);
    assert_eq!(judgement.failed(), ["node"], "{}", judgement.shown);
    assert!(judgement.shown.contains("no test in test/empty.test.js"), "{}", judgement.shown);
}

#[test]
fn node_fails_when_its_tests_run_too_few_lines() {
    let tree = Tree::new();
    tree.cover(99);
    let shown = tree.only_fails("node");
    assert!(shown.contains("overall: ") && shown.contains("the minimum is 99.0 %: add tests"), "{shown}");
    tree.write("flows/test/deeper/second.test.js", "require('node:test').test('works too', () => {});\n");
    let judgement = tree.judge(&["node"]);
    assert_eq!(judgement.failed(), ["node"], "{}", judgement.shown);
    assert!(judgement.shown.contains("the report has no line"), "{}", judgement.shown);
}

/// The attack gets through where nobody looks at who asks.
#[test]
#[ignore = "slow: `cargo xtask ci slow-tests` runs it"]
fn browser_fails_when_the_editor_answers_other_pages() {
    let tree = Tree::new();
    tree.copy("flows/test");
    tree.change(
        "flows/runtime/browser-guard.js",
        "  if (!isLocalName(req",
        "  return null;\n  if (!isLocalName(req",
    );
    let judgement = tree.judge(&["browser"]);
    if judgement.rows["browser"]["result"] == "not-run" {
        eprintln!("not run: no browser");
        return;
    }
    assert_eq!(judgement.failed(), ["browser"], "{}", judgement.shown);
    let log = fs::read_to_string(judgement.rows["browser"]["log"].as_str().unwrap()).unwrap();
    assert!(log.contains("✖ no page of another origin runs a command") && log.contains(",open,"), "{log}");
}

#[test]
fn without_a_browser_its_gate_is_not_run_and_that_is_no_pass() {
    let tree = Tree::new();
    let bin = tree.path("bin");
    fs::create_dir(&bin).unwrap();
    let browsers = ["chromium", "google-chrome", "chromium-browser"];
    for folder in std::env::split_paths(&std::env::var_os("PATH").unwrap()) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if browsers.iter().all(|name| entry.file_name() != *name) {
                let _ = std::os::unix::fs::symlink(entry.path(), bin.join(entry.file_name()));
            }
        }
    }
    for (options, code) in [(&[][..], 0), (&["--require-all"][..], 1)] {
        let mut command = tree.xtask(&[&["ci", "browser"][..], options].concat());
        let output = command.env("PATH", &bin).output().unwrap();
        let shown = text(&output.stderr) + &text(&output.stdout);
        assert_eq!(output.status.code(), Some(code), "{shown}");
        assert!(shown.contains("no browser"), "{shown}");
    }
}

#[test]
fn smoke_fails_when_a_check_is_missing_and_leaves_nothing_running() {
    let tree = Tree::new();
    tree.change_nodes("flows/test-smoke.json", |nodes| {
        nodes.retain(|node| !node["id"].as_str().unwrap().starts_with("smoke-queue"));
    });
    let judgement = tree.judge(&["smoke"]);
    assert_eq!(judgement.failed(), ["smoke"], "{}", judgement.shown);
    assert_eq!(judgement.code, Some(1));
    let log = fs::read_to_string(judgement.rows["smoke"]["log"].as_str().unwrap()).unwrap();
    assert!(log.lines().any(|line| line.starts_with("queue ") && line.contains("FAILED")), "{log}");
    for good in ["database", "llm_provider", "mcp_routing", "end_to_end"] {
        let passed = log.lines().any(|line| line.starts_with(good) && line.contains("passed"));
        assert!(passed, "{good}: {log}");
    }
    assert_eq!(processes_of(&tree), [""; 0]);
}

/// The command lines of processes that name the tree.
fn processes_of(tree: &Tree) -> Vec<String> {
    let name = tree.folder.path().to_str().unwrap();
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines.filter(|line| line.contains(name)).collect()
}

/// The names of all gates.
fn listed(tree: &Tree) -> Vec<String> {
    let listed = text(&tree.ci(&["--list"]).stdout);
    listed.lines().map(|line| line.split_once(' ').unwrap().0.to_owned()).collect()
}

#[test]
fn an_unknown_gate_is_refused_with_the_nearest() {
    let tree = Tree::new();
    let output = tree.ci(&["flow", "zebra", "clippy"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        text(&output.stderr),
        format!(
            "error: unknown gate flow; did you mean flows?\nunknown gate zebra\nthe gates are {}\n",
            listed(&tree).join(", ")
        )
    );
    assert!(!tree.path(".flowship/ci").exists(), "nothing was begun");
}

#[test]
fn the_gates_are_listed_and_their_plan_is_shown() {
    let tree = Tree::new();
    let names = listed(&tree);
    assert!(QUICK.iter().all(|quick| names.iter().any(|name| name == quick)), "{names:?}");
    let json: Value = serde_json::from_slice(&tree.ci(&["--list", "--json"]).stdout).unwrap();
    let ids: Vec<_> = json.as_array().unwrap().iter().map(|gate| gate["id"].as_str().unwrap()).collect();
    assert_eq!(ids, names);

    let dry = tree.ci(&["--dry-run", "tests", "flows"]);
    assert_eq!(dry.status.code(), Some(0));
    let plan = text(&dry.stdout);
    for part in ["cargo test --workspace --no-fail-fast", "check flows", "--config .nrlintrc.js flows.json"] {
        assert!(plan.contains(part), "{part}\nin\n{plan}");
    }
    let plan: Value = serde_json::from_slice(&tree.ci(&["--dry-run", "--json"]).stdout).unwrap();
    assert_eq!(plan["target"], "ci");
    assert!(!tree.path(".flowship").exists(), "a dry run does nothing");
    assert!(!tree.path("flows/node_modules").exists(), "a dry run installs nothing");
}

#[test]
fn the_first_failure_ends_the_run_unless_told_to_keep_going() {
    let tree = Tree::new();
    tree.change("docs/reference/ports.md", "5432", "5433");
    tree.write(EXTRA_WORKFLOW, "on: nothing\n");
    let one_by_one = |more: &[&str]| {
        let output = tree.ci(&[&["generated", "workflows", "--jobs", "1"], more].concat());
        assert_eq!(output.status.code(), Some(1));
        text(&output.stdout)
    };
    let stopped = one_by_one(&[]);
    assert!(stopped.contains("generated    FAILED"), "{stopped}");
    assert!(stopped.contains("workflows    not run: a gate before it failed\n"), "{stopped}");
    let remedy = "a gate before it failed: fix that gate, or use --keep-going\n";
    assert!(stopped.contains(remedy), "{stopped}");
    assert!(stopped.contains("gates: 0 passed, 1 failed, 1 skipped\n"), "{stopped}");
    let kept = one_by_one(&["--keep-going"]);
    assert!(kept.contains("generated    FAILED") && kept.contains("workflows    FAILED"), "{kept}");
}

/// A run of the node gate that hangs, with a child of its own; the process ids below it.
fn hanging(tree: &Tree) -> (Child, Vec<i32>) {
    tree.write(
        NODE_TEST,
        "const { spawn } = require('node:child_process');\nconst fs = require('node:fs');\n\
         require('node:test').test('hangs', async () => {\n  const child = spawn('sleep', ['600']);\n  \
         fs.writeFileSync(process.env.PIDS + '.new', `${process.pid} ${child.pid}`);\n  \
         fs.renameSync(process.env.PIDS + '.new', process.env.PIDS);\n  \
         await new Promise((done) => setTimeout(done, 600000));\n});\n",
    );
    let pids = tree.path("pids");
    let run = tree
        .xtask(&["ci", "node"])
        .env("PIDS", &pids)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    await_that("the hanging test runs", || pids.exists());
    let pids = tree.text("pids").split(' ').map(|pid| pid.parse().unwrap()).collect();
    (run, pids)
}

fn runs(pid: i32) -> bool {
    let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let zombie = state.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z'));
    test_kill_process(Pid::from_raw(pid).unwrap()).is_ok() && !zombie
}

#[test]
fn an_interrupt_leaves_no_process_and_no_lock_and_a_second_run_names_the_first() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let tree = Tree::new();
        let (run, pids) = hanging(&tree);

        let second = tree.ci(&["format"]);
        assert_eq!(second.status.code(), Some(1));
        let told = text(&second.stderr);
        let holder = format!("process {}, `cargo xtask ci node --root ", run.id());
        assert!(told.contains("is held by") && told.contains(&holder), "{told}");
        assert!(pids.iter().all(|pid| runs(*pid)), "the first run is not disturbed");

        kill_process(Pid::from_raw(run.id().cast_signed()).unwrap(), signal).unwrap();
        let output = run.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{:?}", output.status.signal());
        assert!(text(&output.stderr).contains("interrupted"), "{}", text(&output.stderr));
        await_that("no process is left", || pids.iter().all(|pid| !runs(*pid)));
        assert_eq!(tree.ci(&["format"]).status.code(), Some(0), "the lock is free again");
    }
}

#[test]
fn after_a_kill_any_command_ends_what_it_left_and_the_next_run_takes_the_lock_over() {
    let tree = Tree::new();
    let (mut run, pids) = hanging(&tree);
    run.kill().unwrap();
    run.wait().unwrap();
    let other = tree.xtask(&["environment", "list"]).output().unwrap();
    let told = text(&other.stderr);
    assert!(
        told.contains("`cargo xtask ci node") && told.contains("was killed; what it left is gone"),
        "{told}"
    );
    assert!(pids.iter().all(|pid| !runs(*pid)), "what the killed run had started is gone");
    assert!(!tree.path(".flowship/runs").exists());
    let next = tree.ci(&["format"]);
    assert_eq!(next.status.code(), Some(0), "{}", text(&next.stderr));
    assert!(text(&next.stderr).contains("an earlier run was interrupted"), "{}", text(&next.stderr));
}

#[test]
fn it_works_in_a_git_worktree() {
    let tree = Tree::new();
    fs::remove_dir(tree.path(".git")).unwrap();
    tree.write(".gitignore", "target/\n.flowship/\nCargo.lock\nnode_modules\n");
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        git.args([
            "-c",
            "user.name=Fixture",
            "-c",
            "user.email=fixture@example.com",
            "-c",
            "core.hooksPath=/dev/null",
        ]);
        // A surrounding git operation, such as a hook, must not lead this one to another repository.
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
            git.env_remove(name);
        }
        let output = git.args(arguments).current_dir(tree.folder.path()).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
    };
    let place = tempfile::tempdir().unwrap();
    let worktree = place.path().join("worktree");
    git(&["init", "--quiet"]);
    git(&["add", "--all"]);
    git(&["commit", "--quiet", "--message", "Fixture"]);
    git(&["worktree", "add", "--quiet", "--detach", worktree.to_str().unwrap()]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command
        .args(["ci", "format", "generated", "flows", "workflows", "tests"])
        .current_dir(worktree.join("flows"));
    quiet(&mut command);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(worktree.join(".flowship/ci").is_dir() && !tree.path(".flowship").exists());
}

/// What a newcomer sees: the alias of this tree on a small workspace that also has a package `xtask`.
#[test]
fn the_alias_shows_what_cargo_does_and_why_it_waits() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for made in ["src", ".cargo"] {
        fs::create_dir(path(made)).unwrap();
    }
    fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/../.cargo/config.toml"), path(".cargo/config.toml"))
        .unwrap();
    fs::write(path("Cargo.toml"), "[package]\nname = \"xtask\"\nedition = \"2024\"\n[workspace]\n").unwrap();
    fs::write(path("src/main.rs"), "fn main() { println!(\"result\"); }\n").unwrap();
    let script = "fn main() { std::fs::write(\"locked\", \"\").unwrap(); for _ in 0..3000 { \
                      if std::path::Path::new(\"go\").exists() { break; } \
                      std::thread::sleep(std::time::Duration::from_millis(10)); } }";
    fs::write(path("build.rs"), script).unwrap();
    let xtask = || {
        let mut command = Command::new("cargo");
        command
            .arg("xtask")
            .current_dir(folder.path())
            .env_remove("CARGO_TERM_QUIET")
            .env_remove("CARGO_TARGET_DIR");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let first = xtask();
    while !path("locked").exists() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let mut second = xtask();
    let mut waiting = std::io::BufReader::new(second.stderr.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut waiting, &mut line).unwrap();
    assert!(line.contains("Blocking waiting for file lock"), "{line}");
    fs::write(path("go"), "").unwrap();
    for ended in [first.wait_with_output().unwrap(), second.wait_with_output().unwrap()] {
        assert!(ended.status.success(), "{ended:?}");
        assert_eq!(String::from_utf8_lossy(&ended.stdout), "result\n", "results go alone to stdout");
    }
    fs::write(path("build.rs"), "fn main() {}").unwrap();
    let again = String::from_utf8(xtask().wait_with_output().unwrap().stderr).unwrap();
    assert!(again.contains("Compiling xtask"), "{again}");
}

/// A folder of the cache with one program in it, and a list that agrees: what gets past the comparison with what was
/// installed, such as a bad release of the program itself.
fn entry(cache: &Path, like: &Path, file: &str, text: &[u8]) {
    let folder = cache.join("tools").join(like.file_name().unwrap());
    let program = folder.join(file);
    fs::create_dir_all(program.parent().unwrap()).unwrap();
    executable(&program, text);
    let list =
        format!("#mtree\n./{file} type=file mode=0755 size={} sha256digest={}\n", text.len(), sum(text));
    fs::write(folder.join("installed.mtree"), list).unwrap();
}

fn sum(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |sum, byte| format!("{sum}{byte:02x}"))
}

fn executable(path: &Path, text: &[u8]) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// The installed programs of these tests: the folder of each, and the file below it.
fn installed() -> BTreeMap<String, (PathBuf, String)> {
    let tree = Tree::new();
    assert_eq!(tree.ci(&["workflows", "containers"]).status.code(), Some(0));
    let found: Vec<Value> =
        serde_json::from_slice(&tree.xtask(&["doctor", "--json"]).output().unwrap().stdout).unwrap();
    let place = |finding: &Value| {
        let path = PathBuf::from(finding["path"].as_str()?);
        let folder =
            path.ancestors().find(|folder| folder.parent().is_some_and(|shelf| shelf.ends_with("tools")))?;
        let below = path.strip_prefix(folder).ok()?.to_str()?.to_owned();
        Some((finding["program"].as_str()?.to_owned(), (folder.to_owned(), below)))
    };
    found.iter().filter_map(place).collect()
}

/// What finds nothing, says nothing, cannot run, or only seems to find something.
#[test]
fn a_judge_that_does_not_find_a_planted_fault_is_not_believed() {
    let installed = installed();
    let judges = ["actionlint", "zizmor", "hadolint", "docker-compose"];
    let words = "is potentially untrusted unpinned-uses DL3006 services.planted.image must be a string";
    for (kind, text, told) in [
        (
            "agrees with everything",
            "#!/bin/sh\nexit 0\n".to_owned(),
            "exit code 0; its last output was: nothing",
        ),
        (
            "agrees with nothing",
            "#!/bin/sh\nexit 1\n".to_owned(),
            "exit code 1; its last output was: nothing",
        ),
        (
            "prints what it reads",
            "#!/bin/sh\nfor word; do test -f \"$word\" && cat \"$word\"; done\nexit 1\n".to_owned(),
            "exit code 1; its last output was: ",
        ),
        (
            "says it and ends well",
            format!("#!/bin/sh\necho '{words}'\n"),
            "it reported the fault but exited with 0",
        ),
        ("is garbage", "\x7fELF garbage".to_owned(), "Exec format error (os error 8); remove "),
        ("is empty", String::new(), "Exec format error (os error 8); remove "),
    ] {
        let tree = Tree::new();
        let cache = tree.path("cache");
        for name in judges {
            let (folder, file) = &installed[name];
            entry(&cache, folder, file, text.as_bytes());
        }
        let mut command = tree.xtask(&["ci", "workflows", "containers", "--keep-going", "--json"]);
        let output = command.env("FLOWSHIP_CACHE", &cache).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{kind}");
        let value: Value = serde_json::from_slice(&output.stdout).unwrap();
        let errors: String =
            value["gates"].as_array().unwrap().iter().map(|row| row["error"].to_string()).collect();
        for name in judges {
            let named = errors.contains(&format!("{name} did not find the planted fault"))
                || errors.contains(&format!("{name} does not run on this machine"));
            assert!(named, "{kind}: {name}: {errors}");
        }
        assert!(errors.contains(told), "{kind}: {errors}");
        assert!(!tree.path(".flowship/evidence/gate").exists(), "{kind}: nothing was proven");
        assert!(!tree.path(".flowship/ci/planted/workflows-1").exists(), "{kind}");
    }
}

#[test]
fn a_judge_that_was_replaced_in_the_cache_does_not_run() {
    let installed = installed();
    let tree = Tree::new();
    let cache = tree.path("cache");
    let trace = tree.path("it-ran");
    for name in ["actionlint", "zizmor"] {
        let (folder, file) = &installed[name];
        entry(&cache, folder, file, b"#!/bin/sh\nexit 1\n");
        let program = cache.join("tools").join(folder.file_name().unwrap()).join(file);
        executable(&program, format!("#!/bin/sh\ntouch '{}'\n", trace.display()).as_bytes());
    }
    let mut command = tree.xtask(&["ci", "workflows"]);
    // Nothing can be installed either.
    command
        .env("FLOWSHIP_CACHE", &cache)
        .env("PIP_INDEX_URL", "http://127.0.0.1:1/simple")
        .env("PIP_NO_INDEX", "1");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let shown = text(&output.stderr);
    for part in ["actionlint (", "zizmor (", "was changed after the installation: expected 17 bytes, found "]
    {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(!trace.exists() && !shown.contains("✓ workflows"), "{shown}");
}

/// A program on PATH that hands everything on to another.
fn on_path(tree: &Tree, name: &str, before: &str) -> String {
    let real = Command::new("sh").args(["-c", &format!("command -v {name}")]).output().unwrap();
    let folder = tree.path("bin");
    fs::create_dir_all(&folder).unwrap();
    executable(
        &folder.join(name),
        format!("#!/bin/sh\n{before}\nexec {} \"$@\"\n", text(&real.stdout).trim()).as_bytes(),
    );
    format!("{}:{}", folder.display(), std::env::var("PATH").unwrap())
}

#[test]
fn a_program_of_the_user_is_believed_only_when_it_finds_a_planted_fault_and_stays_the_same() {
    for (kind, before, expected) in [
        (
            "does nothing",
            "test \"$1\" = fmt && exit 0",
            Some("cargo did not find the planted fault (\"Diff in \")"),
        ),
        ("changes itself", "echo '#' >> \"$0\"", Some("cargo was replaced while the gate ran: SHA-256 ")),
        ("is a wrapper", "", None),
    ] {
        let tree = Tree::new();
        let path = on_path(&tree, "cargo", before);
        let output = tree.xtask(&["ci", "format", "--json"]).env("PATH", path).output().unwrap();
        assert_eq!(output.status.code(), Some(expected.map_or(0, |_| 1)), "{kind}: {}", text(&output.stderr));
        let value: Value = serde_json::from_slice(&output.stdout).unwrap();
        let error = value["gates"][0]["error"].as_str().unwrap_or_default();
        assert!(error.contains(expected.unwrap_or_default()), "{kind}: {error}");
        let record = fs::read_to_string(tree.path(".flowship/evidence/gate/format.json"));
        assert_eq!(record.is_ok(), expected.is_none(), "{kind}");
        let sum = sum(&fs::read(tree.path("bin/cargo")).unwrap());
        assert!(record.is_err() || record.unwrap().contains(&sum), "{kind}");
    }
}

#[test]
fn the_evidence_names_the_programs_that_ran_by_their_sums() {
    let installed = installed();
    let tree = Tree::new();
    assert_eq!(tree.ci(&["workflows", "flows"]).status.code(), Some(0));
    for (gate, names) in
        [("workflows", &["actionlint", "zizmor"][..]), ("flows", &["node", "nrlint", "xtask"])]
    {
        let record: Value =
            serde_json::from_str(&tree.text(&format!(".flowship/evidence/gate/{gate}.json"))).unwrap();
        let programs = record["programs"].as_object().unwrap();
        assert_eq!(programs.keys().collect::<Vec<_>>(), names);
        for name in names {
            let Some((folder, file)) = installed.get(*name) else { continue };
            assert_eq!(programs[*name], sum(&fs::read(folder.join(file)).unwrap()), "{name}");
        }
    }
}
