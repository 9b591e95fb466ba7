//! Secrets of containers in a real OpenBao, which runs in a container beside them. For the gate `engine`.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::compose::docker;
use super::deploys::{Client, Load, Site};
use super::secrets::{LOGIN, Running};

const FILE: &str = "ops/environments/qa.toml";
const STORE: &str = "openbao";

fn names(site: &Site) -> Vec<String> {
    site.containers().into_keys().collect()
}

/// The command fails, and says which secret cannot be read, why, and what to do.
#[track_caller]
fn fails_closed(site: &Site, command: &[&str], why: &str) {
    let said = site.ends(1, command);
    for part in ["cannot read ", LOGIN, why] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

/// Every value is in the files that the containers have mounted, and nowhere else that the engine shows.
#[track_caller]
fn no_value_is_shown(site: &Site) {
    let containers = site.containers();
    let ids: Vec<&str> = containers.values().map(|[id, ..]| id.as_str()).collect();
    let mut shown = docker(&site.client, &[&["inspect"], &ids[..]].concat());
    for id in ids {
        let output = Command::new(&site.client).args(["logs", id]).output().unwrap();
        shown += &String::from_utf8_lossy(&[output.stdout, output.stderr].concat());
    }
    assert!(shown.contains("auth/approle/login"), "the store audits to its log");
    let values = secrets(&site.path("state/qa/secrets"));
    assert!(values.len() > 5, "{:?}", values.iter().map(|(name, _)| name).collect::<Vec<_>>());
    for (name, value) in values {
        assert!(!shown.contains(&value), "{name} is shown");
    }
}

/// The longest line of each: of a pair, a part of the key.
pub fn secrets(folder: &Path) -> Vec<(String, String)> {
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let longest = |path: &Path| {
        let text = fs::read_to_string(path).unwrap();
        text.lines().rev().max_by_key(|line| line.len()).unwrap().to_owned()
    };
    files.map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), longest(&path))).collect()
}

#[test]
#[ignore = "needs a container engine: `cargo xtask ci engine` runs it"]
fn containers_have_their_secrets_from_a_store_and_nothing_starts_without_it() {
    let site = Site::new();
    let settings = format!("secret_store = \"vault\"\n{}", site.checkout.read(FILE));
    site.checkout.write(FILE, settings.as_bytes());
    let release = site.package("1.0.10", "all");
    fails_closed(&site, &site.deploy(&release), "has no keys: `flowship secrets init qa`");
    assert_eq!(names(&site), [STORE], "nothing else was started");
    let key = site.path("one.key").display().to_string();
    site.done(&["secrets", "init", "qa", "--shares", "1", "--threshold", "1", "--new-key-file", &key]);
    site.done(&site.deploy(&release));
    let running = Running::of(site);
    let site = &running.site;
    no_value_is_shown(site);

    let before = site.containers();
    let load = Load::begin(Client::unchecked(site, &running.key));
    for secret in [LOGIN, "ops-token", "api-key"] {
        running.survives_every_kill(secret);
        let new = running.value(secret);
        site.done(&["secrets", "render", "qa"]);
        assert_eq!(running.value(secret), new, "the store has another {secret} than the file");
    }
    site.done(&["secrets", "check", "qa"]);
    site.done(&["secrets", "audit", "qa"]);

    // What runs has its secrets, and goes on.
    site.done(&["secrets", "seal", "qa"]);
    fails_closed(site, &site.deploy(&release), "is sealed: `flowship secrets unseal qa`");
    load.lost_nothing();
    assert_eq!(site.containers(), before, "no container was replaced");

    docker(&site.client, &["stop", &before[STORE][0]]);
    fails_closed(site, &["secrets", "render", "qa"], "does not answer");

    site.done(&["down", "qa"]);
    fails_closed(site, &["start", "qa"], "is sealed: `flowship secrets unseal qa`");
    assert_eq!(names(site), [STORE], "nothing else was started");
    site.done(&["secrets", "unseal", "qa", "--key-file", &key]);
    site.done(&["start", "qa"]);
    assert!(site.done(&["smoke", "qa"]).contains("6 of 6 checks passed"));

    let old = running.value("ops-token");
    site.done(&["secrets", "revoke", "qa", "ops-token"]);
    assert!(!running.is_accepted("ops-token", &old));
    site.done(&["secrets", "rotate", "qa", "ops-token"]);
    running.dies("ops-token", &old);
    no_value_is_shown(site);
}
