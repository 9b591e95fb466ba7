//! The files for other programs: each is read by something that knows its form.

use quick_xml::Reader;
use quick_xml::events::Event;
use serde_json::Value;

use super::fixture::{LIB, Tree, WORKFLOW};

/// Elements of an XML document, each with its attributes; a document that is not well formed ends the test.
fn elements(text: &str) -> Vec<(String, Vec<(String, String)>)> {
    let mut reader = Reader::from_str(text);
    let mut found = Vec::new();
    loop {
        match reader.read_event().unwrap_or_else(|error| panic!("{error}\n{text}")) {
            Event::Eof => return found,
            Event::Start(element) | Event::Empty(element) => {
                let name = element.name().as_ref().to_owned();
                let attributes = element.attributes().map(|attribute| {
                    let attribute = attribute.unwrap();
                    let name = attribute.key.as_ref().to_owned();
                    (name, attribute.value.into_owned())
                });
                found.push((name, attributes.collect()));
            }
            _ => {}
        }
    }
}

/// One gate that passes, one unchanged, two that fail.
fn mixed() -> Tree {
    let tree = Tree::new();
    tree.judge(&["workflows", "secrets-in-history"]);
    tree.write(LIB, &tree.text(LIB).replace("    number", " number").replace("), 4);", "), 5);"));
    let judged = tree.judge(&["format", "workflows", "tests", "secrets-in-history"]);
    let expected = [
        ("format", "failed"),
        ("secrets-in-history", "passed"),
        ("tests", "failed"),
        ("workflows", "unchanged"),
    ];
    assert_eq!(judged.results(), expected, "{}", judged.shown);
    tree
}

#[test]
fn junit_lists_each_gate_as_a_test_case() {
    let tree = mixed();
    let elements = elements(&tree.text("target/xtask/ci.junit.xml"));
    let get = |attributes: &[(String, String)], name: &str| {
        attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let (name, suite) = &elements[1];
    assert_eq!(name, "testsuite");
    assert_eq!(
        (get(suite, "tests"), get(suite, "failures"), get(suite, "skipped")),
        ("4".into(), "2".into(), "0".into())
    );
    let names: Vec<_> = elements.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names.iter().filter(|name| **name == "testcase").count(), 4);
    assert_eq!(names.iter().filter(|name| **name == "failure").count(), 2);
    let case =
        elements.iter().find(|(name, attributes)| name == "testcase" && get(attributes, "name") == "tests");
    let (_, case) = case.unwrap();
    assert_eq!(get(case, "classname"), "rust");
    assert!(get(case, "time").parse::<f64>().unwrap() > 0.0);
    assert!(
        tree.text("target/xtask/ci.junit.xml").contains("assertion `left == right` failed"),
        "the log's end"
    );
}

#[test]
fn sarif_lists_the_failed_gates_and_their_findings() {
    let tree = mixed();
    tree.write(WORKFLOW, &tree.text(WORKFLOW).replace("run: echo done", "uses: actions/setup-python@v6"));
    tree.judge(&["format", "workflows"]);
    let sarif: Value = serde_json::from_str(&tree.text("target/xtask/ci.sarif")).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
    let runs = sarif["runs"].as_array().unwrap();
    let names: Vec<_> = runs.iter().map(|run| run["tool"]["driver"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["cargo xtask ci", "zizmor"]);
    let failed: Vec<_> = runs[0]["results"].as_array().unwrap().iter().collect();
    assert_eq!(failed.iter().map(|result| &result["ruleId"]).collect::<Vec<_>>(), ["format", "workflows"]);
    for result in &failed {
        let rule = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(runs[0]["tool"]["driver"]["rules"][rule]["id"], result["ruleId"]);
        assert!(result["message"]["text"].as_str().unwrap().contains("to do: "));
    }
    let found = runs[1]["results"].as_array().unwrap();
    let unpinned = found.iter().any(|one| {
        let place = &one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
        one["ruleId"].as_str().unwrap().contains("unpinned-uses")
            && place.as_str().unwrap().ends_with("extra.yml")
    });
    assert!(unpinned, "{found:#?}");
}

#[test]
fn the_page_needs_nothing_else_and_names_every_gate_with_its_outcome() {
    let tree = mixed();
    let page = tree.text("target/xtask/ci.html");
    let elements = elements(page.strip_prefix("<!DOCTYPE html>").unwrap());
    for (name, attributes) in &elements {
        assert!(!["script", "link", "img", "iframe"].contains(&name.as_str()), "{name}");
        assert!(
            !attributes.iter().any(|(name, _)| name == "src" || name == "href" || name.starts_with("on"))
        );
    }
    assert!(!page.contains("url(") && !page.contains("@import"));
    assert!(page.contains("failed: format, tests"), "the title says it");
    for gate in ["format", "workflows", "tests", "secrets-in-history"] {
        assert_eq!(page.matches(&format!(">{gate}</")).count(), 2, "{gate} in the drawing and in the table");
    }
    let bars = elements.iter().filter(|(name, _)| name == "rect").count();
    assert!((3..=8).contains(&bars), "{bars} bars for what ran");
    assert!(page.contains("prefers-color-scheme: dark"));
}
