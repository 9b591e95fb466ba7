//! A deployed environment that is stopped, is started again, loses its machine, and serves other machines.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};
use serde_json::json;
use vocabulary::model::{Exposure, Service};

use super::site::Site;
use crate::control::Control;
use crate::free_ports::free;
use crate::processes::{Pid, listening, running_in};
use crate::web::{self, Answer};

const FILE: &str = "ops/environments/qa.toml";

#[test]
fn what_was_deployed_is_stopped_and_started_again_also_after_the_machine_was_lost() {
    let site = Site::new();
    let release = site.package("first", "1.0.0");
    assert_eq!(site.run(&["start", "qa"]).code, Some(2), "nothing was deployed");
    serves_other_machines(&site, &release);
    let deployed = site.release("qa");
    let task = submit(&site);

    let stopped = site.done(&["down", "qa"]);
    assert!(stopped.out.contains("qa is stopped"), "{stopped:#?}");
    assert_eq!(running_in(&site.of("qa")), [""; 0]);
    let status = site.ends(2, &["status", "qa"]);
    status.says(&["no service of qa runs", "start qa"]);
    assert_eq!(change(&site), ("stop".into(), "done".into()));
    assert!(site.done(&["down", "qa"]).out.contains("nothing of qa runs"));

    // By the link that stays, as a system starts it, and not by the program of the checkout.
    let program = site.of("qa").join("flowship");
    let started = site.program(&program, &["start", "qa"]);
    assert_eq!(started.code, Some(0), "{started:#?}");
    runs_as_before(&site, &deployed);
    assert_eq!(change(&site), ("start".into(), "done".into()));
    let ended = crate::until("the task has a result", || {
        let found = ask(&site, "GET", &format!("/api/v1/tasks/{task}"), None)?.json();
        (found["status"] == "completed").then_some(found)
    });
    assert!(ended["result"].is_object() || ended["result"].is_string(), "{ended:#}");

    let history = site.history("qa").len();
    assert!(site.done(&["start", "qa"]).out.contains(&format!("already runs {deployed}")));
    assert_eq!(site.history("qa").len(), history);

    // As when the power fails: everything at once, the supervisor too.
    assert!(running_in(&site.of("qa")).len() > 4);
    Control::of(&site.of("qa").join("supervisor")).pid().signal(Signal::KILL);
    crate::until("everything has ended", || {
        let left = running_in(&site.of("qa"));
        let pids = left.iter().map(|line| Pid(line.split(' ').next().unwrap().parse().unwrap()));
        // One may have ended by now.
        pids.filter(|pid| pid.runs()).for_each(|pid| {
            let _ = kill_process(rustix::process::Pid::from_raw(pid.0).unwrap(), Signal::KILL);
        });
        left.is_empty().then_some(())
    });
    site.done(&["start", "qa"]);
    runs_as_before(&site, &deployed);

    site.done(&["down", "qa"]);
    let file = site.of("qa").join("releases").join(&deployed).join("tree/flows/flows.json");
    fs::remove_file(file).unwrap();
    site.ends(2, &["start", "qa"]).says(&["qa was not started", "flows/flows.json is missing"]);
    assert_eq!(running_in(&site.of("qa")), [""; 0]);
}

/// On the address and the ports that its file names, and nothing else does.
fn serves_other_machines(site: &Site, release: &std::path::Path) {
    let settings = site.read(FILE) + &private_authority(site);
    let [http, https] = free();
    let listen = |address: &str, https: u16| {
        let text = format!("{settings}\n[listen]\naddress = \"{address}\"\nhttp = {http}\nhttps = {https}\n");
        site.write(FILE, &text);
    };
    let taken = [http, 0].map(|port| TcpListener::bind(("127.0.0.2", port)).unwrap());
    listen("127.0.0.2", taken[1].local_addr().unwrap().port());
    let refused = site.ends(1, &site.deploy("qa", release));
    refused.says(&[
        "nothing was changed in qa",
        "which it sets for listen.https, is taken by",
        "which it sets for listen.http, is taken by",
    ]);
    assert!(!site.state().exists(), "{:#?}", site.files());
    drop(taken);

    listen("127.0.0.2", https);
    let deployed = site.done(&site.deploy("qa", release));
    // Who trusts the authority needs nothing else, and others are refused.
    deployed.says(&["certificate_file under [tls]", "its issuer (issuer=CN = authority)", "append it"]);
    let smoke = site.done(&["smoke", "qa"]);
    assert!(smoke.out.contains("6 of 6 checks passed"), "{smoke:#?}");
    smoke_ends_with_its_limit_and_when_it_is_stopped(site);
    let reaches = |address: &str, port: u16| TcpStream::connect((address, port)).is_ok();
    assert!(reaches("127.0.0.2", http) && reaches("127.0.0.2", https));
    assert!(!reaches("127.0.0.1", http) && !reaches("127.0.0.1", https));
    let services = site.status("qa")["services"].as_array().unwrap().clone();
    for service in services.iter().filter(|service| service["name"] != "edge") {
        for port in service["ports"].as_object().unwrap().values() {
            let port = port.as_u64().unwrap().try_into().unwrap();
            assert!(!reaches("127.0.0.2", port), "{service:#}");
        }
    }
    only_what_is_declared_listens(site);
    let shown = site.done(&["status", "qa"]).out;
    assert!(shown.contains(&format!("https://flows.example.com:{https}\n")), "{shown}");
}

/// Settings with a certificate of an authority that no machine knows; its file does not have that of the authority.
fn private_authority(site: &Site) -> String {
    let folder = site.path("tls");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("ext"), "subjectAltName=DNS:flows.example.com\n").unwrap();
    for words in [
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=authority",
        "req -newkey rsa:2048 -nodes -keyout leaf.key -out leaf.csr -subj /CN=flows.example.com",
        "x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out leaf.pem",
    ] {
        let made = Command::new("openssl").args(words.split(' ')).current_dir(&folder).output().unwrap();
        assert!(made.status.success(), "{made:#?}");
    }
    let path = |name: &str| folder.join(name).display().to_string();
    format!("[tls]\ncertificate_file = \"{}\"\nkey_file = \"{}\"\n", path("leaf.pem"), path("leaf.key"))
}

/// Also while the edge does not answer: its processes stand still, and the kernel accepts connections for them.
fn smoke_ends_with_its_limit_and_when_it_is_stopped(site: &Site) {
    let pid = |line: &String| Pid(line.split(' ').next().unwrap().parse().unwrap());
    let lines = running_in(&site.of("qa"));
    let edge: Vec<Pid> = lines.iter().filter(|line| line.contains("haproxy")).map(pid).collect();
    assert!(edge.len() > 1, "{lines:#?}");
    edge.iter().for_each(|pid| pid.signal(Signal::STOP));
    let begun = Instant::now();
    let limited = site.ends(1, &["smoke", "qa", "--limit", "2"]);
    assert!(limited.out.contains("5 of 6 checks passed"), "{limited:#?}");
    assert!(begun.elapsed() < Duration::from_secs(8), "{limited:#?}");

    let stopped = site.begin(&["smoke", "qa"]);
    crate::until("it asks the edge", || {
        let asks = running_in(&site.of("qa").join("secrets/edge-tls-pem"));
        asks.iter().any(|line| line.contains("s_client")).then_some(())
    });
    stopped.pid().signal(Signal::INT);
    stopped.ends(130);
    edge.iter().for_each(|pid| pid.signal(Signal::CONT));
    assert!(site.done(&["smoke", "qa"]).out.contains("6 of 6 checks passed"));
}

/// The ports of the model, at the addresses that its engine promises. More cannot be told apart on one host: whatever runs
/// there reaches all of them.
fn only_what_is_declared_listens(site: &Site) {
    let platform = platform::platform();
    let mut declared: BTreeSet<(IpAddr, u16)> = BTreeSet::new();
    let services = site.status("qa")["services"].as_array().unwrap().clone();
    assert!(!services.is_empty());
    for running in &services {
        let name = running["name"].as_str().unwrap();
        let of = |service: &&Service| {
            name == service.id.0 || (service.scales() && name.starts_with(&format!("{}-", service.id)))
        };
        let service = platform.services.iter().find(of).unwrap();
        let open: Vec<_> =
            service.ports.iter().filter(|port| port.exposure != Exposure::Development).collect();
        let shown: BTreeSet<&str> =
            running["ports"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(shown, open.iter().map(|port| port.name).collect(), "{name}");
        for port in open {
            let public = port.exposure == Exposure::Public;
            let address = if public { "127.0.0.2" } else { "127.0.0.1" }.parse().unwrap();
            declared.insert((address, running["ports"][port.name].as_u64().unwrap().try_into().unwrap()));
        }
    }
    let folder = site.of("qa");
    assert_eq!(listening(&folder), declared);
    // A service that opened one more would be noticed.
    let opens = "import socket, time; s = socket.create_server(('0.0.0.0', 0)); time.sleep(600)";
    let mut planted = Command::new("python3").args(["-c", opens]).current_dir(&folder).spawn().unwrap();
    let more = crate::until("one more port is open", || {
        let found = listening(&folder);
        let more: Vec<_> = found.difference(&declared).copied().collect();
        (!more.is_empty()).then_some(more)
    });
    planted.kill().unwrap();
    planted.wait().unwrap();
    assert!(more.len() == 1 && more[0].0.is_unspecified(), "{more:?}");
}

fn ask(site: &Site, method: &str, path: &str, body: Option<&str>) -> Option<Answer> {
    let edge = site.edge("qa");
    let url = format!("{}{path}", edge.url.replace("127.0.0.1", "127.0.0.2"));
    // The certificate names no such address.
    web::ask_with(&web::unchecked(), method, &url, Some(&edge.key), body)
}

fn submit(site: &Site) -> String {
    let body = json!({ "input": { "question": "what remains?" } }).to_string();
    let answer = ask(site, "POST", "/api/v1/workflows/answer-question/tasks", Some(&body)).unwrap();
    answer.json()["task_id"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned()
}

fn runs_as_before(site: &Site, deployed: &str) {
    assert_eq!(site.release("qa"), deployed);
    let replicas = site.replicas("qa");
    assert_eq!(replicas.len(), 2, "{replicas:#?}");
    assert!(replicas.values().all(|one| one == deployed), "{replicas:#?}");
    crate::until("the edge serves", || {
        ask(site, "GET", "/api/v1/queues", None).filter(|answer| answer.status == 200)
    });
    site.done(&["drift", "qa"]);
}

fn change(site: &Site) -> (String, String) {
    let last = site.history("qa").last().unwrap().clone();
    let text = |key: &str| last[key].as_str().unwrap().to_owned();
    (text("change"), text("result"))
}
