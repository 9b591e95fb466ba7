//! The row on alerts.

use super::row::{Inspection, Place, Row, Source, Subject, Verdict};
use super::tree::{PLATFORM, Tree};
use super::yaml::Node;

pub fn rows() -> Vec<Row> {
    vec![Row {
        id: "M1",
        what: "every alert of the platform is a rule of Prometheus, and every rule has an owner, a runbook that exists and \
               a test of promtool that expects it",
        sources: &[Source::Pint("rule/link"), Source::Own],
        subject: Subject::Alerts,
        also: &[],
        judge: alerts,
    }]
}

const FOLDER: &str = "ops/monitoring/";

fn alerts(tree: &Tree) -> Verdict {
    let parsed = tree.yaml(|path| path.starts_with(FOLDER));
    let mut look = Inspection::default();
    look.broken(&parsed.broken);
    let tested: Vec<&str> = parsed
        .documents
        .iter()
        .flat_map(|document| document.get("tests").map_or(&[][..], Node::items))
        .flat_map(|test| test.get("alert_rule_test").map_or(&[][..], Node::items))
        // A test that expects nothing would pass for a rule that never fires.
        .filter(|case| case.get("exp_alerts").is_some_and(|expected| !expected.items().is_empty()))
        .filter_map(|case| case.text_at("alertname"))
        .collect();
    let rules: Vec<&Node> = parsed
        .documents
        .iter()
        .flat_map(|document| document.get("groups").map_or(&[][..], Node::items))
        .flat_map(|group| group.get("rules").map_or(&[][..], Node::items))
        .filter(|rule| rule.get("alert").is_some())
        .collect();
    for rule in &rules {
        look.saw();
        let name = rule.text_at("alert").unwrap_or_default();
        if rule.at(&["labels", "owner"]).and_then(Node::text).is_none_or(str::is_empty) {
            look.find(&rule.place, format!("nobody owns {name}"), "give it a label `owner`");
        }
        if !tested.contains(&name) {
            look.find(
                &rule.place,
                format!("no test of promtool expects {name} to fire"),
                "add an alert_rule_test with its exp_alerts",
            );
        }
        let runbook = rule.at(&["annotations", "runbook"]).or(rule.at(&["annotations", "runbook_url"]));
        match runbook.and_then(Node::text) {
            None => {
                look.find(&rule.place, format!("{name} names no runbook"), "give it an annotation `runbook`")
            }
            Some(link) if !tree.paths().any(|path| is_runbook(path) && points_to(link, path)) => look.find(
                runbook.map_or(&rule.place, |found| &found.place),
                format!("the runbook {link} of {name} is not in docs/"),
                "write it, or name the one that is meant",
            ),
            Some(_) => {}
        }
    }
    if !rules.is_empty() {
        unwritten(tree, &mut look, &rules);
    }
    look.verdict("rule of an alert in ops/monitoring")
}

/// Alerts of the model that are no rule.
fn unwritten(tree: &Tree, look: &mut Inspection, rules: &[&Node]) {
    let platform = match tree.json(PLATFORM) {
        Some(Ok(platform)) => platform,
        Some(Err(finding)) => return look.broken(&[finding]),
        None => return,
    };
    let services = platform["services"].as_array().into_iter().flatten();
    for alert in services.flat_map(|service| service["alerts"].as_array().into_iter().flatten()) {
        let name = alert["name"].as_str().unwrap_or_default();
        if !rules.iter().any(|rule| rule.text_at("alert") == Some(name)) {
            let place = Place { file: PLATFORM.into(), line: 1 };
            look.find(
                &place,
                format!("the alert {name} is no rule of Prometheus"),
                "run `cargo xtask generate`",
            );
        }
    }
}

fn is_runbook(path: &str) -> bool {
    path.starts_with("docs/") && path.ends_with(".md")
}

/// Whether a link, which may be an address with an anchor, ends in this file.
fn points_to(link: &str, path: &str) -> bool {
    let link = link.split(['#', '?']).next().unwrap_or(link);
    link == path || link.ends_with(&format!("/{path}"))
}
