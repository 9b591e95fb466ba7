//! `cargo xtask check flows` as its users run it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

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
    assert_eq!(output.stdout, b"the flows are good\n");
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
fn json_has_the_same_findings() {
    let root = tree(&FLOWS.replacen("\"x\": 1, ", "", 1));
    let output = check(root.path(), &["--json"]);
    assert_eq!(output.status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let finding = &report["findings"][0];
    assert_eq!((finding["rule"].as_str(), finding["id"].as_str()), (Some("position"), Some("in")));
    assert_eq!(finding["line"], 3);
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
