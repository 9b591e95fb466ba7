//! Real Prometheus and Alertmanager, with real targets.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::checkout::Checkout;
use crate::{until, web};

const PART: [&str; 2] = ["--with", "monitoring"];

fn ask(checkout: &Checkout, service: &str, path: &str) -> Option<Value> {
    let answer = web::ask("GET", &checkout.url(service, "web", path), None, None)?;
    serde_json::from_str(&answer.body).ok()
}

/// The health of each target, by its labels `job` and `instance`.
fn targets(checkout: &Checkout) -> Option<BTreeMap<String, String>> {
    let found = ask(checkout, "prometheus", "/api/v1/targets")?;
    let target = |one: &Value| {
        let labels = &one["labels"];
        assert_eq!(labels["environment"], "dev", "{one:#}");
        let name = format!("{}/{}", labels["job"].as_str()?, labels["instance"].as_str()?);
        Some((name, one["health"].as_str()?.to_owned()))
    };
    found["data"]["activeTargets"].as_array()?.iter().map(target).collect()
}

#[test]
#[ignore = "slow: `cargo xtask ci slow-tests` runs it"]
fn every_service_that_is_asked_for_runs_and_is_scraped() {
    let checkout = Checkout::new();
    let refused = checkout.run(&["dev", "--with", "monitring"]);
    assert_eq!(refused.code, Some(2), "{refused:#?}");
    refused.says(&["monitring", "expected one of grafana, monitoring; did you mean monitoring?"]);

    checkout.done(&[&["dev", "--detach", "--no-watch"], &PART[..]].concat());
    let up = until("every target is up", || {
        targets(&checkout).filter(|found| !found.is_empty() && found.values().all(|health| health == "up"))
    });
    for name in [
        "prometheus/prometheus",
        "alertmanager/alertmanager",
        "node-exporter/node-exporter",
        "postgres-exporter/postgres-exporter",
        "node-red/node-red-a",
    ] {
        assert!(up.contains_key(name), "{name}: {up:?}");
    }
    let database = ask(&checkout, "prometheus", "/api/v1/query?query=pg_up").unwrap();
    assert_eq!(database["data"]["result"][0]["value"][1], "1", "{database:#}");
    // The same label twice would be two.
    let own = ask(&checkout, "prometheus", "/api/v1/query?query=flowship_ready").unwrap();
    let own = &own["data"]["result"][0]["metric"];
    assert!(own["replica"] == "a" && own.get("exported_replica").is_none(), "{own:#}");

    // What has ended tells by a file.
    checkout.write(".flowship/dev/metrics/ended.prom", "# TYPE ended_total counter\nended_total 3\n");
    until("the metrics of the file arrive", || {
        let found = ask(&checkout, "prometheus", "/api/v1/query?query=ended_total%3D%3D3")?;
        (found["data"]["result"].as_array()?.len() == 1).then_some(())
    });

    // Started again without saying so, it keeps what runs; a service that leaves is a target no more.
    checkout.done(&["dev", "--detach", "--no-watch"]);
    assert!(checkout.status().to_string().contains("alertmanager"));
    checkout.done(&["down"]);
    checkout.nothing_runs();
    checkout.done(&["dev", "--detach", "--no-watch"]);
    assert!(!checkout.status().to_string().contains("alertmanager"));
    checkout.done(&["down"]);
    checkout.nothing_runs();
}

#[test]
#[ignore = "slow: `cargo xtask ci slow-tests` runs it"]
fn the_fire_drill_shows_who_is_told_of_a_fault_and_when() {
    let checkout = Checkout::new();
    let refused = checkout.run(&["alerts", "fire", "TargtDown"]);
    assert_eq!(refused.code, Some(2), "{refused:#?}");
    refused.says(&["there is no alert TargtDown; did you mean TargetDown?"]);

    let drill = checkout.done(&["alerts", "fire", "TargetDown", "AlertmanagerNotFound", "--json"]).json();
    let count = |name: &str| drill[name].as_u64().unwrap();
    assert_eq!((count("proven"), count("failed"), count("not_caused")), (1, 0, 1), "{drill:#}");
    let row = drill["alerts"].as_array().unwrap().iter().find(|row| row["alert"] == "TargetDown").unwrap();
    assert_eq!(row["fault"], "stop node-exporter");
    assert_eq!(row["told"], serde_json::json!(["pagerduty", "slack", "mail"]), "{row:#}");
    let time = |name: &str| row[name].as_u64().unwrap_or_else(|| panic!("{name}: {row:#}"));
    assert!(time("held_after_ms") > 0 && time("ended_after_ms") > 0, "{row:#}");
    // It must hold for three minutes, 15 times faster, and no receiver may know before.
    assert!((12_000..=time("limit_ms")).contains(&time("told_after_ms")), "{row:#}");
    let all = drill["notifications"].as_array().unwrap();
    for channel in ["pagerduty", "slack", "mail"] {
        let of = |one: &&Value| one["channel"] == channel && one["alert"] == "TargetDown";
        let told: Vec<_> = all.iter().filter(of).map(|one| &one["resolved"]).collect();
        assert!(told.first() == Some(&&false.into()) && told.last() == Some(&&true.into()), "{drill:#}");
    }
    checkout.nothing_runs();
}
