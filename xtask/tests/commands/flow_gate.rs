//! `cargo xtask check flows` as its users run it.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

const FLOWS: &str = r#"[
    {"id": "api", "type": "tab", "label": "API"},
    {"id": "in", "type": "http in", "z": "api", "name": "GET /", "method": "get", "url": "/", "x": 1, "y": 1, "wires": [["work"]]},
    {"id": "work", "type": "sql-query", "z": "api", "database": "db", "x": 1, "y": 1, "wires": [["answer"]]},
    {"id": "db", "type": "flowship-postgres"},
    {"id": "caught", "type": "catch", "z": "api", "scope": null, "x": 1, "y": 1, "wires": [["answer"]]},
    {"id": "answer", "type": "http response", "z": "api", "x": 1, "y": 1, "wires": []}
]
"#;

const EDITOR: &str = "RED.nodes.registerType('sql-query', {\n  defaults: {\n    \
                      database: { value: '', type: 'flowship-postgres', required: true },\n  },\n});\n";

fn tree(flows: &str) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("flows/flows.json", flows);
    write("flows/test-smoke.json", "[]\n");
    write("flows/nodes/sql-query.html", EDITOR);
    let types = ["http in", "sql-query", "flowship-postgres", "catch", "http response"];
    let catalogue: serde_json::Map<_, _> =
        types.iter().map(|name| ((*name).to_owned(), serde_json::json!({}))).collect();
    write("flows/catalogue.json", &serde_json::to_string(&catalogue).unwrap());
    root
}

fn check(root: &Path, arguments: &[&str]) -> Output {
    let arguments = [&["check", "flows"], arguments].concat();
    Command::new(env!("CARGO_BIN_EXE_xtask")).arg("--root").arg(root).args(arguments).output().unwrap()
}

#[test]
fn good_flows_pass() {
    let root = tree(FLOWS);
    let output = check(root.path(), &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.stdout, b"no problems in the flows\n");
}

#[test]
fn each_planted_fault_ends_with_1_and_names_file_line_and_node() {
    let unanswered = (
        "\"db\", \"x\": 1, \"y\": 1, \"wires\": [[\"answer\"]]",
        "\"db\", \"x\": 1, \"y\": 1, \"wires\": [[]]",
    );
    for (from, to, expected) in [
        (
            "[[\"work\"]]",
            "[[\"wrok\"]]",
            "flows/flows.json:3: [wire] node \"GET /\" (in) on \"API\": output 1 is wired to wrok",
        ),
        ("\"catch\"", "\"cacth\"", "flows/flows.json:6: [unknown-type] node \"cacth\" (caught) on \"API\": "),
        (
            "\"database\": \"db\"",
            "\"database\": \"dc\"",
            "flows/flows.json:4: [config-reference] node \"sql-query\" (work)",
        ),
        ("\"wires\": []}\n]\n", "", "flows/flows.json:7: [json] the file ends too early"),
        (unanswered.0, unanswered.1, "flows/flows.json:3: [no-response] node \"GET /\" (in)"),
        ("\"scope\": null", "\"scope\": []", "flows/flows.json:3: [no-catch] node \"GET /\" (in)"),
    ] {
        assert!(FLOWS.contains(from), "{from}");
        let root = tree(&FLOWS.replacen(from, to, 1));
        let output = check(root.path(), &[]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(1), "{to}\n{text}");
        assert!(text.contains(expected), "{expected}\n{text}");
    }
}

#[test]
fn two_migrations_with_the_same_version_are_a_finding() {
    let root = tree(FLOWS);
    let write = |path: &str| {
        let path = root.path().join("flows/migrations").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "-- migrate:up\n").unwrap();
    };
    write("20270101000001_add.sql");
    write("contract/20270201000001_drop.sql");
    assert!(check(root.path(), &[]).status.success());
    write("contract/20270101000001_drop.sql");
    let output = check(root.path(), &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    let expected = "flows/migrations/contract/20270101000001_drop.sql:1: [migration] \
                    flows/migrations/20270101000001_add.sql has the version 20270101000001 too";
    assert!(
        text.starts_with(expected) && text.contains("give the newer of the two another number"),
        "{text}"
    );
}

#[test]
fn json_has_the_same_findings() {
    let root = tree(&FLOWS.replacen("\"x\": 1, ", "", 1));
    let output = check(root.path(), &["--json"]);
    assert_eq!(output.status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let finding = &report["findings"][0];
    assert_eq!(finding["rule"], "position");
    assert!(finding["subject"].as_str().unwrap().contains("(in)"), "{finding}");
    assert_eq!(finding["line"], 3);
}

/// The switch has no "otherwise".
const WARNED: (&str, &str) =
    ("\"type\": \"sql-query\"", "\"type\": \"switch\", \"rules\": [{\"t\": \"true\"}]");

#[test]
fn a_warning_is_shown_and_refuses_nothing() {
    let root = tree(&FLOWS.replacen(WARNED.0, WARNED.1, 1));
    let catalogue =
        r#"{"http in": {}, "switch": {}, "flowship-postgres": {}, "catch": {}, "http response": {}}"#;
    fs::write(root.path().join("flows/catalogue.json"), catalogue).unwrap();
    let output = check(root.path(), &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(
        text.starts_with("flows/flows.json:4: warning: [may-end] node \"switch\" (work) on \"API\": "),
        "{text}"
    );
    assert!(text.ends_with("\nno problems in the flows\n"), "{text}");
    assert_eq!(output.stderr, b"1 warning in the flows\n");

    let output = check(root.path(), &["--json"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), report["findings"][0]["level"].as_str()), (Some(0), Some("warning")));
    let sarif = fs::read_to_string(root.path().join("target/xtask/sarif/flows.sarif")).unwrap();
    let sarif: serde_json::Value = serde_json::from_str(&sarif).unwrap();
    assert_eq!(sarif["runs"][0]["results"][0]["level"], "warning");

    let output = judge_here(
        root.path(),
        &["--root", ".", "check", "flows", "--stdin"],
        &fs::read(root.path().join("flows/flows.json")).unwrap(),
    );
    assert_eq!(output.status.code(), Some(0), "a Deploy is not refused");
}

/// Runs the program in a folder with this on its standard input.
fn judge_here(folder: &Path, arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may have refused without reading.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

#[test]
fn flows_of_anybody_are_judged_where_there_is_no_tree() {
    let folder = tempfile::tempdir().unwrap();
    let here = |arguments: &[&str], input: &str| {
        let output = judge_here(folder.path(), &[&["check", "flows"], arguments].concat(), input.as_bytes());
        let told = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8(told).unwrap())
    };
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let good =
        FLOWS.replacen(WARNED.0, "\"type\": \"function\"", 1).replace("flowship-postgres", "tls-config");
    write("good.json", &good);
    write("bad.json", &good.replacen("[[\"work\"]]", "[[\"wrok\"]]", 1));
    write("unknown.json", FLOWS);
    write(
        "types.json",
        r#"{"http in": {}, "sql-query": {}, "flowship-postgres": {}, "catch": {}, "http response": {}}"#,
    );

    assert_eq!(here(&["good.json"], ""), (0, "no problems in the flows\n".to_owned()));
    assert_eq!(here(&["-"], &good), (0, "no problems in the flows\n".to_owned()));
    let (code, told) = here(&["good.json", "bad.json"], "");
    assert_eq!(code, 1, "{told}");
    assert!(
        told.starts_with("bad.json:3: [wire] node \"GET /\" (in)")
            && told.ends_with("\n2 faults in the flows\n"),
        "{told}"
    );
    let (code, told) = here(&["-"], "[1]");
    assert!(code == 1 && told.starts_with("-:1: [shape] element 0 is not a node"), "{code} {told}");
    let (code, told) = here(&["unknown.json"], "");
    assert!(code == 0 && told.contains("warning: [unknown-type] node \"sql-query\" (work)"), "{code} {told}");
    assert_eq!(
        here(&["unknown.json", "--catalogue", "types.json"], ""),
        (0, "no problems in the flows\n".to_owned())
    );
    assert!(
        !folder.path().join(".flowship").exists() && !folder.path().join("target").exists(),
        "nothing is left"
    );

    let (code, told) = here(&["bad.json", "--json"], "");
    let json: serde_json::Value = serde_json::from_str(told.split("2 faults").next().unwrap()).unwrap();
    assert_eq!((code, json["findings"][0]["file"].as_str()), (1, Some("bad.json")));
    let (code, told) = here(&[], "");
    assert!(code == 2 && told.contains("no Flowship tree here"), "{code} {told}");
}

#[test]
fn what_is_no_flow_file_is_refused_and_hangs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("good.json"), "[]").unwrap();
    fs::write(path("latin.json"), b"[\"\xe9\"]").unwrap();
    std::os::unix::fs::symlink("good.json", path("link.json")).unwrap();
    assert!(Command::new("mkfifo").arg(path("pipe.json")).status().unwrap().success());
    fs::File::create(path("huge.json")).unwrap().set_len(1 << 40).unwrap();
    let names = ["gone.json", "latin.json", "link.json", "pipe.json", "huge.json", "."];
    let output = judge_here(folder.path(), &[&["check", "flows", "good.json"][..], &names].concat(), b"");
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{told}");
    for name in names {
        assert!(
            told.contains(&format!("{name}: ")) || told.contains(&format!("{name} is ")),
            "{name}\n{told}"
        );
    }
    let output = judge_here(folder.path(), &["check", "flows", "good.json", "--catalogue", "gone.json"], b"");
    assert_eq!(output.status.code(), Some(2));
    let output = judge_here(folder.path(), &["check", "flows", "--stdin", "good.json"], b"");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_credential_file_is_refused() {
    let root = tree(FLOWS);
    fs::write(root.path().join("flows/flows_cred.json"), "{}").unwrap();
    let output = check(root.path(), &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("flows/flows_cred.json:1: [secret]"));
}

#[test]
fn missing_files_are_all_named() {
    let root = tree(FLOWS);
    fs::remove_file(root.path().join("flows/flows.json")).unwrap();
    fs::remove_file(root.path().join("flows/catalogue.json")).unwrap();
    let output = check(root.path(), &[]);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("flows/flows.json: ") && text.contains("flows/catalogue.json: "), "{text}");
}

/// The checkout that this is built from.
fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

const BROKEN: &str = r#"[
    {"id": "tab", "type": "tab", "label": "Tab"},
    {"id": "f", "type": "function", "z": "tab", "name": "f", "func": "if (a) {\n  return (;\n}", "x": 1, "y": 1, "wires": [[]]},
    {"id": "c", "type": "change", "z": "tab", "rules": [{"t": "set", "p": "a", "pt": "msg", "to": "a.(\n b", "tot": "jsonata"}],
     "x": 1, "y": 1, "wires": [[]]}
]"#;

#[test]
fn code_is_judged_by_the_engines_that_run_it() {
    let output = check(checkout(), &[]);
    let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{told}");

    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("theirs.json"), BROKEN).unwrap();
    let root = checkout().to_str().unwrap();
    let output = judge_here(folder.path(), &["--root", root, "check", "flows", "theirs.json"], b"");
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    for line in [
        "theirs.json:3: [code] node \"f\" (f) on \"Tab\": its func does not parse as the code of a function at line 2, column 11: \
         Unexpected token ';'; ",
        "theirs.json:4: [jsonata] node \"change\" (c) on \"Tab\": its rules[0].to is not a JSONata expression at line \
         2, column 3: ",
    ] {
        assert!(told.lines().any(|told| told.starts_with(line)), "{line}\n{told}");
    }

    let output = judge_here(folder.path(), &["check", "flows", "theirs.json"], b"");
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{told}");
    let start = "theirs.json:1: warning: [not-judged] whether 2 texts parse is not judged (function code, JSONata and \
                 the like): this needs Node.js and the npm packages of a Flowship checkout";
    assert!(told.starts_with(start), "{told}");
}

/// A judge that is missing, breaks, or finds nothing is no judgement.
#[test]
fn code_that_nobody_judges_fails() {
    // Node.js and the packages are there afterwards.
    assert!(check(checkout(), &[]).status.success());
    let with_code =
        FLOWS.replacen(WARNED.0, "\"type\": \"sql-query\", \"aType\": \"jsonata\", \"a\": \"b\"", 1);
    let root = tree(&with_code);
    let judged = || {
        let output = check(root.path(), &[]);
        let told = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(1), "{told}");
        let start = "flows/flows.json:1: [not-judged] whether 1 text parses is not judged (function code, JSONata and the like): ";
        assert!(told.starts_with(start), "{told}");
        told
    };
    let missing = judged();
    assert!(missing.contains("of a Flowship checkout"), "{missing}");

    for file in ["ops/ci/requirements.txt", "flows/package.json", "flows/package-lock.json"] {
        let path = root.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::copy(checkout().join(file), path).unwrap();
    }
    fs::create_dir(root.path().join("flows/runtime")).unwrap();
    for (script, expected) in [
        ("process.stdout.write('[]')", "does not find the fault in a.("),
        ("throw new Error('planted')", "Error: planted"),
        ("process.stdout.write('x')", "code-judge.js answers"),
    ] {
        fs::write(root.path().join("flows/runtime/code-judge.js"), script).unwrap();
        let told = judged();
        assert!(told.contains(expected), "{expected}\n{told}");
    }

    // A release was judged before it was packaged.
    fs::write(root.path().join("release.json"), "{}").unwrap();
    let output = check(root.path(), &[]);
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(told.starts_with("flows/flows.json:1: warning: [not-judged] "), "{told}");
}

/// Names, types and texts of a megabyte, and nesting without end.
#[test]
fn what_is_huge_is_named_and_not_printed() {
    let long = "x".repeat(1 << 20);
    let node = |fields: &str| FLOWS.replace("\n]\n", &format!(",\n    {{{fields}}}\n]\n"));
    let cases = [
        node(&format!("\"id\": \"{long}\", \"type\": \"unknown\"")),
        node(&format!("\"id\": \"a\", \"type\": \"{long}\", \"z\": \"api\", \"x\": 1, \"y\": 1")),
        node(&format!("\"id\": \"a\", \"type\": \"unknown\", \"z\": \"{long}\", \"x\": 1, \"y\": 1")),
        node(&format!("\"id\": \"a\", \"type\": \"unknown\", \"name\": \"{long}\", \"z\": \"api\"")),
        node(&format!("\"id\": \"a\", \"type\": \"sql-query\", \"z\": \"api\", \"database\": \"{long}\"")),
        format!("[{{\"id\": {long}}}]"),
        "[".repeat(100_000),
        format!("[{}", "{\"a\": ".repeat(100_000)),
    ];
    for flows in cases {
        let output = check(tree(&flows).path(), &[]);
        let shown = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        let start = &flows[flows.len().saturating_sub(120)..];
        assert_eq!(output.status.code(), Some(1), "{start}: {}", &shown[..shown.len().min(300)]);
        assert!(shown.starts_with("flows/flows.json:"), "{}", &shown[..shown.len().min(300)]);
        let longest = shown.lines().map(str::len).max().unwrap_or(0);
        assert!(longest < 4500, "{start}: {longest} bytes in a line");
    }
}

/// What flows/test/flows/guide.test.js runs in Node-RED.
#[test]
fn what_the_guide_adds_to_the_flows_is_good() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let page = fs::read_to_string(repository.join("docs/workflows.md")).unwrap();
    let mut blocks = page.split("```json\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let mut block = || serde_json::from_str::<serde_json::Value>(blocks.next().unwrap()).unwrap();
    let (tab, link, to_router) = (block(), block(), block());
    let text = fs::read_to_string(repository.join("flows/flows.json")).unwrap();
    let mut flows: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    if flows.iter().any(|node| node["id"] == tab[0]["id"]) {
        // Somebody has followed it: the gate `flows` judges what they have.
        return;
    }
    let judge = |flows: &[serde_json::Value]| {
        let output =
            judge_here(repository, &["check", "flows", "--stdin"], &serde_json::to_vec(flows).unwrap());
        String::from_utf8(output.stdout).unwrap()
    };

    flows.extend([tab, link].iter().flat_map(|nodes| nodes.as_array().unwrap()).cloned());
    let router = flows.iter_mut().find(|node| node["id"] == "worker-route").unwrap();
    for field in ["rules", "outputNames"] {
        let more = to_router[field].as_array().unwrap().iter().cloned();
        router[field].as_array_mut().unwrap().extend(more);
    }
    let wires = router["wires"].as_array_mut().unwrap();
    let fallback = wires.pop().unwrap();
    wires.extend(to_router["wires"].as_array().unwrap().iter().cloned().chain([fallback]));
    router["outputs"] = wires.len().into();
    assert_eq!(judge(&flows), "no problems in the flows\n");
    let tool = flows.iter_mut().find(|node| node["id"] == "review-count").unwrap();
    tool["wires"] = serde_json::json!([["review-axe"]]);
    assert!(judge(&flows).contains("output 1 is wired to review-axe"));
}

#[test]
fn the_flows_carry_out_the_operations_that_the_model_has() {
    let flows = Path::new(env!("CARGO_MANIFEST_DIR")).join("../flows/flows.json");
    let flows = fs::read_to_string(flows).unwrap();
    let nodes: Vec<serde_json::Value> = serde_json::from_str(&flows).unwrap();
    let carried_out: BTreeSet<(String, String)> = nodes
        .iter()
        .filter(|node| node["type"] == "http in")
        .map(|node| {
            let text = |key: &str| node[key].as_str().unwrap();
            let segments = text("url").split('/').map(|part| match part.strip_prefix(':') {
                Some(name) => format!("{{{name}}}"),
                None => part.to_owned(),
            });
            (text("method").to_uppercase(), segments.collect::<Vec<_>>().join("/"))
        })
        .collect();
    let declared = platform::platform().operations;
    let declared = declared.iter().map(|one| (one.method.to_owned(), one.path.to_owned()));
    assert_eq!(declared.collect::<BTreeSet<_>>(), carried_out);
}
