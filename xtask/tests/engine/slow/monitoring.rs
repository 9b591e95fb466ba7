//! What watches the others, in containers: real Prometheus, Alertmanager, VictoriaLogs, exporters and log collector. It
//! needs a container engine.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use serde_json::Value;

use super::secret_store::secrets;
use super::secrets::Running;
use crate::compose::{docker, until};
use crate::deploys::{Client, Site};
use crate::web;

const FILE: &str = "ops/environments/qa.toml";
/// All that is scraped besides the replicas.
const SCRAPED: [&str; 7] = [
    "alertmanager",
    "edge",
    "node-exporter",
    "otel-collector",
    "postgres-exporter",
    "prometheus",
    "victoria-logs",
];

fn ask(site: &Site, service: &str, port: &str, path: &str) -> Option<String> {
    let status = site.json(&["status", "qa"]);
    let one = status["services"].as_array()?.iter().find(|one| one["name"] == service)?;
    let url = format!("http://127.0.0.1:{}{path}", one["ports"][port].as_u64()?);
    Some(web::ask("GET", &url, None, None).filter(|answer| answer.status == 200)?.body)
}

fn prometheus(site: &Site, path: &str) -> Option<Value> {
    serde_json::from_str(&ask(site, "prometheus", "web", path)?).ok()
}

/// These and no others are scraped, and each is up.
#[track_caller]
fn all_up(site: &Site, others: &[&str]) {
    let all = SCRAPED.iter().map(|name| format!("{name}/{name}"));
    let wanted: BTreeSet<String> = all.chain(others.iter().map(|name| (*name).to_owned())).collect();
    let mut seen = String::new();
    let mut look = || {
        let found = prometheus(site, "/api/v1/targets")?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let target = |one: &Value| {
            let name = format!("{}/{}", text(&one["labels"]["job"]), text(&one["labels"]["instance"]));
            (name, format!("{} {}", text(&one["health"]), text(&one["lastError"])))
        };
        let found: BTreeMap<_, _> = found["data"]["activeTargets"].as_array()?.iter().map(target).collect();
        let is_up = found.keys().eq(&wanted) && found.values().all(|health| health == "up ");
        let now = format!("{found:?}");
        if now != seen {
            eprintln!("{now}");
            seen = now;
        }
        is_up.then_some(())
    };
    until("every target is up", &mut look);
}

/// Which process wrote a line, and its number.
type Line = (String, u64);

fn line(fields: &Value) -> Line {
    let seq = &fields["seq"];
    let seq = seq.as_u64().or_else(|| seq.as_str()?.parse().ok());
    let start = fields["start"].as_str();
    start
        .zip(seq)
        .map(|(start, seq)| (start.to_owned(), seq))
        .unwrap_or_else(|| panic!("no number: {fields}"))
}

/// What the store answers; none while it is away.
fn in_store(site: &Site, query: &str) -> Option<Vec<Value>> {
    let query = query.replace(' ', "%20").replace('|', "%7C");
    let body = ask(site, "victoria-logs", "http", &format!("/select/logsql/query?query={query}"))?;
    Some(body.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// The complete lines of the files, but for what the commands themselves print.
fn in_files(site: &Site) -> BTreeSet<Line> {
    let mut lines = BTreeSet::new();
    for entry in fs::read_dir(site.path("state/qa/services")).unwrap() {
        let path = entry.unwrap().path();
        if path.ends_with("deploy.log") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let end = text.rfind('\n').map_or(0, |end| end + 1);
        for one in text[..end].lines() {
            let fields = serde_json::from_str(one).unwrap_or_else(|_| panic!("{}: {one}", path.display()));
            lines.insert(line(&fields));
        }
    }
    lines
}

/// Every line of the files is in the store.
#[track_caller]
fn all_stored(site: &Site, written: &BTreeSet<Line>) {
    until("every line is stored", || {
        let stored = in_store(site, "environment:=qa | fields start, seq")?;
        let stored: BTreeSet<Line> = stored.iter().map(line).collect();
        let missing = written.difference(&stored).count();
        eprintln!("{missing} of {} lines are missing", written.len());
        (missing == 0).then_some(())
    });
}

/// Works on a task, asks for its result, and finds what is written of it.
#[track_caller]
fn story(running: &Running) -> String {
    let (site, client) = (&running.site, Client::unchecked(&running.site, &running.key));
    let id = client.submit();
    until("the task ends", || {
        let (status, said) = client.get(&format!("/api/v1/tasks/{id}")).ok()?;
        (status == 200 && said.contains("\"completed\"")).then_some(())
    });
    until("the edge's and the replica's lines of the task are stored", || {
        let found = in_store(site, &format!("task_id:={id} | fields component"))?;
        let found: BTreeSet<_> = found.iter().filter_map(|one| one["component"].as_str()).collect();
        found.is_superset(&BTreeSet::from(["edge", "node-red"])).then_some(())
    });
    id
}

/// As `docker inspect` shows them, by service.
fn inspected(site: &Site) -> BTreeMap<String, Value> {
    let containers = site.containers();
    let ids: Vec<&str> = containers.values().map(|[id, ..]| id.as_str()).collect();
    let shown = docker(&site.client, &[&["inspect"], &ids[..]].concat());
    for (name, value) in secrets(&site.path("state/qa/secrets")) {
        assert!(!shown.contains(&value), "{name} is shown");
    }
    let all: Vec<Value> = serde_json::from_str(&shown).unwrap();
    let name =
        |one: &Value| one["Config"]["Labels"]["com.docker.compose.service"].as_str().unwrap().to_owned();
    all.into_iter().map(|one| (name(&one), one)).collect()
}

fn networks(container: &Value) -> BTreeSet<String> {
    container["NetworkSettings"]["Networks"].as_object().unwrap().keys().cloned().collect()
}

/// Each is as closed as all others, reads its own secrets only, and is reached by nobody but who has to.
#[track_caller]
fn closed(site: &Site, replica: &str) {
    let all = inspected(site);
    let watching = || SCRAPED.iter().filter(|name| **name != "edge");
    for name in watching() {
        let (one, host) = (&all[*name], &all[*name]["HostConfig"]);
        let user = one["Config"]["User"].as_str().unwrap();
        assert!(["65534:65534", "10001:10001"].contains(&user), "{name}: {user}");
        assert_eq!(host["ReadonlyRootfs"], true, "{name}");
        assert_eq!(host["CapDrop"][0], "ALL", "{name}");
        assert!(host["CapAdd"].is_null() && host["Memory"].as_u64() > Some(0), "{name}: {host:#}");
        assert!(host["SecurityOpt"].to_string().contains("no-new-privileges"), "{name}: {host:#}");
        let mounts = one["Mounts"].as_array().unwrap().iter();
        let read = mounts.filter_map(|mount| mount["Destination"].as_str()?.strip_prefix("/run/secrets/"));
        let expected: &[&str] =
            if *name == "postgres-exporter" { &["postgres-exporter-password"] } else { &[] };
        assert_eq!(read.collect::<Vec<_>>(), expected, "{name}");
        let writable = one["Mounts"].as_array().unwrap().iter();
        let writable: Vec<_> =
            writable.filter(|mount| mount["Type"] == "bind" && mount["RW"] == true).collect();
        assert!(writable.is_empty(), "{name}: {writable:#?}");
    }
    let own = networks(&all["prometheus"]);
    for (name, one) in all.iter().filter(|(name, _)| *name != "prometheus") {
        let is_scraped = SCRAPED.contains(&name.as_str()) || name == replica;
        assert_eq!(!own.is_disjoint(&networks(one)), is_scraped, "prometheus and {name}");
    }
}

/// As the kernel does when memory runs out.
fn kill(site: &Site, service: &str) {
    let pid = inspected(site)[service]["State"]["Pid"].to_string();
    assert!(Command::new("kill").args(["-9", &pid]).status().unwrap().success());
    until(&format!("{service} is another process"), || {
        let now = inspected(site).get(service)?["State"]["Pid"].to_string();
        (now != "0" && now != pid).then_some(())
    });
}

#[test]
#[ignore = "slow, and needs a container engine: `cargo xtask ci slow-engine` runs it"]
fn containers_are_watched_and_what_they_write_is_found() {
    let site = Site::new();
    let settings = format!("with = [\"monitoring\"]\n{}", site.checkout.read(FILE));
    site.checkout.write(FILE, settings.as_bytes());
    let (release, second) = (site.package("1.0.20", "all"), site.package("1.0.21", "all"));
    site.done(&site.deploy(&release));
    let running = Running::of(site);
    let site = &running.site;
    all_up(site, &["node-red/node-red-a"]);
    closed(site, "node-red-a");
    until("the dead man's switch beats", || {
        let listed = String::from_utf8(site.run(&["alerts", "list", "qa"]).stdout).unwrap();
        listed.contains("Watchdog").then_some(())
    });
    let deploys = "/api/v1/query?query=flowship_deploys_total%7Bresult=%22done%22%7D%3D%3D1";
    until("the deploy is counted", || {
        let found = prometheus(site, deploys)?;
        (found["data"]["result"].as_array()?.len() == 1).then_some(())
    });
    let drawn = site.json(&["dashboards", "draw", "qa", "overview"]);
    let picture = &drawn["pictures"][0];
    assert_eq!(
        (&picture["failed"], picture["path"].is_string()),
        (&serde_json::json!([]), true),
        "{drawn:#}"
    );

    let first = story(&running);
    let listed = site.done(&["logs", "qa", "--task", &first]);
    for part in ["edge", "node-red-a"] {
        assert!(listed.contains(part) && !listed.contains("only the newest"), "{part}: {listed}");
    }
    let asked = "/api/v1/query?query=count(up)&time=";
    let then = prometheus(site, "/api/v1/query?query=time()").unwrap()["data"]["result"][0].to_string();
    let then = then.split('.').next().unwrap().to_owned();
    let before = prometheus(site, &format!("{asked}{then}")).unwrap()["data"]["result"].to_string();
    let written = in_files(site);
    kill(site, "victoria-logs");
    let second_task = story(&running);
    kill(site, "victoria-logs");
    kill(site, "otel-collector");
    kill(site, "prometheus");
    all_up(site, &["node-red/node-red-a"]);
    all_stored(site, &written);
    all_stored(site, &in_files(site));
    for id in [first, second_task] {
        let stored = in_store(site, &format!("task_id:={id} component:=edge | fields start"));
        assert!(!stored.unwrap().is_empty(), "{id}");
    }
    let after = prometheus(site, &format!("{asked}{then}")).unwrap()["data"]["result"].to_string();
    assert_eq!(after, before, "what was scraped before");

    // Another replica takes its place, and everything else stays.
    let containers = site.containers();
    site.done(&site.deploy(&second));
    all_up(site, &["node-red/node-red-b"]);
    closed(site, "node-red-b");
    let now = site.containers();
    for name in SCRAPED {
        assert_eq!(now[name], containers[name], "{name} was replaced");
    }
}

#[test]
#[ignore = "slow, and needs a container engine: `cargo xtask ci slow-engine` runs it"]
fn a_secret_store_is_watched_and_those_who_watch_have_their_secrets_from_it() {
    let site = Site::new();
    let settings = format!("with = [\"monitoring\"]\nsecret_store = \"vault\"\n{}", site.checkout.read(FILE));
    site.checkout.write(FILE, settings.as_bytes());
    let release = site.package("1.0.22", "all");
    site.ends(1, &site.deploy(&release));
    let key = site.path("one.key").display().to_string();
    site.done(&["secrets", "init", "qa", "--shares", "1", "--threshold", "1", "--new-key-file", &key]);
    site.done(&site.deploy(&release));
    let running = Running::of(site);
    let site = &running.site;
    all_up(site, &["node-red/node-red-a", "openbao/openbao"]);
    let unsealed = |value: u8| {
        let path = format!("/api/v1/query?query=max(vault_core_unsealed)%3D%3D{value}");
        until(&format!("the metric of the alert SecretStoreSealed is {value}"), || {
            (prometheus(site, &path)?["data"]["result"].as_array()?.len() == 1).then_some(())
        });
    };
    unsealed(1);
    site.done(&["secrets", "seal", "qa"]);
    unsealed(0);
    site.done(&["secrets", "unseal", "qa", "--key-file", &key]);
    unsealed(1);
    let task = story(&running);
    let listed = site.done(&["logs", "qa", "--task", &task]);
    assert!(listed.contains("edge") && listed.contains("node-red-a"), "{listed}");
}
