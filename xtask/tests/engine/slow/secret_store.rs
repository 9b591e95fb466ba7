//! Secrets of containers in a real OpenBao, which runs in a container beside them. For the gate `engine`.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::secrets::{LOGIN, Running};
use crate::compose::docker;
use crate::deploys::{Client, Load, Site};

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

/// Every value is in the files that the containers have mounted, and nowhere else.
#[track_caller]
fn no_value_is_shown(site: &Site) {
    let shown = everything_shown(site);
    assert!(shown.contains("auth/approle/login"), "the store audits to its log");
    let values = secrets(&site.path("state/qa/secrets"));
    assert!(values.len() > 5, "{:?}", values.iter().map(|(name, _)| name).collect::<Vec<_>>());
    for (name, value) in &values {
        assert!(!shown.contains(value), "{name} is shown");
    }
    let files = files_of(site);
    let written = files_with(&files, &values);
    assert!(files.len() > 100 && written.is_empty(), "{} files, {written:#?}", files.len());
}

/// What the engine and the kernel show of the containers, and what they have written.
fn everything_shown(site: &Site) -> String {
    let containers = site.containers();
    let ids: Vec<&str> = containers.values().map(|[id, ..]| id.as_str()).collect();
    let mut shown = docker(&site.client, &[&["inspect"], &ids[..]].concat());
    for id in ids {
        let output = Command::new(&site.client).args(["logs", id]).output().unwrap();
        shown += &String::from_utf8_lossy(&[output.stdout, output.stderr].concat());
    }
    for process in fs::read_dir("/proc").unwrap().flatten() {
        for file in ["environ", "cmdline"] {
            // It may have ended.
            shown += &String::from_utf8_lossy(&fs::read(process.path().join(file)).unwrap_or_default());
        }
    }
    let status = site.json(&["status", "qa"]);
    for port in status["services"].as_array().unwrap().iter().filter_map(|one| one["ports"]["ops"].as_u64()) {
        let client = Client { url: format!("http://127.0.0.1:{port}"), ..Client::unchecked(site, "") };
        shown += &client.get("/metrics").unwrap().1;
    }
    shown
}

/// Of the environment and the volumes of its containers, but those that are there to hold secrets.
fn files_of(site: &Site) -> Vec<PathBuf> {
    // The certificate of the edge is in no store.
    let kept = ["secrets", "roles", "edge-tls-pem"].map(|name| site.path("state/qa").join(name));
    let volumes = docker(&site.client, &["volume", "ls", "--quiet", "--filter", &site.label()]);
    let volumes: Vec<&str> = volumes.split_whitespace().collect();
    let places =
        docker(&site.client, &[&["volume", "inspect", "--format", "{{.Mountpoint}}"], &volumes[..]].concat());
    let places = places.lines().map(PathBuf::from).chain([site.path("state")]);
    let below = |place| walkdir::WalkDir::new(place).into_iter().flatten();
    let files = places.flat_map(below).filter(|entry| entry.file_type().is_file());
    files
        .map(walkdir::DirEntry::into_path)
        .filter(|path| !kept.iter().any(|kept| path.starts_with(kept)))
        .collect()
}

fn files_with(files: &[PathBuf], values: &[(String, String)]) -> Vec<String> {
    let values: String = values.iter().map(|(_, value)| format!("{value}\n")).collect();
    let mut found = Vec::new();
    for files in files.chunks(500) {
        let mut child = Command::new("grep")
            .args(["--files-with-matches", "--text", "--fixed-strings", "--no-messages", "--file=-", "--"])
            .args(files)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(values.as_bytes()).unwrap();
        found.extend(
            String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap().lines().map(str::to_owned),
        );
    }
    found
}

/// A caller sends every value, and a process that has them crashes in a container: neither has any written down. What is planted is found.
fn values_that_are_sent_and_a_crash_leave_nothing(site: &Site) {
    let values = secrets(&site.path("state/qa/secrets"));
    for (_, value) in &values {
        let client = Client::unchecked(site, value.trim());
        let _ = client.get("/api/v1/queues");
        let _ = client.get("/api/v1/nowhere");
    }
    let containers = site.containers();
    let (_, [replica, ..]) = containers.iter().find(|(name, _)| name.starts_with("node-red")).unwrap();
    let crash = "const fs = require('fs'); const folder = '/run/secrets/'; \
                 globalThis.values = fs.readdirSync(folder).map((name) => fs.readFileSync(folder + name, 'utf8')); \
                 if (values.length > 2) process.abort();";
    let crashed = Command::new(&site.client).args(["exec", replica, "node", "-e", crash]).output().unwrap();
    assert_eq!(crashed.status.code(), Some(134), "{crashed:?}");
    for [id, ..] in site.containers().values() {
        let changed = docker(&site.client, &["diff", id]);
        assert!(!changed.lines().any(|line| line.contains("core")), "{changed}");
    }
    no_value_is_shown(site);
    let (_, value) = values.iter().find(|(name, _)| name == "ops-token").unwrap();
    let planted = site.path("state/qa/planted");
    fs::write(&planted, format!("x{value}")).unwrap();
    assert_eq!(files_with(&files_of(site), &values).len(), 1, "it finds what is written");
    fs::remove_file(planted).unwrap();
    let mut planted = Command::new("sleep").arg("60").env("KEY", value).spawn().unwrap();
    assert!(everything_shown(site).contains(value), "it finds what a process was given");
    planted.kill().unwrap();
    planted.wait().unwrap();
}

/// What a socket says to a request in plain text, in the network of this process; none where there is no socket.
fn said(pid: &str, address: &str, port: u16) -> Option<String> {
    let asks = format!(
        "exec 3<>/dev/tcp/{address}/{port} && echo open && printf 'GET / HTTP/1.0\r\n\r\n' >&3 && cat <&3"
    );
    let output = Command::new("nsenter")
        .args(["--net", "--target", pid, "timeout", "3", "bash", "-c", &asks])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.starts_with("open").then_some(said)
}

/// Only the host reaches the store, at one address, and the store only the database.
fn nobody_else_reaches_it(site: &Site) {
    let containers = site.containers();
    let of = |id: &str, format: &str| docker(&site.client, &["inspect", "--format", format, id]);
    let pid = |name: &str| of(&containers[name][0], "{{.State.Pid}}").trim().to_owned();
    let each = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}";
    let addresses = |name: &str| -> Vec<String> {
        of(&containers[name][0], each).split_whitespace().map(str::to_owned).collect()
    };
    let own = addresses(STORE);
    assert_eq!(own.len(), 2, "the host's network, and the database's: {own:?}");
    // Where a gateway answers for everybody, only what is said tells.
    let is_store = |said: String| said.contains("HTTP request to an HTTPS server");
    let reached =
        |from: &str| own.iter().filter(|address| said(from, address, 8200).is_some_and(is_store)).count();
    assert_eq!(reached(&std::process::id().to_string()), 1, "the host");
    let store = pid(STORE);
    let mut measured = 0;
    for name in containers.keys().filter(|name| *name != STORE) {
        assert_eq!(reached(&pid(name)), 0, "{name} reaches the store");
        for (address, port) in
            addresses(name).iter().flat_map(|one| [5432, 1880, 1883, 8443, 4100].map(|port| (one, port)))
        {
            let expected = name == "postgres" && port == 5432;
            let shared =
                own.iter().any(|own| own.rsplit_once('.').unwrap().0 == address.rsplit_once('.').unwrap().0);
            let reached = said(&store, address, port).is_some();
            assert!(!reached || expected && shared, "the store reaches {name} at {address}:{port}");
            measured += usize::from(reached);
        }
    }
    assert_eq!(measured, 1, "the store reaches the database");
    assert_eq!(said(&store, "203.0.113.1", 80), None, "it has a way out");
    let named = "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}";
    let has_way_out = |name: &str| {
        let networks = of(&containers[name][0], named);
        let networks: Vec<&str> = networks.split_whitespace().collect();
        docker(&site.client, &[&["network", "inspect", "--format", "{{.Internal}}"], &networks[..]].concat())
            .contains("false")
    };
    assert!(!has_way_out(STORE) && has_way_out("edge"));
    assert_eq!(of(&containers[STORE][0], "{{.HostConfig.PortBindings}}").trim(), "map[]");
}

/// Also one from before a rotation: what it brings back no longer works, until it is rotated.
fn a_snapshot_comes_back(running: &Running, key: &str) {
    let site = &running.site;
    let file = site.path("store.snapshot").display().to_string();
    site.done(&["secrets", "snapshot", "qa", &file]);
    let values = [LOGIN, "ops-token"].map(|secret| (secret, running.value(secret)));
    for (secret, old) in &values {
        site.done(&["secrets", "rotate", "qa", secret]);
        running.dies(secret, old);
    }
    site.done(&["secrets", "restore", "qa", &file, "--key-file", key]);
    site.done(&["secrets", "render", "qa"]);
    for (secret, old) in &values {
        assert_eq!(running.value(secret), *old, "{secret}");
    }
    site.ends(1, &["secrets", "check", "qa", LOGIN]);
    site.done(&["secrets", "rotate", "qa", LOGIN]);
    running.dies(LOGIN, &values[0].1);
    site.done(&["secrets", "check", "qa"]);
    assert!(site.done(&["smoke", "qa"]).contains("6 of 6 checks passed"));
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
#[ignore = "slow, and needs a container engine: `cargo xtask ci slow-engine` runs it"]
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
    nobody_else_reaches_it(site);
    values_that_are_sent_and_a_crash_leave_nothing(site);

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

    a_snapshot_comes_back(&running, &key);
    running.comes_back_after_everything_was_revoked();
    let values = || secrets(&site.path("state/qa/secrets"));
    let before = values();
    site.done(&["secrets", "render", "qa"]);
    assert_eq!(values(), before, "the store has what the files have");
    no_value_is_shown(site);
}
