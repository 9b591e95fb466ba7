//! The offline gate, fault by fault.

use serde_json::{Value, json};

use super::*;

const CATALOGUE: &str = r#"{
    "catch": {"module": "node-red", "version": "5.0.7"}, "change": {}, "complete": {}, "debug": {}, "function": {}, "join": {}, "rbe": {}, "switch": {}, "trigger": {}, "delay": {}, "batch": {},
    "workflow": {}, "mcp-router": {}, "task-worker": {}, "task-complete": {},
    "http in": {}, "http response": {}, "http request": {}, "inject": {}, "junction": {}, "link call": {}, "link in": {}, "link out": {},
    "mqtt in": {}, "smoke-in": {}, "smoke-out": {}, "sql-query": {}, "status": {}, "flowship-postgres": {}, "tls-config": {}
}"#;

const EDITOR: &str = "RED.nodes.registerType('sql-query', { defaults: { database: { value: '', type: 'flowship-postgres', \
                      required: true } } }); RED.nodes.registerType('tls-config', { defaults: { next: { type: \
                      'tls-config' } } }); RED.nodes.registerType('smoke-in', { defaults: {}, inputs: 0, outputs: 1 })";

/// Good flows with one of everything: an answered and caught request, a link, a call that returns, a subflow, a group,
/// a configuration node, and leftovers on a disabled tab.
fn platform() -> Vec<Value> {
    let node = |id: &str, kind: &str, z: &str, wires: Value| json!({"id": id, "type": kind, "z": z, "name": format!("the {id}"), "x": 1, "y": 2, "wires": wires});
    let with = |mut node: Value, field: &str, value: Value| {
        node[field] = value;
        node
    };
    vec![
        json!({"id": "api", "type": "tab", "label": "API"}),
        json!({"id": "shared", "type": "tab", "label": "Shared"}),
        json!({"id": "old", "type": "tab", "label": "Old", "disabled": true}),
        json!({"id": "sub", "type": "subflow", "name": "Sub", "in": [{"x": 1, "y": 1, "wires": [{"id": "inner"}]}],
               "out": [{"x": 1, "y": 1, "wires": [{"id": "inner", "port": 0}]}]}),
        json!({"id": "db", "type": "flowship-postgres", "name": "PostgreSQL"}),
        json!({"id": "group", "type": "group", "z": "api", "name": "Group", "nodes": ["query"], "x": 1, "y": 1, "w": 9, "h": 9}),
        http_in("in", "api", "get", "/things/:id", json!([["query"]])),
        with(
            with(node("query", "sql-query", "api", json!([["call"]])), "database", json!("db")),
            "g",
            json!("group"),
        ),
        with(node("call", "link call", "api", json!([["instance"]])), "links", json!(["called"])),
        node("instance", "subflow:sub", "api", json!([["out"]])),
        with(node("out", "link out", "api", json!([])), "links", json!(["answer-in"])),
        with(node("caught", "catch", "api", json!([["caught-out"]])), "scope", Value::Null),
        with(node("caught-out", "link out", "api", json!([])), "links", json!(["answer-in"])),
        with(
            node("answer-in", "link in", "shared", json!([["answer"]])),
            "links",
            json!(["out", "caught-out"]),
        ),
        node("answer", "http response", "shared", json!([])),
        with(node("called", "link in", "shared", json!([["work"]])), "links", json!([])),
        node("work", "function", "shared", json!([["return"]])),
        with(
            with(node("return", "link out", "shared", json!([])), "links", json!([])),
            "mode",
            json!("return"),
        ),
        with(
            node("shared-caught", "catch", "shared", json!([["answer"]])),
            "scope",
            json!(["work", "answer"]),
        ),
        node("inner", "function", "sub", json!([[]])),
        http_in("leftover-in", "old", "get", "/things/:id", json!([["leftover"]])),
        node("leftover", "function", "old", json!([[]])),
        with(node("leftover-out", "link out", "old", json!([])), "links", json!([])),
    ]
}

fn http_in(id: &str, z: &str, method: &str, url: &str, wires: Value) -> Value {
    json!({"id": id, "type": "http in", "z": z, "name": format!("the {id}"), "method": method, "url": url, "x": 1, "y": 2,
           "wires": wires})
}

fn smoke() -> Vec<Value> {
    vec![
        json!({"id": "smoke", "type": "tab", "label": "Smoke"}),
        json!({"id": "smoke-1", "type": "smoke-in", "z": "smoke", "x": 1, "y": 1, "wires": [["smoke-2"]]}),
        json!({"id": "smoke-2", "type": "smoke-out", "z": "smoke", "x": 1, "y": 1, "wires": []}),
    ]
}

fn text(nodes: &[Value]) -> String {
    serde_json::to_string_pretty(nodes).unwrap()
}

fn judged(platform: &str, smoke: &str, catalogue: &str) -> Vec<Problem> {
    judge(&Input {
        files: &[
            Source { name: "flows.json", text: platform },
            Source { name: "test-smoke.json", text: smoke },
        ],
        home: Home::Platform,
        edge_limit: 60,
        catalogue: Some(Source { name: "catalogue.json", text: catalogue }),
        editor: &[Source { name: "sql-query.html", text: EDITOR }],
        credential_files: &[],
        engines: None,
    })
}

fn listing(findings: &[Problem]) -> String {
    findings.iter().map(|finding| format!("{finding}\n")).collect()
}

fn at<'n>(nodes: &'n mut [Value], id: &str) -> &'n mut Value {
    nodes.iter_mut().find(|node| node["id"] == id).unwrap_or_else(|| panic!("{id}"))
}

fn without(nodes: &mut Vec<Value>, id: &str) {
    let before = nodes.len();
    nodes.retain(|node| node["id"] != id);
    assert_ne!(nodes.len(), before, "{id}");
}

type Row = (&'static str, fn(&mut Vec<Value>), &'static [(Rule, &'static str)]);

/// The rule of each finding, and the id of its node.
fn found(findings: &[Problem]) -> Vec<(String, String)> {
    let id = |subject: &str| {
        let (id, _) = subject.split_once("\" (")?.1.split_once(')')?;
        Some(id.to_owned())
    };
    let one = |finding: &Problem| (finding.rule.clone(), id(&finding.place.subject).unwrap_or_default());
    findings.iter().map(one).collect()
}

fn named(expected: &[(Rule, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(rule, id)| (rule.to_string(), (*id).to_owned())).collect()
}

/// Changes the good flows and compares rule and node of each finding.
fn compare(rows: &[Row]) {
    for (what, change, expected) in rows {
        let mut nodes = platform();
        change(&mut nodes);
        let findings = judged(&text(&nodes), &text(&smoke()), CATALOGUE);
        assert_eq!(found(&findings), named(expected), "{what}\n{}", listing(&findings));
        for finding in &findings {
            assert_eq!(finding.is_error(), Rule::of(finding) != Some(Rule::MayEnd), "{finding}");
        }
    }
}

#[test]
fn good_flows_are_good() {
    let findings = judged(&text(&platform()), &text(&smoke()), CATALOGUE);
    assert!(findings.is_empty(), "{}", listing(&findings));
    let nested = format!("{{\"node_red\": \"5.0.7\", \"types\": {CATALOGUE}}}");
    assert!(judged(&text(&platform()), &text(&smoke()), &nested).is_empty());
}

#[test]
fn files_that_cannot_be_read() {
    let good = text(&platform());
    let table: &[(&str, String, Rule, usize, &str)] = &[
        (
            "truncated",
            good[..good.len() - 20].to_owned(),
            Rule::Json,
            good.lines().count() - 2,
            "ends too early",
        ),
        ("empty", String::new(), Rule::Json, 1, "ends too early"),
        ("a comma too many", "[\n  {\"id\": \"a\",}\n]".to_owned(), Rule::Json, 2, "not JSON at column 14"),
        ("an object", "{}".to_owned(), Rule::Shape, 1, "not an array"),
        ("no object inside", "[\n1\n]".to_owned(), Rule::Shape, 2, "element 0 is not a node"),
        ("no id", "[\n{\"type\": \"tab\"}]".to_owned(), Rule::Shape, 2, "element 0 has no id"),
        ("no type", "[{\"id\": \"a\", \"type\": 1}]".to_owned(), Rule::Shape, 1, "element 0 has no type"),
    ];
    for (what, text_, rule, line, message) in table {
        let findings = judged(text_, "[]", CATALOGUE);
        assert_eq!(findings.len(), 1, "{what}: {}", listing(&findings));
        assert_eq!(
            (Rule::of(&findings[0]), findings[0].place.line),
            (Some(*rule), *line),
            "{what}: {}",
            findings[0]
        );
        assert!(findings[0].seen.contains(message), "{what}: {}", findings[0]);
    }
    for catalogue in ["", "[]", "{}", "{\"types\": {}}"] {
        let findings = judged(&good, "[]", catalogue);
        assert_eq!(found(&findings), named(&[(Rule::Catalogue, "")]), "{catalogue}: {}", listing(&findings));
    }
}

#[test]
fn structure_holds_together() {
    compare(&[
        (
            "an id twice",
            |n| n.push(json!({"id": "db", "type": "flowship-postgres"})),
            &[(Rule::DuplicateId, "db")],
        ),
        ("a wire to nothing", |n| at(n, "in")["wires"] = json!([["query", "gone"]]), &[(Rule::Wire, "in")]),
        ("a wire to another tab", |n| at(n, "inner")["wires"] = json!([["work"]]), &[(Rule::Wire, "inner")]),
        (
            "a wire to a configuration node",
            |n| at(n, "in")["wires"] = json!([["query", "db"]]),
            &[(Rule::Wire, "in")],
        ),
        (
            "wires of another shape",
            |n| at(n, "leftover")["wires"] = json!(["in"]),
            &[(Rule::Wire, "leftover")],
        ),
        (
            "a subflow's output from nothing",
            |n| at(n, "sub")["out"][0]["wires"] = json!([{"id": "inner"}, {"id": "gone"}]),
            &[(Rule::Wire, "sub")],
        ),
        (
            "no such tab",
            |n| at(n, "leftover")["z"] = json!("gone"),
            &[(Rule::Wire, "leftover-in"), (Rule::Container, "leftover")],
        ),
        (
            "no tab",
            |n| n.push(json!({"id": "a", "type": "debug", "x": 1, "y": 1, "wires": []})),
            &[(Rule::Container, "a")],
        ),
        (
            "z of a node",
            |n| n.push(json!({"id": "a", "type": "debug", "z": "in", "x": 1, "y": 1, "wires": []})),
            &[(Rule::Container, "a")],
        ),
        (
            "on the smoke tab",
            |n| n.push(json!({"id": "a", "type": "debug", "z": "smoke", "x": 1, "y": 1, "wires": []})),
            &[(Rule::Container, "a")],
        ),
        (
            "a configuration node on a tab",
            |n| n.push(json!({"id": "a", "type": "tls-config", "z": "api"})),
            &[],
        ),
        ("no such group", |n| at(n, "work")["g"] = json!("gone"), &[(Rule::Group, "work")]),
        ("no such member", |n| at(n, "group")["nodes"] = json!(["query", "gone"]), &[(Rule::Group, "group")]),
        ("an unknown type", |n| at(n, "work")["type"] = json!("functoin"), &[(Rule::UnknownType, "work")]),
        (
            "an unknown type on a disabled tab",
            |n| at(n, "leftover")["type"] = json!("x"),
            &[(Rule::UnknownType, "leftover")],
        ),
        (
            "no such subflow",
            |n| n.push(json!({"id": "a", "type": "subflow:gone", "z": "old", "x": 1, "y": 1, "wires": []})),
            &[(Rule::UnknownType, "a")],
        ),
        (
            "without x",
            |n| drop(at(n, "work").as_object_mut().unwrap().remove("x")),
            &[(Rule::Position, "work")],
        ),
        ("x is text", |n| at(n, "work")["x"] = json!("1"), &[(Rule::Position, "work")]),
        ("only y, on a configuration node", |n| at(n, "db")["y"] = json!(1), &[(Rule::Position, "db")]),
        ("a link to nothing", |n| at(n, "return")["links"] = json!(["gone"]), &[(Rule::Link, "return")]),
        ("a link to another type", |n| at(n, "called")["links"] = json!(["work"]), &[(Rule::Link, "called")]),
        ("a link call may be a link in's partner", |n| at(n, "called")["links"] = json!(["call"]), &[]),
        ("a link named by the other side alone", |n| at(n, "out")["links"] = json!([]), &[]),
        (
            "a link with no partner",
            |n| {
                n.push(json!({"id": "a", "type": "link out", "z": "api", "links": [], "x": 1, "y": 1, "wires": []}))
            },
            &[(Rule::Link, "a")],
        ),
        (
            "a partner that is disabled",
            |n| {
                n.push(json!({"id": "a", "type": "link out", "z": "api", "links": ["b"], "x": 1, "y": 1, "wires": []}));
                n.push(json!({"id": "b", "type": "link in", "z": "old", "links": [], "x": 1, "y": 1, "wires": []}));
            },
            &[(Rule::Link, "a")],
        ),
        (
            "no such configuration node",
            |n| at(n, "query")["database"] = json!("gone"),
            &[(Rule::ConfigReference, "query")],
        ),
        (
            "not the right one",
            |n| at(n, "query")["database"] = json!("work"),
            &[(Rule::ConfigReference, "query")],
        ),
        (
            "none where one is needed",
            |n| at(n, "query")["database"] = json!(""),
            &[(Rule::ConfigReference, "query")],
        ),
        ("a disabled one", |n| at(n, "db")["d"] = json!(true), &[(Rule::ConfigReference, "query")]),
        (
            "a chain",
            |n| {
                n.push(json!({"id": "one", "type": "tls-config", "next": "two"}));
                n.push(json!({"id": "two", "type": "tls-config", "next": ""}));
            },
            &[],
        ),
        (
            "a circle, and one that leads into it",
            |n| {
                n.push(json!({"id": "one", "type": "tls-config", "next": "two"}));
                n.push(json!({"id": "two", "type": "tls-config", "next": "one"}));
                n.push(json!({"id": "three", "type": "tls-config", "next": "two"}));
            },
            &[(Rule::ConfigReference, "one"), (Rule::ConfigReference, "two")],
        ),
        (
            "itself",
            |n| n.push(json!({"id": "one", "type": "tls-config", "next": "one"})),
            &[(Rule::ConfigReference, "one")],
        ),
        (
            "itself, by a property that is no reference",
            |n| n.push(json!({"id": "mine", "type": "workflow", "workflow_id": "mine", "schema": "{}"})),
            &[(Rule::ConfigReference, "mine")],
        ),
        (
            "a circle by name",
            |n| {
                n.push(json!({"id": "one", "type": "tls-config", "name": "two"}));
                n.push(json!({"id": "two", "type": "tls-config", "other": ["one"]}));
            },
            &[(Rule::ConfigReference, "one"), (Rule::ConfigReference, "two")],
        ),
        (
            "what is no configuration node, is disabled, or is elsewhere needs nobody",
            |n| {
                at(n, "work")["name"] = json!("work");
                n.push(json!({"id": "off", "type": "tls-config", "name": "off", "d": true}));
                n.push(json!({"id": "one", "type": "tls-config", "z": "api", "name": "two"}));
                n.push(json!({"id": "two", "type": "tls-config", "name": "one"}));
            },
            &[],
        ),
        (
            "Node-RED's own reference",
            |n| {
                n.push(json!({"id": "a", "type": "http request", "z": "old", "tls": "gone", "x": 1, "y": 1, "wires": []}))
            },
            &[(Rule::ConfigReference, "a")],
        ),
        (
            "none where none is needed",
            |n| {
                n.push(json!({"id": "a", "type": "http request", "z": "old", "tls": "", "x": 1, "y": 1, "wires": []}))
            },
            &[],
        ),
        (
            "a subflow in itself",
            |n| n.push(json!({"id": "a", "type": "subflow:sub", "z": "sub", "x": 1, "y": 1, "wires": []})),
            &[(Rule::SubflowCycle, "a")],
        ),
        (
            "the smoke flow in flows.json",
            |n| n.push(json!({"id": "a", "type": "smoke-in", "z": "api", "x": 1, "y": 1, "wires": []})),
            &[(Rule::Smoke, "a")],
        ),
    ]);
}

#[test]
fn what_node_red_refuses_or_drops_is_refused_before() {
    fn with(n: &mut [Value], id: &str, fields: &Value) {
        at(n, id).as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    }
    compare(&[
        (
            "libraries",
            |n| at(n, "work")["libs"] = json!([{"var": "fs", "module": "fs"}]),
            &[(Rule::Libraries, "work")],
        ),
        (
            "libraries on a disabled tab",
            |n| at(n, "leftover")["libs"] = json!([{"var": "fs", "module": "fs"}]),
            &[(Rule::Libraries, "leftover")],
        ),
        (
            "a limit of a tab and of a group that are none",
            |n| {
                at(n, "api")["env"] =
                    json!([{"name": "REQUEST_LIMIT_SECONDS", "value": "soon", "type": "str"}]);
                at(n, "group")["env"] =
                    json!([{"name": "REQUEST_LIMIT_SECONDS", "value": "60", "type": "num"}]);
                at(n, "old")["env"] =
                    json!([{"name": "REQUEST_LIMIT_SECONDS", "value": "-1", "type": "num"}]);
            },
            &[(Rule::Limit, "api"), (Rule::Limit, "group")],
        ),
        (
            "limits, one that only the running flows know, and another variable",
            |n| {
                at(n, "api")["env"] = json!([
                    {"name": "REQUEST_LIMIT_SECONDS", "value": "45", "type": "num"},
                    {"name": "OTHER", "value": "soon", "type": "str"},
                ]);
                at(n, "group")["env"] =
                    json!([{"name": "REQUEST_LIMIT_SECONDS", "value": "0.5", "type": "str"}]);
                at(n, "shared")["env"] =
                    json!([{"name": "REQUEST_LIMIT_SECONDS", "value": "LIMIT", "type": "env"}]);
            },
            &[],
        ),
        ("no libraries", |n| at(n, "work")["libs"] = json!([]), &[]),
        (
            "libraries of a disabled node",
            |n| with(n, "leftover", &json!({"libs": [{"var": "fs", "module": "fs"}], "d": true})),
            &[],
        ),
        (
            "a wire to an http in",
            |n| at(n, "caught")["wires"] = json!([["caught-out", "in"]]),
            &[(Rule::Wire, "caught")],
        ),
        (
            "a wire to a node of ours without inputs",
            |n| n.push(json!({"id": "a", "type": "smoke-in", "z": "old", "x": 1, "y": 1, "wires": [["a"]]})),
            &[(Rule::Wire, "a"), (Rule::Smoke, "a")],
        ),
        (
            "a subflow that begins with an http in",
            |n| {
                n.push(http_in("inside", "sub", "get", "/inside", json!([[]])));
                at(n, "inside")["d"] = json!(true);
                at(n, "sub")["in"][0]["wires"] = json!([{"id": "inner"}, {"id": "inside"}]);
            },
            &[(Rule::Wire, "sub")],
        ),
        (
            "an mqtt in that messages control",
            |n| {
                n.push(json!({"id": "a", "type": "mqtt in", "z": "old", "inputs": 1, "x": 1, "y": 1, "wires": [[]]}));
                at(n, "leftover")["wires"] = json!([["a"]]);
            },
            &[],
        ),
        (
            "a catch hands on what is wired to it",
            |n| at(n, "query")["wires"] = json!([["call", "caught"]]),
            &[],
        ),
        (
            "a catch of what is not there",
            |n| at(n, "shared-caught")["scope"] = json!(["work", "answer", "gone"]),
            &[(Rule::Scope, "shared-caught")],
        ),
        (
            "a catch of another tab",
            |n| at(n, "shared-caught")["scope"] = json!(["work", "answer", "query"]),
            &[(Rule::Scope, "shared-caught")],
        ),
        (
            "a complete and a status of what is not there",
            |n| {
                n.push(json!({"id": "a", "type": "complete", "z": "old", "scope": ["gone"], "x": 1, "y": 1, "wires": [[]]}));
                n.push(json!({"id": "b", "type": "status", "z": "old", "scope": ["gone"], "x": 1, "y": 1, "wires": [[]]}));
            },
            &[(Rule::Scope, "a"), (Rule::Scope, "b")],
        ),
        (
            "a status of all and of a group",
            |n| {
                n.push(json!({"id": "a", "type": "status", "z": "old", "scope": null, "x": 1, "y": 1, "wires": [[]]}));
                n.push(json!({"id": "b", "type": "status", "z": "old", "scope": "group", "x": 1, "y": 1, "wires": [[]]}));
            },
            &[],
        ),
        ("no URL", |n| at(n, "in")["url"] = json!(""), &[(Rule::Route, "in")]),
        ("no URL, disabled", |n| at(n, "leftover-in")["url"] = json!(""), &[]),
        ("a URL filled in when the flows run", |n| at(n, "in")["url"] = json!("/${PREFIX}("), &[]),
        (
            "a URL that Express refuses",
            |n| at(n, "in")["url"] = json!("/things/(:id"),
            &[(Rule::Route, "in")],
        ),
        ("no method", |n| at(n, "in")["method"] = json!(""), &[(Rule::Route, "in")]),
        ("a method that is never served", |n| at(n, "in")["method"] = json!("head"), &[(Rule::Route, "in")]),
        (
            "a method and path twice",
            |n| with(n, "leftover-in", &json!({"z": "api", "wires": [["query"]]})),
            &[(Rule::Route, "leftover-in")],
        ),
        (
            "a path twice, written otherwise",
            |n| with(n, "leftover-in", &json!({"z": "api", "wires": [["query"]], "url": "Things/:name/"})),
            &[(Rule::Route, "leftover-in")],
        ),
        (
            "a path twice with another method",
            |n| with(n, "leftover-in", &json!({"z": "api", "wires": [["query"]], "method": "post"})),
            &[],
        ),
        (
            "an http in in a subflow with two instances",
            |n| {
                n.push(http_in("inside", "sub", "get", "/inside", json!([["inner"]])));
                n.push(json!({"id": "second", "type": "subflow:sub", "z": "api", "x": 1, "y": 1, "wires": [["out"]]}));
            },
            &[(Rule::Route, "inside")],
        ),
        (
            "a cron expression that is refused",
            |n| {
                n.push(json!({"id": "a", "type": "inject", "z": "api", "crontab": "61 * * * *", "x": 1, "y": 1, "wires": [[]]}))
            },
            &[(Rule::Schedule, "a"), (Rule::EveryReplica, "a")],
        ),
        (
            "an interval that is refused, with the longest that is not",
            |n| {
                for (id, repeat, cron) in [("a", "2147484", ""), ("b", "2147483", "x"), ("c", "9e9", "x")] {
                    n.push(json!({"id": id, "type": "inject", "z": "api", "repeat": repeat, "crontab": cron, "x": 1, "y": 1,
                                  "wires": [[]]}));
                }
            },
            &[
                (Rule::Schedule, "a"),
                (Rule::EveryReplica, "b"),
                (Rule::Schedule, "c"),
                (Rule::Schedule, "c"),
                (Rule::EveryReplica, "c"),
            ],
        ),
        (
            "a cron expression behind an interval, of a disabled node, from a variable, or none",
            |n| {
                for (id, fields) in [
                    ("a", json!({"crontab": "x", "repeat": "5"})),
                    ("b", json!({"crontab": "x", "repeat": "", "d": true})),
                    ("c", json!({"crontab": "${CRON}", "repeat": ""})),
                    ("d", json!({"crontab": "", "repeat": ""})),
                    ("e", json!({"crontab": "0 6 * * 1-5", "repeat": ""})),
                ] {
                    n.push(json!({"id": id, "type": "inject", "z": "api", "x": 1, "y": 1, "wires": [[]]}));
                    with(n, id, &fields);
                }
            },
            &[(Rule::EveryReplica, "a"), (Rule::EveryReplica, "c"), (Rule::EveryReplica, "e")],
        ),
        (
            "an inject that starts once by itself, with one that waits for its button and one that is disabled",
            |n| {
                for (id, fields) in [
                    ("a", json!({"once": true, "repeat": "", "crontab": ""})),
                    ("b", json!({"once": false, "repeat": "", "crontab": ""})),
                    ("c", json!({"once": true, "d": true})),
                ] {
                    n.push(json!({"id": id, "type": "inject", "z": "api", "x": 1, "y": 1, "wires": [[]]}));
                    with(n, id, &fields);
                }
            },
            &[(Rule::EveryReplica, "a")],
        ),
    ]);
}

#[test]
fn requests_are_answered() {
    compare(&[
        (
            "no response",
            |n| at(n, "answer-in")["wires"] = json!([[]]),
            &[(Rule::NoResponse, "in"), (Rule::NoCatch, "in")],
        ),
        (
            "a disabled response",
            |n| at(n, "answer")["d"] = json!(true),
            &[(Rule::NoResponse, "in"), (Rule::NoCatch, "in")],
        ),
        (
            "what is called does not return: the call times out, which is caught",
            |n| at(n, "work")["wires"] = json!([[]]),
            &[],
        ),
        (
            "what is called does not return, and nothing catches that the call times out",
            |n| {
                at(n, "work")["wires"] = json!([[]]);
                at(n, "caught")["scope"] = json!(["query", "instance"]);
            },
            &[(Rule::NoResponse, "in"), (Rule::NoCatch, "in")],
        ),
        (
            "what fails in a called part is answered when the call times out",
            |n| at(n, "shared-caught")["scope"] = json!(["answer"]),
            &[],
        ),
        (
            "a called part that answers by itself",
            |n| {
                at(n, "work")["wires"] = json!([["answer"]]);
                at(n, "instance")["wires"] = json!([[]]);
            },
            &[],
        ),
        (
            "a return without a call",
            |n| {
                at(n, "query")["wires"] = json!([["stray"]]);
                n.push(json!({"id": "stray", "type": "link out", "z": "api", "mode": "return", "links": [], "x": 1, "y": 1, "wires": []}));
            },
            &[(Rule::NoResponse, "in")],
        ),
        (
            "a part for link calls that a link leads to: others' calls get nothing of it",
            |n| {
                n.push(http_in("other", "api", "get", "/other", json!([["other-out"]])));
                n.push(json!({"id": "other-out", "type": "link out", "z": "api", "mode": "link", "links": ["called"], "x": 1, "y": 1, "wires": []}));
                at(n, "shared-caught")["scope"] = Value::Null;
            },
            &[(Rule::NoResponse, "other")],
        ),
        (
            "a catch that returns without a call",
            |n| {
                at(n, "caught")["wires"] = json!([["stray"]]);
                n.push(json!({"id": "stray", "type": "link out", "z": "api", "mode": "return", "links": [], "x": 1, "y": 1, "wires": []}));
            },
            &[(Rule::NoCatch, "in")],
        ),
        (
            "a return in a subflow, called",
            |n| {
                at(n, "called")["wires"] = json!([["returning"]]);
                n.push(json!({"id": "subreturn", "type": "subflow", "name": "Returns", "in": [{"x": 1, "y": 1, "wires": [{"id": "subreturn-1"}]}], "out": []}));
                n.push(json!({"id": "subreturn-1", "type": "link out", "z": "subreturn", "mode": "return", "links": [], "x": 1, "y": 1, "wires": []}));
                n.push(json!({"id": "returning", "type": "subflow:subreturn", "z": "shared", "x": 1, "y": 1, "wires": []}));
                at(n, "caught")["scope"] = json!(["query", "call", "instance"]);
            },
            &[],
        ),
        (
            "the same return, not called",
            |n| {
                at(n, "query")["wires"] = json!([["returning"]]);
                n.push(json!({"id": "subreturn", "type": "subflow", "name": "Returns", "in": [{"x": 1, "y": 1, "wires": [{"id": "subreturn-1"}]}], "out": []}));
                n.push(json!({"id": "subreturn-1", "type": "link out", "z": "subreturn", "mode": "return", "links": [], "x": 1, "y": 1, "wires": []}));
                n.push(json!({"id": "returning", "type": "subflow:subreturn", "z": "api", "x": 1, "y": 1, "wires": []}));
            },
            &[(Rule::NoResponse, "in")],
        ),
        (
            "the subflow does not come out",
            |n| at(n, "sub")["out"][0]["wires"] = json!([]),
            &[(Rule::NoResponse, "in")],
        ),
        ("a disabled node on the way", |n| at(n, "instance")["d"] = json!(true), &[(Rule::NoResponse, "in")]),
        (
            "a disabled http in",
            |n| {
                at(n, "in")["d"] = json!(true);
                at(n, "in")["wires"] = json!([[]]);
            },
            &[],
        ),
        (
            "straight through a subflow",
            |n| at(n, "sub")["out"][0]["wires"] = json!([{"id": "sub", "port": 0}]),
            &[],
        ),
        (
            "a dynamic call may come to any",
            |n| {
                at(n, "call")["linkType"] = json!("dynamic");
                at(n, "call")["links"] = json!([]);
            },
            &[],
        ),
        (
            "an answer by way of a complete node",
            |n| {
                at(n, "instance")["wires"] = json!([[]]);
                n.push(json!({"id": "done", "type": "complete", "z": "api", "scope": ["instance"], "x": 1, "y": 1, "wires": [["out"]]}));
            },
            &[],
        ),
        (
            "what another caller gets back is no answer here",
            |n| {
                n.push(http_in("other", "api", "get", "/other", json!([["other-call"]])));
                n.push(json!({"id": "other-call", "type": "link call", "z": "api", "links": ["called"], "x": 1, "y": 1, "wires": [[]]}));
            },
            &[(Rule::NoResponse, "other")],
        ),
        (
            "calls in circles, each of which comes back only by way of the other",
            |n| {
                at(n, "work")["wires"] = json!([["again", "return"]]);
                n.push(json!({"id": "again", "type": "link call", "z": "shared", "links": ["second"], "x": 1, "y": 1, "wires": [[]]}));
                n.push(json!({"id": "second", "type": "link in", "z": "shared", "links": [], "x": 1, "y": 1, "wires": [["back"]]}));
                n.push(json!({"id": "back", "type": "link call", "z": "shared", "links": ["called"], "x": 1, "y": 1, "wires": [["return"]]}));
                at(n, "call")["links"] = json!(["second"]);
                at(n, "shared-caught")["scope"] = Value::Null;
            },
            &[],
        ),
        ("no catch", |n| without(n, "caught"), &[(Rule::NoCatch, "in")]),
        ("no catch on a tab on the way", |n| without(n, "shared-caught"), &[(Rule::NoCatch, "in")]),
        (
            "a response that nothing catches",
            |n| at(n, "shared-caught")["scope"] = json!(["work"]),
            &[(Rule::NoCatch, "in")],
        ),
        (
            "requests of subflows without an instance that runs",
            |n| {
                for (id, inner) in [("unused", "nested"), ("nested", "unused-too")] {
                    n.push(json!({"id": id, "type": "subflow", "name": id, "in": [], "out": []}));
                    n.push(http_in(&format!("{id}-in"), id, "get", &format!("/{id}"), json!([[]])));
                    let inner = if inner == "nested" { "subflow:nested" } else { "debug" };
                    n.push(json!({"id": format!("{id}-1"), "type": inner, "z": id, "x": 1, "y": 1, "wires": [[]]}));
                }
            },
            &[],
        ),
        (
            "requests of a subflow with an instance",
            |n| {
                n.push(json!({"id": "used", "type": "subflow", "name": "Used", "in": [], "out": []}));
                n.push(http_in("used-in", "used", "get", "/used", json!([[]])));
                n.push(
                    json!({"id": "used-1", "type": "subflow:used", "z": "api", "x": 1, "y": 1, "wires": []}),
                );
            },
            &[(Rule::NoResponse, "used-in")],
        ),
        (
            "a request inside a subflow: what is not caught there fails as each instance",
            |n| {
                n.push(json!({"id": "used", "type": "subflow", "name": "Used", "in": [], "out": []}));
                n.push(http_in("used-in", "used", "get", "/used", json!([["used-work"]])));
                n.push(json!({"id": "used-work", "type": "function", "z": "used", "x": 1, "y": 1, "wires": [["used-answer"]]}));
                n.push(json!({"id": "used-answer", "type": "http response", "z": "used", "x": 1, "y": 1, "wires": []}));
                n.push(json!({"id": "instance-1", "type": "subflow:used", "z": "shared", "x": 1, "y": 1, "wires": []}));
            },
            &[(Rule::NoCatch, "used-in")],
        ),
        (
            "a catch inside a subflow that comes out by another instance than the request's",
            |n| {
                n.push(json!({"id": "a", "type": "catch", "z": "sub", "scope": null, "x": 1, "y": 1, "wires": [["b"]]}));
                n.push(json!({"id": "b", "type": "change", "z": "sub", "x": 1, "y": 1, "wires": [[]]}));
                at(n, "sub")["out"] = json!([{"x": 1, "y": 1, "wires": [{"id": "inner", "port": 0}]},
                                             {"x": 1, "y": 1, "wires": [{"id": "b", "port": 0}]}]);
                n.push(json!({"id": "second", "type": "subflow:sub", "z": "api", "x": 1, "y": 1, "wires": [["out"], ["out"]]}));
            },
            &[(Rule::NoCatch, "in")],
        ),
        ("a disabled catch", |n| at(n, "caught")["d"] = json!(true), &[(Rule::NoCatch, "in")]),
        (
            "a catch that does not answer",
            |n| at(n, "caught")["wires"] = json!([[]]),
            &[(Rule::NoCatch, "in")],
        ),
        ("a catch of others", |n| at(n, "caught")["scope"] = json!(["call"]), &[(Rule::NoCatch, "in")]),
        ("a catch of each", |n| at(n, "caught")["scope"] = json!(["call", "query", "instance"]), &[]),
        (
            "a catch of a group",
            |n| {
                at(n, "caught")["scope"] = json!("group");
                at(n, "caught")["g"] = json!("group");
            },
            &[(Rule::NoCatch, "in")],
        ),
        (
            "a catch inside the subflow that ends there",
            |n| {
                n.push(json!({"id": "a", "type": "catch", "z": "sub", "scope": null, "x": 1, "y": 1, "wires": [[]]}))
            },
            &[(Rule::NoCatch, "in")],
        ),
        (
            "a catch inside the subflow that comes out",
            |n| {
                n.push(json!({"id": "a", "type": "catch", "z": "sub", "scope": null, "x": 1, "y": 1, "wires": [["b"]]}));
                n.push(json!({"id": "b", "type": "change", "z": "sub", "x": 1, "y": 1, "wires": [[]]}));
                at(n, "sub")["out"][0]["wires"] = json!([{"id": "inner", "port": 0}, {"id": "b", "port": 0}]);
            },
            &[],
        ),
        (
            "a catch of the uncaught behind one that swallows",
            |n| {
                at(n, "caught")["uncaught"] = json!(true);
                n.push(json!({"id": "a", "type": "catch", "z": "api", "scope": ["call"], "x": 1, "y": 1, "wires": [[]]}));
            },
            &[(Rule::NoCatch, "in")],
        ),
    ]);
}

#[test]
fn where_a_request_may_end_is_a_warning() {
    fn instead(n: &mut [Value], kind: &str, fields: &Value) {
        let call = at(n, "call");
        call["type"] = json!(kind);
        call.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    }
    const HERE: &[(Rule, &str)] = &[(Rule::MayEnd, "call")];
    compare(&[
        ("a filter", |n| instead(n, "rbe", &json!({})), HERE),
        ("a switch without else", |n| instead(n, "switch", &json!({"rules": [{"t": "eq", "v": "a"}]})), HERE),
        ("a switch without rules", |n| instead(n, "switch", &json!({"wires": [["instance"]]})), HERE),
        (
            "a switch with else",
            |n| {
                instead(
                    n,
                    "switch",
                    &json!({"rules": [{"t": "eq", "v": "a"}, {"t": "else"}], "wires": [["instance"], ["out"]]}),
                )
            },
            &[],
        ),
        (
            "an else that leads nowhere",
            |n| instead(n, "switch", &json!({"rules": [{"t": "eq", "v": "a"}, {"t": "else"}]})),
            HERE,
        ),
        (
            "an else that leads to no response",
            |n| {
                instead(
                    n,
                    "switch",
                    &json!({"rules": [{"t": "eq", "v": "a"}, {"t": "else"}], "wires": [["instance"], ["end"]]}),
                );
                n.push(json!({"id": "end", "type": "debug", "z": "api", "x": 1, "y": 1, "wires": []}));
            },
            HERE,
        ),
        (
            "rules of which one always holds",
            |n| {
                instead(
                    n,
                    "switch",
                    &json!({"rules": [{"t": "null"}, {"t": "nnull"}], "wires": [["out"], ["instance"]]}),
                )
            },
            &[],
        ),
        (
            "rules for different values",
            |n| {
                instead(
                    n,
                    "switch",
                    &json!({"rules": [{"t": "eq", "v": "a"}, {"t": "neq", "v": "b"}], "wires": [["out"], ["out"]]}),
                )
            },
            HERE,
        ),
        ("a join with a count", |n| instead(n, "join", &json!({"mode": "custom", "count": "2"})), HERE),
        (
            "a join with a count and a time-out",
            |n| instead(n, "join", &json!({"mode": "custom", "count": "2", "timeout": "1"})),
            &[],
        ),
        ("a join of what was split", |n| instead(n, "join", &json!({"mode": "auto", "count": "2"})), &[]),
        (
            "a trigger that drops",
            |n| instead(n, "trigger", &json!({"op1type": "pay", "duration": "0"})),
            HERE,
        ),
        ("a batch by count", |n| instead(n, "batch", &json!({"mode": "count", "count": 2})), HERE),
        ("a batch by interval", |n| instead(n, "batch", &json!({"mode": "interval"})), &[]),
        ("a delay that drops", |n| instead(n, "delay", &json!({"pauseType": "rate", "drop": true})), HERE),
        ("a delay that queues", |n| instead(n, "delay", &json!({"pauseType": "rate", "drop": false})), &[]),
        (
            "beside the way to a response",
            |n| {
                at(n, "query")["wires"] = json!([["call", "beside"]]);
                n.push(
                    json!({"id": "beside", "type": "rbe", "z": "api", "x": 1, "y": 1, "wires": [["end"]]}),
                );
                n.push(json!({"id": "end", "type": "debug", "z": "api", "x": 1, "y": 1, "wires": []}));
            },
            &[],
        ),
        (
            "in a called part: the call times out",
            |n| {
                at(n, "work")["type"] = json!("rbe");
            },
            &[],
        ),
        (
            "in a subflow",
            |n| {
                at(n, "inner")["type"] = json!("rbe");
            },
            &[(Rule::MayEnd, "inner")],
        ),
        ("without a request", |n| at(n, "leftover")["type"] = json!("rbe"), &[]),
        (
            "of two requests",
            |n| {
                instead(n, "rbe", &json!({}));
                n.push(http_in("other", "api", "post", "/other", json!([["query"]])));
            },
            HERE,
        ),
    ]);
}

#[test]
fn secrets_are_found_and_never_repeated() {
    // Put together here, so that no scanner takes this file for a leak.
    let key = format!("{}-{}", "sk", "abcDEF0123456789abcDEF01");
    let web_token = format!("{}.{}.{}", "eyJhbGciOiJI", "eyJzdWIiOiIxMjM0", "sig-1234567890");
    let secret = [
        ("func", json!(format!("const k = '{key}';"))),
        ("func", json!(format!("msg.headers = {{ Authorization: 'Bearer {web_token}' }};"))),
        ("func", json!("msg.authorization = `Bearer abcdefgh12345678`;")),
        ("func", json!("const password = 'hunter2hunter2';")),
        ("func", json!("const a = { apiKey: \"abcd-efgh\" }")),
        ("template", json!("{\"client_secret\": \"abcdefgh\"}")),
        ("func", json!(format!("-----BEGIN RSA {} KEY-----\\nabc", "PRIVATE"))),
        ("url", json!("postgres://flowship:hunter2@db/flowship")),
        ("url", json!(format!("https://api.example.com/weather?q=Bern&appid={}", "0a1b2c3d4e5f60718293"))),
        ("url", json!(format!("https://api.example.com/?api_key={}", "q7hunter2"))),
        ("template", json!(format!("<a href='/x?a=1&amp;access_token={}'>", "q7hunter2"))),
        ("func", json!(format!("msg.url = 'https://a.b/c?key={}&x=' + 1;", "Abcdefgh-0123456789"))),
        ("info", json!(format!("see https://a.b/c?subscription-key={}", "0a1b2c3d4e5f60718293"))),
        ("password", json!("hunter2")),
        ("apiKey", json!("abc")),
        ("credentials", json!({"user": "a"})),
        (
            "rules",
            json!([{"t": "set", "p": "headers.authorization", "pt": "msg", "to": "abc", "tot": "str"}]),
        ),
        ("props", json!([{"p": "payload.password", "v": "hunter2", "vt": "str"}])),
        (
            "headers",
            json!([{"keyType": "other", "keyValue": "X-Api-Key", "valueType": "other", "valueValue": "abc"}]),
        ),
        ("env", json!([{"name": "DB_PASSWORD", "type": "str", "value": "hunter2"}])),
        ("info", json!(format!("call it with {key}"))),
    ];
    let harmless = [
        ("func", json!("const token = msg.token; if (password === 'missing') {}")),
        ("func", json!("const password = env.get('DB_PASSWORD_FILE');")),
        ("func", json!("msg.headers.Authorization = 'Bearer ' + token;")),
        (
            "func",
            json!(
                "node.warn('the Bearer authentication scheme is required: Basic authentication is not enough');"
            ),
        ),
        ("func", json!("const key = `task-skill-abcdefghijklmnopqrstuvwxyz`;")),
        ("url", json!("postgres://flowship:${PASSWORD}@db/flowship")),
        ("url", json!("http://user@example.com:8080/a")),
        ("url", json!("https://a.b/c?appid=${APP_ID}&api_key={{{key}}}&token=<token>&key=")),
        (
            "url",
            json!(
                "https://a.b/c?api_key=YOUR_API_KEY_1&appid=xxxxxxxxxxxxxxxxxxx1&key=$NAME1234567890123456"
            ),
        ),
        ("url", json!("https://a.b/c?key=name&code=404&auth=none&page_token=&keyboard=0a1b2c3d4e5f60718293")),
        (
            "func",
            json!("msg.url = 'https://a.b/c?api_key=' + env.get('API_KEY_1234567'); if (a && key == b) {}"),
        ),
        ("password", json!("${DB_PASSWORD}")),
        ("password", json!("")),
        ("passwordFile", json!("/run/secrets/password")),
        ("tokenType", json!("bearer")),
        ("secretName", json!("llm-api-key")),
        ("credentials", json!({})),
        ("rules", json!([{"t": "set", "p": "token", "pt": "msg", "to": "req.token", "tot": "msg"}])),
        ("env", json!([{"name": "DB_PASSWORD", "type": "env", "value": "DB_PASSWORD"}])),
        ("info", json!("Set password: \"whatever\" in your client.")),
        ("max_tokens", json!("100")),
    ];
    let run = |field: &str, value: &Value| {
        let mut nodes = platform();
        at(&mut nodes, "leftover")[field] = value.clone();
        judged(&text(&nodes), &text(&smoke()), CATALOGUE)
    };
    for (field, value) in &secret {
        let findings = run(field, value);
        assert_eq!(findings.len(), 1, "{field}: {value}\n{}", listing(&findings));
        assert_eq!(found(&findings), named(&[(Rule::Secret, "leftover")]));
        for part in ["hunter2", "abcdefgh", "abcDEF", "eyJ"] {
            assert!(!findings[0].to_string().contains(part), "{}", findings[0]);
        }
    }
    for (field, value) in &harmless {
        let findings = run(field, value);
        assert!(findings.is_empty(), "{field}: {value}\n{}", listing(&findings));
    }
}

#[test]
fn each_workflow_has_a_rule_where_its_tasks_come() {
    fn routed(n: &mut Vec<Value>, rules: Value) {
        let node = |id: &str, kind: &str, fields: Value| {
            let mut node = json!({"id": id, "type": kind, "z": "api", "x": 1, "y": 1, "wires": []});
            node.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            node
        };
        n.push(json!({"id": "w-alpha", "type": "workflow", "workflow_id": "alpha", "schema": "{}"}));
        n.push(json!({"id": "w-beta", "type": "workflow", "workflow_id": "beta", "schema": "{}"}));
        n.push(node("worker", "task-worker", json!({"wires": [["router"]]})));
        n.push(node(
            "router",
            "mcp-router",
            json!({"rules": rules, "outputNames": ["one", "two"], "wires": [["done"], ["second"], ["done"]]}),
        ));
        n.push(node(
            "second",
            "mcp-router",
            json!({"rules": [rule("equals", "beta", "b")], "outputNames": ["b"], "wires": [["done"], ["done"]]}),
        ));
        n.push(node("done", "task-complete", json!({})));
    }
    fn rule(operator: &str, value: &str, output: &str) -> Value {
        json!({"property": "workflow_id", "operator": operator, "value": value, "output": output})
    }
    let of_payload = json!({"property": "payload.kind", "operator": "equals", "value": "x", "output": "one"});
    let both: &[&str] = &["alpha", "beta"];
    let table: &[(&str, Value, &[&str])] = &[
        ("a rule each", json!([rule("equals", "alpha", "one"), rule("equals", "beta", "one")]), &[]),
        ("a rule for one", json!([rule("equals", "alpha", "one")]), &["beta"]),
        ("a rule for others", json!([rule("equals", "gamma", "one")]), both),
        (
            "a rule that names the fallback",
            json!([rule("equals", "alpha", "one"), rule("equals", "beta", "fallback")]),
            &[],
        ),
        ("a rule for all others", json!([rule("differs", "beta", "one"), rule("exists", "", "one")]), &[]),
        ("rules that never hold", json!([rule("missing", "", "one"), rule("above", "1", "one")]), both),
        ("a plain pattern for both", json!([rule("matches", "^alpha$|bet", "one")]), &[]),
        ("a plain pattern for one", json!([rule("matches", "^bet", "one")]), &["alpha"]),
        ("a pattern that nobody reads here", json!([rule("matches", "^(b)", "one")]), &[]),
        ("a pattern that ends otherwise", json!([rule("matches", "ha$", "one")]), &["beta"]),
        ("the task decides for one", json!([rule("equals", "alpha", "one"), of_payload.clone()]), &["beta"]),
        ("the task decides for both: no router of workflows", json!([of_payload.clone()]), &[]),
        ("no rule at all", json!([]), &[]),
        (
            "another router behind: only for who comes there",
            json!([rule("equals", "alpha", "one"), rule("equals", "beta", "two")]),
            &[],
        ),
        (
            "another router behind, which has no rule",
            json!([rule("equals", "alpha", "two"), rule("equals", "beta", "one")]),
            &["alpha"],
        ),
        (
            "another router behind, where the task decides",
            json!([{"property": "payload.kind", "operator": "exists", "output": "two"}, rule("equals", "alpha", "one"),
                   rule("equals", "beta", "one")]),
            &["alpha"],
        ),
    ];
    for (what, rules, expected) in table {
        let mut nodes = platform();
        routed(&mut nodes, rules.clone());
        let findings = judged(&text(&nodes), &text(&smoke()), CATALOGUE);
        let ids: Vec<String> = expected.iter().map(|id| format!("w-{id}")).collect();
        let expected: Vec<_> = ids.iter().map(|id| (Rule::Routing, id.as_str())).collect();
        assert_eq!(found(&findings), named(&expected), "{what}\n{}", listing(&findings));
    }
    let mut nodes = platform();
    routed(&mut nodes, json!([rule("equals", "alpha", "one")]));
    at(&mut nodes, "w-beta")["d"] = json!(true);
    assert!(judged(&text(&nodes), "[]", CATALOGUE).is_empty(), "a workflow that is switched off");
    at(&mut nodes, "w-beta")["d"] = json!(false);
    at(&mut nodes, "router")["rules"] =
        json!([rule("equals", "alpha", "one"), rule("equals", "beta", "two")]);
    at(&mut nodes, "second")["wires"] = json!([[], ["done"]]);
    let findings = judged(&text(&nodes), "[]", CATALOGUE);
    assert_eq!(found(&findings), named(&[(Rule::Routing, "w-beta")]), "tasks that come to no end");
    assert!(!findings[0].is_error(), "{}", findings[0]);
    let message = &findings[0].seen;
    assert!(message.starts_with("its tasks reach no task-complete"), "{message}");
    at(&mut nodes, "router")["rules"] = json!([rule("equals", "alpha", "one")]);
    at(&mut nodes, "worker")["wires"] = json!([["done"]]);
    assert!(judged(&text(&nodes), "[]", CATALOGUE).is_empty(), "a router that no task comes to");
}

/// An engine that finds each text that says "bad", and which texts it got.
fn judged_by(nodes: &[Value], home: Home, answer: Result<(), &str>) -> (Vec<Problem>, Vec<String>) {
    let asked = std::cell::RefCell::new(Vec::new());
    let engines = |texts: &[code::Text<'_>]| {
        let kind =
            |text: &code::Text<'_>| serde_json::to_value(text.kind).unwrap().as_str().unwrap().to_owned();
        asked.borrow_mut().extend(texts.iter().map(|text| format!("{} {}", kind(text), text.text)));
        answer.map_err(str::to_owned)?;
        let bad = texts.iter().enumerate().filter(|(_, text)| text.text.contains("bad"));
        Ok(bad
            .map(|(index, _)| code::Fault {
                index,
                message: "odd".to_owned(),
                line: Some(2),
                column: Some(7),
            })
            .collect())
    };
    let findings = judge(&Input {
        files: &[Source { name: "flows.json", text: &text(nodes) }],
        home,
        edge_limit: 60,
        catalogue: Some(Source { name: "catalogue.json", text: CATALOGUE }),
        editor: &[],
        credential_files: &[],
        engines: Some(&engines),
    });
    let mut asked = asked.into_inner();
    asked.sort();
    (findings, asked)
}

#[test]
fn every_text_that_an_engine_compiles_is_judged() {
    let with = |kind: &str, fields: Value| {
        let mut nodes = vec![json!({"id": "tab", "type": "tab", "label": "Tab"})];
        let mut node = json!({"id": "a", "type": kind, "z": "tab", "x": 1, "y": 1, "wires": []});
        node.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        nodes.push(node);
        judged_by(&nodes, Home::Platform, Ok(())).1
    };
    let table: &[(&str, Value, &[&str])] = &[
        (
            "function",
            json!({"func": "f", "initialize": "i", "finalize": "z"}),
            &["cleanup z", "function f", "setup i"],
        ),
        ("function", json!({"func": "f", "initialize": " \n", "finalize": ""}), &["function f"]),
        ("function", json!({"func": "${CODE}", "initialize": 1}), &[]),
        (
            "change",
            json!({"rules": [{"t": "set", "p": "a", "pt": "msg", "to": "e", "tot": "jsonata"},
                             {"t": "set", "to": "[1", "tot": "json"}, {"t": "set", "to": "[2", "tot": "bin"},
                             {"t": "change", "from": "(", "fromt": "re", "to": "x", "tot": "str"},
                             {"t": "set", "to": "jsonata", "tot": "str"}]}),
            &["json [1", "json [2", "jsonata e", "pattern ("],
        ),
        (
            "switch",
            json!({"property": "p", "propertyType": "jsonata",
                   "rules": [{"t": "btwn", "v": "v", "vt": "jsonata", "v2": "w", "v2t": "jsonata"},
                             {"t": "jsonata_exp", "v": "x", "vt": "jsonata"}, {"t": "eq", "v": "y", "vt": "str"}]}),
            &["jsonata p", "jsonata v", "jsonata w", "jsonata x"],
        ),
        (
            "inject",
            json!({"payload": "old", "payloadType": "jsonata", "props": [{"p": "payload", "v": "n", "vt": "jsonata"}]}),
            &["jsonata n"],
        ),
        ("inject", json!({"payload": "old", "payloadType": "jsonata"}), &["jsonata old"]),
        (
            "inject",
            json!({"payload": "old", "payloadType": "jsonata", "props": [{"p": "payload"}]}),
            &["jsonata old"],
        ),
        (
            "debug",
            json!({"complete": "c", "targetType": "jsonata", "statusVal": "s", "statusType": "jsonata"}),
            &["jsonata c", "jsonata s"],
        ),
        ("debug", json!({"complete": "", "targetType": "jsonata"}), &[]),
        (
            "sort",
            json!({"targetType": "msg", "msgKey": "m", "msgKeyType": "jsonata", "seqKey": "s", "seqKeyType": "jsonata"}),
            &["jsonata m"],
        ),
        (
            "sort",
            json!({"targetType": "seq", "msgKey": "m", "msgKeyType": "jsonata", "seqKey": "s", "seqKeyType": "jsonata"}),
            &["jsonata s"],
        ),
        (
            "join",
            json!({"mode": "reduce", "reduceExp": "r", "reduceFixup": "", "reduceInit": "i", "reduceInitType": "jsonata"}),
            &["jsonata i", "jsonata r"],
        ),
        (
            "join",
            json!({"mode": "auto", "reduceExp": "r", "reduceInit": "i", "reduceInitType": "jsonata"}),
            &[],
        ),
        ("file", json!({"filename": "f", "filenameType": "jsonata"}), &["jsonata f"]),
        (
            "http request",
            json!({"headers": [{"keyType": "other", "keyValue": "a", "valueType": "jsonata", "value": "h"}]}),
            &["jsonata h"],
        ),
        (
            "subflow:x",
            json!({"env": [{"name": "A", "type": "jsonata", "value": "e"}, {"name": "B", "type": "str", "value": "s"}]}),
            &["jsonata e"],
        ),
        ("group", json!({"env": [{"name": "A", "type": "jsonata", "value": "g"}]}), &["jsonata g"]),
        ("workflow", json!({"schema": "{}"}), &["schema {}"]),
        ("function", json!({"func": "f", "d": true}), &[]),
    ];
    for (kind, fields, expected) in table {
        assert_eq!(with(kind, fields.clone()), *expected, "{kind} {fields}");
    }
    let tab = json!({"id": "t", "type": "tab", "env": [{"name": "A", "type": "jsonata", "value": "t"}]});
    let subflow =
        json!({"id": "s", "type": "subflow", "env": [{"name": "A", "type": "jsonata", "value": "s"}]});
    let instance = json!({"id": "i", "type": "subflow:s", "z": "t", "x": 1, "y": 1, "wires": []});
    let asked = |nodes: &[Value]| judged_by(nodes, Home::Elsewhere, Ok(())).1;
    assert_eq!(
        asked(&[tab.clone(), subflow.clone()]),
        ["jsonata t"],
        "of a subflow without instance nothing starts"
    );
    assert_eq!(asked(&[tab, subflow, instance]), ["jsonata s", "jsonata t"]);
    assert_eq!(
        asked(&[json!({"id": "w", "type": "workflow", "schema": "{}"})]),
        [""; 0],
        "somebody else's workflow"
    );
}

#[test]
fn what_an_engine_says_names_node_property_and_place() {
    let mut nodes = platform();
    at(&mut nodes, "work")["func"] = json!("bad");
    at(&mut nodes, "inner")["func"] = json!("good");
    nodes.push(json!({"id": "set", "type": "change", "z": "api", "x": 1, "y": 1, "wires": [[]],
                      "rules": [{"t": "set", "to": "fine", "tot": "jsonata"}, {"t": "set", "to": "bad", "tot": "jsonata"}]}));
    let of =
        |home, answer| judged_by(&nodes, home, answer).0.iter().map(ToString::to_string).collect::<Vec<_>>();
    let found = of(Home::Platform, Ok(()));
    assert_eq!(found.len(), 2, "{found:?}");
    let expected = "[code] node \"the work\" (work) on \"Shared\": its func does not parse as the code of a function at line 2, \
                    column 7: odd; in Node-RED";
    assert!(found[0].contains(expected), "{}", found[0]);
    assert!(
        found[1].contains("[jsonata] node \"change\" (set) on \"API\": its rules[1].to is not a JSONata"),
        "{}",
        found[1]
    );

    let lost = "whether 4 texts parse is not judged (function code, JSONata and the like): no Node.js";
    for (home, start) in [
        (Home::Platform, "flows.json:1: [not-judged] "),
        (Home::Elsewhere, "flows.json:1: warning: [not-judged] "),
    ] {
        let found = of(home, Err("no Node.js"));
        assert_eq!(found, [format!("{start}{lost}")]);
    }
}

#[test]
fn a_credential_file_is_refused() {
    let findings = judge(&Input {
        files: &[Source { name: "flows.json", text: "[]" }],
        home: Home::Platform,
        edge_limit: 60,
        catalogue: Some(Source { name: "catalogue.json", text: CATALOGUE }),
        editor: &[],
        credential_files: &["flows/flows_cred.json".to_owned()],
        engines: None,
    });
    assert_eq!(findings.len(), 1);
    assert!(
        findings[0]
            .to_string()
            .starts_with("flows/flows_cred.json:1: [secret] this is Node-RED's credential file")
    );
}

#[test]
fn an_id_in_both_files_is_found() {
    let mut more = smoke();
    more.push(json!({"id": "db", "type": "flowship-postgres"}));
    let findings = judged(&text(&platform()), &text(&more), CATALOGUE);
    assert_eq!(found(&findings), named(&[(Rule::DuplicateId, "db")]), "{}", listing(&findings));
    assert_eq!(findings[0].place.file, "test-smoke.json");
}

#[test]
fn a_finding_names_place_rule_and_node() {
    let mut nodes = platform();
    at(&mut nodes, "work")["type"] = json!("functoin");
    let text = text(&nodes);
    let findings = judged(&text, "[]", CATALOGUE);
    let line = 1 + text.lines().position(|line| line.contains("\"id\": \"work\"")).unwrap();
    let expected = format!(
        "flows.json:{line}: [unknown-type] node \"the work\" (work) on \"Shared\": the image has no node type \"functoin\" \
         (did you mean \"function\"?)"
    );
    assert!(findings[0].to_string().starts_with(&expected), "{}", findings[0]);

    let mut nodes = platform();
    at(&mut nodes, "call")["type"] = json!("rbe");
    at(&mut nodes, "call")["name"] = json!("two\nlines\u{1b}[1m");
    let findings = judged(&self::text(&nodes), "[]", CATALOGUE);
    let expected = r#": warning: [may-end] node "two\u{a}lines\u{1b}[1m" (call) on "API": it drops messages that have not"#;
    assert!(findings[0].to_string().contains(expected), "{}", findings[0]);
    assert_eq!(serde_json::to_value(&findings[0]).unwrap()["level"], "warning");
}

#[test]
fn flows_of_elsewhere_are_judged_by_what_node_red_itself_has() {
    let elsewhere = |nodes: &[Value], catalogue: Option<&str>| {
        let found = judge(&Input {
            files: &[Source { name: "theirs.json", text: &text(nodes) }],
            home: Home::Elsewhere,
            edge_limit: 60,
            catalogue: catalogue.map(|text| Source { name: "types.json", text }),
            editor: &[],
            credential_files: &[],
            engines: None,
        });
        found.iter().map(|finding| finding.to_string()).collect::<Vec<_>>()
    };
    let mut nodes = platform();
    at(&mut nodes, "work")["libs"] = json!([{"var": "fs", "module": "fs"}]);
    at(&mut nodes, "work")["name"] = json!("with a module, which other settings allow");
    nodes.retain(|node| node["type"] != "sql-query" && node["type"] != "flowship-postgres");
    at(&mut nodes, "in")["wires"] = json!([["call"]]);
    at(&mut nodes, "group")["nodes"] = json!([]);
    nodes.push(json!({"id": "tick", "type": "inject", "z": "api", "repeat": "5", "once": true, "x": 1, "y": 1, "wires": [[]]}));
    assert_eq!(elsewhere(&nodes, None), [""; 0]);
    at(&mut nodes, "inner")["type"] = json!("functoin");
    at(&mut nodes, "leftover")["type"] = json!("functoin");
    let found = elsewhere(&nodes, None);
    let expected = r#": warning: [unknown-type] node "the inner" (inner) on "Sub": Node-RED itself has no node type "functoin" (did you mean "function"?), which 2 nodes have; pass a catalogue"#;
    assert!(found.len() == 1 && found[0].contains(expected), "{found:?}");
    let found = elsewhere(&nodes, Some(CATALOGUE));
    assert!(found.len() == 2 && found[0].contains(": [unknown-type] node"), "{found:?}");
    let mut part: Vec<Value> = platform().into_iter().filter(|node| node["z"] == "shared").collect();
    without(&mut part, "answer-in");
    let found = elsewhere(&part, Some(CATALOGUE));
    let expected = r#": warning: [container] node "the answer" (answer): it is on tab shared, which does not exist, like 4 other nodes"#;
    assert!(found.len() == 1 && found[0].contains(expected), "{found:?}");
    let found = elsewhere(&nodes, Some("[]"));
    assert!(found.len() == 1 && found[0].starts_with("types.json:1: [catalogue]"), "{found:?}");
}

/// Cuts the files anywhere, and gives each field of each node values of other shapes and other nodes' ids: judging
/// ends, and each finding's line is inside its file.
#[test]
fn damaged_flows_never_panic() {
    let good = text(&platform());
    for cut in (0..good.len()).step_by(29) {
        judged(&good[..cut], &good[cut..], CATALOGUE);
    }
    let odd = [
        Value::Null,
        json!(true),
        json!(-1.5),
        json!("called"),
        json!("sub"),
        json!("subflow:sub"),
        json!([]),
        json!([["in", 1], "call", {}]),
        json!({"id": []}),
    ];
    let nodes = platform();
    for index in 0..nodes.len() {
        for field in nodes[index].as_object().unwrap().keys() {
            for value in &odd {
                let mut nodes = nodes.clone();
                nodes[index][field] = value.clone();
                let text = text(&nodes);
                let lines = text.lines().count();
                for finding in judged(&text, "[]", CATALOGUE) {
                    assert!((1..=lines).contains(&finding.place.line), "{finding}");
                }
            }
        }
    }
}
