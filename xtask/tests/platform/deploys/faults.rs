//! Releases that are slow or wrong in ways that show late, and a database that goes away meanwhile.

use std::path::PathBuf;

use serde_json::Value;

use super::site::Site;
use crate::until;

/// A health check that fails while the condition holds; `admitted` is when nothing held the replica any more.
fn failing_while(condition: &str) -> String {
    format!(
        "const fs = require('node:fs');\nconst began = Date.now();\nlet admitted;\nconst readiness = \
         require('./readiness');\nconst {{ createReadiness }} = readiness;\nreadiness.createReadiness = () => {{\n  const made = \
         createReadiness();\n  made.register('planted', () => {{\n    if (!fs.existsSync(process.env.HOLD_FILE)) admitted ??= \
         Date.now();\n    if ({condition}) throw new Error('broken on purpose');\n  }});\n  return made;\n}};\n"
    )
}

struct Releases {
    first: PathBuf,
    slow: PathBuf,
    turns_bad: PathBuf,
    other_flows: PathBuf,
    second: PathBuf,
}

impl Releases {
    fn of(site: &Site) -> Self {
        const LAUNCHER: &str = "flows/runtime/main.js";
        let main = site.read(LAUNCHER);
        let first = site.package("first", "1.0.0");
        let launched = |name: &str, version: &str, before: &str| {
            site.write(LAUNCHER, &format!("{before}{main}"));
            site.package(name, version)
        };
        let slow = launched("slow", "1.1.0", &failing_while("Date.now() - began < 8000"));
        let turns_bad =
            launched("turns-bad", "1.2.0", &failing_while("admitted && Date.now() - admitted > 2000"));
        let other_flows = launched(
            "other-flows",
            "1.2.1",
            "const project = require('./project');\nconst { assemble, revision } = project;\nproject.assemble = (...args) => \
             {\n  const made = assemble(...args);\n  const all = made.all.map((node) => (node.type === 'tab' ? { ...node, info: \
             'changed' } : node));\n  return { ...made, all, rev: revision(all) };\n};\n",
        );
        let second = launched("second", "1.3.0", "// As before.\n");
        Self { first, slow, turns_bad, other_flows, second }
    }
}

#[test]
#[ignore = "slow: `cargo xtask ci slow-tests` runs it"]
fn what_is_slow_is_waited_for_and_what_is_wrong_leaves() {
    let site = Site::new();
    let releases = Releases::of(&site);
    site.done(&site.deploy("qa", &releases.first));

    // Each replica needs eight seconds: that is slow, not broken.
    site.done(&site.deploy("qa", &releases.slow));
    let slow = site.release("qa");
    assert!(slow.starts_with("1.1.0-"), "{slow}");
    serves(&site, &slow);

    // The first new replica fails: nothing that ran is touched.
    let before = site.processes("qa");
    let ended = site.ends(1, &site.deploy("qa", &releases.other_flows));
    assert!(
        ended.out.contains("was rolled back") && ended.out.contains("reports release 1.2.1-"),
        "{ended:#?}"
    );
    assert_eq!(site.processes("qa"), before);
    rolled_back(&site, &slow, "with flows");

    // It is healthy when it is admitted, and two seconds later not any more.
    let before = site.processes("qa");
    let files = releases.turns_bad.to_str().unwrap();
    let deploy = ["deploy", "qa", "--unsigned", "--watch", "20", "--bundle", files];
    let ended = site.ends(1, &deploy);
    assert!(ended.out.contains("was rolled back"), "{ended:#?}");
    rolled_back(&site, &slow, "became un");
    let after = site.processes("qa");
    assert!(before.iter().any(|(name, process)| after.get(name) == Some(process)), "{before:?}: {after:?}");

    the_database_is_restarted(&site, &releases);
}

#[track_caller]
fn serves(site: &Site, release: &str) {
    assert_eq!(site.release("qa"), release);
    let serving = site.replicas("qa");
    assert!(serving.len() == 2 && serving.values().all(|one| one == release), "{serving:#?}");
    assert_eq!(site.through_edge("qa", true), Some(200));
    site.done(&["status", "qa"]);
}

#[track_caller]
fn rolled_back(site: &Site, to: &str, why: &str) {
    serves(site, to);
    let history = site.history("qa");
    let last = history.last().unwrap();
    assert_eq!((&last["result"], &last["from"]), (&Value::from("rolled-back"), &Value::from(to)), "{last:#}");
    assert!(last["why"].as_str().unwrap().contains(why), "{last:#}");
    let metrics = std::fs::read_to_string(site.of("qa").join("metrics/deploys.prom")).unwrap();
    let count = history.iter().filter(|entry| entry["result"] == "rolled-back").count();
    let line = format!("flowship_deploys_total{{environment=\"qa\",result=\"rolled-back\"}} {count}");
    assert!(metrics.contains(&line), "{metrics}");
}

/// It is killed between the two replicas, and comes back. Whichever release wins, it is one.
fn the_database_is_restarted(site: &Site, releases: &Releases) {
    let before = site.release("qa");
    let begun = site.begin(&site.deploy("qa", &releases.second));
    begun.await_line("takes requests and tasks");
    let database = site.service("qa", "postgres");
    site.pid("qa", "postgres").kill();
    until("the database runs again", || {
        let now = site.service("qa", "postgres");
        (now["pid"] != database["pid"] && now["health"] == "healthy").then_some(())
    });
    let (code, printed) = begun.outcome();
    assert!(matches!(code, Some(0 | 1)), "{printed}");
    let after = site.release("qa");
    assert_eq!(after != before, code == Some(0), "{printed}");
    until("all replicas are healthy again", || (site.run(&["status", "qa"]).code == Some(0)).then_some(()));
    serves(site, &after);
    // The next deploy of the same release goes through.
    site.done(&site.deploy("qa", &releases.second));
    serves(site, &site.release("qa"));
    assert!(site.release("qa").starts_with("1.3.0-"));
}
