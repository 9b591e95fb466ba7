//! A deployed environment that is stopped, is started again, loses its machine, and serves other machines.

use std::fs;
use std::net::{TcpListener, TcpStream};

use rustix::process::{Signal, kill_process};
use serde_json::json;

use super::site::Site;
use crate::control::Control;
use crate::processes::{Pid, running_in};
use crate::web::{self, Answer};

const FILE: &str = "ops/environments/qa.toml";

fn free() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

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
    let settings = site.read(FILE);
    let (http, https) = (free(), free());
    let listen = |address: &str, https: u16| {
        let text = format!("{settings}\n[listen]\naddress = \"{address}\"\nhttp = {http}\nhttps = {https}\n");
        site.write(FILE, &text);
    };
    let taken = TcpListener::bind("127.0.0.2:0").unwrap();
    listen("127.0.0.2", taken.local_addr().unwrap().port());
    let refused = site.run(&site.deploy("qa", release));
    assert_ne!(refused.code, Some(0), "{refused:#?}");
    refused.says(&["which it sets for listen.https", "is taken by"]);

    listen("127.0.0.2", https);
    site.done(&site.deploy("qa", release));
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
    let shown = site.done(&["status", "qa"]).out;
    assert!(shown.contains(&format!("https://flows.example.com:{https}\n")), "{shown}");
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
