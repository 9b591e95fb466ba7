//! The families together, on the second platform and on changed ones.

use std::collections::BTreeSet;

use vocabulary::model::{
    Exposure, LogStore, Platform, Port, PortRef, Predicate, Protocol, ServiceId, SmokeStep, Test,
};

use super::tree::{File, Observed};
use super::{Difference, State, artifacts, compare, families, ledger, observe, prepare};
use artifacts::{Artifact, MARK};
use second_platform::platform;

const STORE: ServiceId = ServiceId("store");

/// A tree in which a platform was generated.
fn tree_of(platform: &Platform) -> Observed {
    let artifacts = artifacts(platform, &[]).unwrap();
    let listed = ledger::artifact(&artifacts, &ledger::Ledger::new());
    let ledger = ledger::parse(&listed.contents);
    let files = artifacts.into_iter().chain([listed]);
    let files =
        files.map(|Artifact { path, contents }| (path, File { contents, executable: false })).collect();
    Observed { ledger, files, no_index: None }
}

fn stale(differences: &[Difference]) -> Vec<&str> {
    assert!(differences.iter().all(|difference| difference.state == State::Stale), "{differences:?}");
    differences.iter().map(|difference| difference.path.as_str()).collect()
}

fn port_of_store(platform: &mut Platform) -> &mut Port {
    let service = platform.services.iter_mut().find(|service| service.id == STORE).unwrap();
    service.ports.iter_mut().find(|port| port.name == "queries").unwrap()
}

#[test]
fn a_changed_port_makes_every_file_with_it_stale_at_once() {
    let before = platform();
    let mut after = platform();
    port_of_store(&mut after).number = 35432;
    assert_eq!(after.validate(), []);
    let wanted = artifacts(&after, &[]).unwrap();
    let differences = compare(&wanted, &tree_of(&before), true);
    assert_eq!(
        stale(&differences),
        [
            "docs/reference/platform.json",
            "docs/reference/ports.md",
            "ops/docker/compose.yaml",
            "ops/docker/prod/compose.prod.yaml",
            ledger::PATH
        ],
        "other families must not know a port's number: they get it from the engine"
    );
    for difference in differences.iter().filter(|difference| difference.path != ledger::PATH) {
        let removed = difference.diff.lines().any(|line| line.starts_with('-') && line.contains("25432"));
        assert!(removed && difference.diff.contains("35432"), "{}", difference.diff);
    }

    let folder = tempfile::tempdir().unwrap();
    let bring_to = |platform: &Platform| {
        let artifacts = artifacts(platform, &[]).unwrap();
        let observed = observe(folder.path(), &artifacts).unwrap();
        let differences = compare(&artifacts, &observed, true);
        let (changed, problems) =
            prepare(folder.path(), &artifacts, &observed, &differences).unwrap().carry_out();
        assert!(problems.0.is_empty(), "{problems}");
        assert_eq!(changed.len(), differences.len());
        differences.len()
    };
    assert_eq!(bring_to(&before), artifacts(&before, &[]).unwrap().len() + 1);
    assert_eq!(bring_to(&after), differences.len());
    assert_eq!(compare(&wanted, &observe(folder.path(), &wanted).unwrap(), true), []);
}

#[test]
fn each_fact_reaches_the_files_that_contain_it() {
    type Change = fn(&mut Platform);
    let changes: [(&str, Change, &[&str]); 7] = [
        (
            "a port's exposure",
            |platform| port_of_store(platform).exposure = Exposure::Operator,
            &[
                "docs/reference/engine-limits.md",
                "docs/reference/networks.md",
                "docs/reference/platform.json",
                "docs/reference/ports.md",
                "ops/docker/compose.yaml",
                "ops/docker/dev/docker-compose.override.yml",
                "ops/docker/prod/compose.prod.yaml",
            ],
        ),
        (
            "a port's protocol",
            |platform| port_of_store(platform).protocol = Protocol::Https,
            &["docs/reference/platform.json", "docs/reference/ports.md"],
        ),
        (
            "a log label",
            |platform| platform.labels[0].name = "renamed_id",
            &[
                "docs/reference/labels.md",
                "docs/reference/platform.json",
                "flows/platform.json",
                LogStore::CONFIGURATION,
            ],
        ),
        (
            "a smoke check",
            |platform| drop(platform.smoke.checks.remove(0)),
            &[
                "docs/reference/platform.json",
                "docs/reference/smoke.md",
                "flows/platform.json",
                "flows/test-smoke.json",
            ],
        ),
        (
            "a queue's patience",
            |platform| platform.queue.expire_seconds += 1,
            &["docs/reference/platform.json", "flows/platform.json"],
        ),
        (
            "a gate's limit",
            |platform| platform.gates[0].limit_seconds += 600,
            &[
                ".github/workflows/ci.yml",
                ".github/workflows/release.yml",
                "docs/reference/gates.md",
                "docs/reference/platform.json",
            ],
        ),
        (
            "a secret's purpose",
            |platform| platform.secrets[0].purpose = "something else",
            &["docs/reference/platform.json", "docs/reference/secrets.md"],
        ),
    ];
    let tree = tree_of(&platform());
    for (what, change, told) in changes {
        let mut changed = platform();
        change(&mut changed);
        let differences = compare(&artifacts(&changed, &[]).unwrap(), &tree, true);
        let differences: Vec<_> =
            differences.into_iter().filter(|difference| difference.path != ledger::PATH).collect();
        let told_in_examples = |path: &&str| !path.starts_with("ops/secrets/");
        let stale: Vec<_> = stale(&differences).into_iter().filter(told_in_examples).collect();
        assert_eq!(stale, told, "{what}");
    }
}

#[test]
fn a_removed_service_leaves_an_orphan_and_a_new_secret_a_missing_file() {
    let tree = tree_of(&platform());
    let mut fewer = platform();
    fewer.services.retain(|service| service.id.0 != "ledger");
    let differences = compare(&artifacts(&fewer, &[]).unwrap(), &tree, true);
    let orphans: Vec<_> =
        differences.iter().filter(|difference| difference.is_orphan()).map(|orphan| &orphan.path).collect();
    assert_eq!(orphans, ["ops/secrets/ledger.env.example", "ops/secrets/policies/ledger.hcl"]);
    let back = compare(&artifacts(&platform(), &[]).unwrap(), &tree_of(&fewer), true);
    let missing: Vec<_> = back
        .iter()
        .filter(|difference| difference.state == State::Missing)
        .map(|difference| &difference.path)
        .collect();
    assert_eq!(missing, ["ops/secrets/ledger.env.example", "ops/secrets/policies/ledger.hcl"]);
}

#[test]
fn families_have_names_of_their_own_and_share_no_file() {
    let mut names = BTreeSet::new();
    let mut paths = BTreeSet::new();
    for family in families() {
        assert!(names.insert(family.name), "{} is taken twice", family.name);
        for artifact in (family.make)(&platform()).unwrap() {
            assert!(paths.insert(artifact.path.clone()), "{} has two makers", artifact.path);
            let hidden = artifact.path.starts_with(['/', '.']);
            let expected = [".git", ".dockerignore"].iter().any(|start| artifact.path.starts_with(start));
            assert!(!hidden || expected, "{}", artifact.path);
            assert!(artifact.contents.ends_with('\n'), "{}", artifact.path);
            let first = artifact.contents.lines().next().unwrap_or_default();
            let has_comments = !artifact.path.ends_with(".json");
            assert_eq!(first.contains(MARK), has_comments, "{}: {first}", artifact.path);
        }
    }
}

#[test]
fn every_generated_file_is_marked_for_git() {
    let artifacts = artifacts(&platform(), &[]).unwrap();
    let attributes = &artifacts.iter().find(|artifact| artifact.path == ".gitattributes").unwrap().contents;
    for artifact in &artifacts {
        assert!(
            attributes.contains(&format!("/{} linguist-generated=true\n", artifact.path)),
            "{}",
            artifact.path
        );
    }
}

#[test]
fn a_platform_without_mcp_servers_checks_its_routing_all_the_same() {
    let flow = |platform: &Platform| -> Vec<serde_json::Value> {
        let made = artifacts(platform, &[]).unwrap();
        let flow = made.iter().find(|artifact| artifact.path == "flows/test-smoke.json").unwrap();
        serde_json::from_str(&flow.contents).unwrap()
    };
    let types =
        |flow: &[serde_json::Value], kind: &str| flow.iter().filter(|node| node["type"] == kind).count();
    let mut with = platform();
    with.tools = Some(PortRef { service: ServiceId("ledger"), name: "book" });
    let check = with.smoke.checks.iter_mut().find(|check| check.name == "route").unwrap();
    check.steps.push(SmokeStep::CallTool { title: "call", tool: "count", limit_ms: 1000 });
    check.expects.push(Predicate { property: "tool.output", test: Test::Exists });
    check.detail = "tool";
    let (whole, left) = (flow(&with), flow(&Platform { tools: None, ..with }));
    assert_eq!((types(&whole, "mcp-call"), types(&left, "mcp-call")), (1, 0));
    for kind in ["smoke-in", "smoke-out", "mcp-router"] {
        assert_eq!(types(&whole, kind), types(&left, kind), "{kind}");
    }
    let judged = left.iter().find(|node| node["id"] == "smoke-route-out").unwrap();
    assert_eq!(judged["rules"].as_array().unwrap().len(), 1, "{judged:#}");
    assert_eq!((&judged["rules"][0]["property"], &judged["detail"]), (&"route".into(), &"route".into()));
    let last = left.iter().find(|node| node["id"] == "smoke-route-1").unwrap();
    assert_eq!(last["wires"][0], serde_json::json!(["smoke-route-out"]), "the way ends at the judge");
}

/// What the shipped platform calls its services must be in no file of a platform that calls them otherwise.
#[test]
fn a_second_platform_with_other_names_validates_and_generates_every_family() {
    let second = platform();
    assert_eq!(second.validate(), []);
    for family in families() {
        let made = (family.make)(&second).unwrap_or_else(|problems| panic!("{}: {problems:?}", family.name));
        assert!(!made.is_empty(), "{}", family.name);
    }
    let made = artifacts(&second, &[]).unwrap();
    let paths: Vec<_> = made.iter().map(|artifact| artifact.path.as_str()).collect();
    for expected in [
        "ops/edge/portal.cfg",
        "images/Dockerfile",
        "images/Dockerfile.dev",
        "ops/secrets/ledger.env.example",
    ] {
        assert!(paths.contains(&expected), "{expected}: {paths:#?}");
    }
    // Not `edge`, `llm` and the like, which are words of the model too; nor what pages say of `xtask` itself.
    for artifact in made.iter().filter(|artifact| !artifact.path.ends_with("compliance.md")) {
        for name in [
            "flowship/ledger",
            "postgres-",
            "node-red",
            "NODE_RED",
            "mcp-tools",
            "node_exporter",
            "victoria",
            "openbao-",
            "openbao.",
            "\"openbao\"",
        ] {
            let lines = artifact.contents.lines().filter(|line| line.contains(name));
            let lines: Vec<_> = lines.collect();
            assert!(lines.is_empty(), "{}: {name}: {lines:#?}", artifact.path);
        }
    }
}
