//! What is scraped while releases are rolled out.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::site::Site;
use crate::{until, web};

const FILE: &str = "ops/environments/qa.toml";

fn ask(site: &Site, path: &str) -> Option<Value> {
    let port = &site.service("qa", "prometheus")["ports"]["web"];
    let answer = web::ask("GET", &format!("http://127.0.0.1:{port}/api/v1/{path}"), None, None)?;
    serde_json::from_str(&answer.body).ok()
}

/// The series that Prometheus has for this.
fn query(site: &Site, expression: &str) -> Option<Vec<Value>> {
    let encoded: String = expression.bytes().map(|byte| format!("%{byte:02X}")).collect();
    ask(site, &format!("query?query={encoded}"))?["data"]["result"].as_array().cloned()
}

/// The health of each target, by its instance.
fn targets(site: &Site) -> Option<BTreeMap<String, String>> {
    let found = ask(site, "targets")?;
    let target = |one: &Value| {
        Some((one["labels"]["instance"].as_str()?.to_owned(), one["health"].as_str()?.to_owned()))
    };
    found["data"]["activeTargets"].as_array()?.iter().map(target).collect()
}

/// Series that begin with the first error, retry or failure.
const OF_ERRORS: [&str; 2] = ["flowship_flow_errors_total", "flowship_llm_retries_total"];

/// The smoke of both deploys used everything.
fn every_panel_has_data(site: &Site) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ops/monitoring/dashboards");
    let mut queries = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let page: Value = serde_json::from_str(&fs::read_to_string(entry.unwrap().path()).unwrap()).unwrap();
        for panel in page["panels"].as_array().unwrap() {
            for target in panel["targets"].as_array().unwrap() {
                let place = format!("{}: {}", page["title"], panel["title"]);
                queries.push((place, target["expr"].as_str().unwrap().to_owned()));
            }
        }
    }
    queries.retain(|(_, query)| !OF_ERRORS.iter().any(|rare| query.contains(rare)));
    assert!(queries.len() >= 40, "{queries:#?}");
    let is_empty = |expression: &str| query(site, expression).is_none_or(|series| series.is_empty());
    until("every panel has data", || {
        let before = queries.len();
        queries.retain(|(_, query)| is_empty(query));
        if queries.len() < before {
            println!("still empty: {queries:#?}");
        }
        queries.is_empty().then_some(())
    });
}

/// Counters began again with each replica, and the series of those before have ended.
fn nobody_was_told(site: &Site) {
    let resets = query(site, "count(count by (replica) (count_over_time(flowship_ready[1h])))").unwrap();
    assert!(resets[0]["value"][1].as_str().unwrap().parse::<u8>().unwrap() >= 3, "{resets:#?}");
    let fired =
        query(site, "count by (alertname) (count_over_time(ALERTS{alertstate=\"firing\"}[1h]))").unwrap();
    let names: Vec<_> = fired.iter().map(|series| series["metric"]["alertname"].as_str().unwrap()).collect();
    assert_eq!(names, ["Watchdog"], "{fired:#?}");
}

#[test]
#[ignore = "slow: `cargo xtask ci slow-tests` runs it"]
fn targets_follow_the_replicas_of_a_roll() {
    let site = Site::new();
    let first = site.package("first", "1.0.0");
    let second = site.package("second", "1.1.0");
    let quiet = format!("with = [\"monitoring\"]\n{}", site.read(FILE));
    // A channel without its secret would only look like one.
    site.write(
        FILE,
        &format!(
            "{quiet}\n[contacts]\non_call = \"us\"\nemail = \"us@example.com\"\nslack_channel = \"#us\"\n"
        ),
    );
    let refused = site.ends(2, &site.deploy("qa", &first));
    refused.says(&["secrets/slack-webhook-url: missing or empty; contacts.slack_channel"]);
    assert!(!site.of("qa").join("secrets/slack-webhook-url").exists());
    site.write(FILE, &quiet);

    for release in [&first, &second] {
        site.done(&site.deploy("qa", release));
        let replicas: Vec<String> = site.replicas("qa").into_keys().collect();
        assert_eq!(replicas.len(), 2);
        until("the replicas that run are up, and no other is a target", || {
            let found = targets(&site)?;
            let is_replica = |name: &&String| name.starts_with("node-red-");
            let scraped: Vec<_> = found.keys().filter(is_replica).cloned().collect();
            let is_up = found.values().all(|health| health == "up");
            (is_up && scraped == replicas && found.contains_key("edge")).then_some(())
        });
    }
    // What they say of deploys arrives.
    let file = fs::read_to_string(site.of("qa").join("metrics/deploys.prom")).unwrap();
    assert!(file.contains("flowship_deploys_total"), "{file}");
    until("the deploys are counted", || {
        (query(&site, "flowship_deploys_total{result=\"done\"} == 2")?.len() == 1).then_some(())
    });
    every_panel_has_data(&site);
    nobody_was_told(&site);
    site.done(&["drift", "qa"]);
}
