//! What takes a minute is not lost when a deploy replaces the replica that has it.

use std::time::Instant;

use serde_json::{Value, json};

use super::site::Site;
use crate::web::{self, Answer, MINUTE, SLOW_PROMPT};

/// So many that each replica has some.
const EACH: usize = 4;

/// A route that answers after a minute, and a workflow that waits as long for its model.
fn slow(site: &Site) {
    let mut flows: Vec<Value> = serde_json::from_str(&site.read("flows/flows.json")).unwrap();
    let milliseconds = MINUTE.as_millis().to_string();
    flows.extend([
        json!({ "id": "slow", "type": "tab", "label": "Slow", "disabled": false, "info": "",
                "env": [{ "name": "REQUEST_LIMIT_SECONDS", "type": "num", "value": "64" }] }),
        json!({ "id": "slow-in", "type": "http in", "z": "slow", "name": "", "url": "/api/v1/slow", "method": "post",
                "upload": false, "skipBodyParsing": false, "swaggerDoc": "", "x": 100, "y": 80, "wires": [["slow-auth"]] }),
        json!({ "id": "slow-auth", "type": "api-auth", "z": "slow", "name": "key", "database": "postgres", "x": 300, "y": 80,
                "wires": [["slow-wait"], ["slow-out"]] }),
        json!({ "id": "slow-wait", "type": "delay", "z": "slow", "name": "", "pauseType": "delay", "timeout": milliseconds,
                "timeoutUnits": "milliseconds", "rate": "1", "nbRateUnits": "1", "rateUnits": "second", "randomFirst": "1",
                "randomLast": "5", "randomUnits": "seconds", "drop": false, "allowrate": false, "outputs": 1, "x": 500, "y": 80,
                "wires": [["slow-out"]] }),
        json!({ "id": "slow-catch", "type": "catch", "z": "slow", "name": "", "scope": null, "uncaught": false, "x": 500,
                "y": 160, "wires": [["slow-out"]] }),
        json!({ "id": "slow-out", "type": "http response", "z": "slow", "name": "", "statusCode": "", "headers": {}, "x": 700,
                "y": 80, "wires": [] }),
    ]);
    let asks = flows.iter_mut().find(|node| node["id"] == "worker-answer").unwrap();
    asks["timeout"] = json!(MINUTE.as_millis() + 5_000);
    site.write("flows/flows.json", &serde_json::to_string_pretty(&flows).unwrap());
}

#[test]
#[ignore = "slow: `cargo xtask ci slow-tests` runs it"]
fn requests_and_tasks_of_a_minute_survive_a_deploy() {
    let site = Site::new();
    slow(&site);
    let first = site.package("first", "1.0.0");
    site.write("flows/runtime/later.js", "'use strict';\n");
    let second = site.package("second", "1.1.0");
    site.done(&site.deploy("qa", &first));
    let edge = site.edge("qa");
    let ask = |method: &str, path: &str, body: Option<&Value>| -> Option<Answer> {
        let client = web::patient(&edge.certificate, MINUTE * 3);
        let body = body.map(Value::to_string);
        web::ask_with(&client, method, &format!("{}{path}", edge.url), Some(&edge.key), body.as_deref())
    };
    std::thread::scope(|scope| {
        let asked = Instant::now();
        let requests: Vec<_> =
            (0..EACH).map(|_| scope.spawn(|| ask("POST", "/api/v1/slow", Some(&json!({}))))).collect();
        let question = json!({ "input": { "question": SLOW_PROMPT } });
        let submit = || ask("POST", "/api/v1/workflows/answer-question/tasks", Some(&question)).unwrap();
        let tasks: Vec<String> =
            (0..EACH).map(|_| submit().json()["task_id"].as_str().unwrap().to_owned()).collect();
        crate::until("the model is asked", || (site.model.slow() >= EACH).then_some(()));

        let deployed = Instant::now();
        let printed = site.begin(&site.deploy("qa", &second)).ends(0);
        eprintln!("deployed in {:.1} s:\n{printed}", deployed.elapsed().as_secs_f64());
        assert!(printed.contains("finishes its work and stops (at most 71 s)"), "{printed}");
        assert!(site.release("qa").starts_with("1.1.0-"));
        for request in requests {
            let answer = request.join().unwrap().expect("the connection was not cut");
            assert_eq!(answer.status, 200, "{answer:?}");
        }
        assert!(asked.elapsed() >= MINUTE);
        for task in &tasks {
            let ended = crate::until("the task has a result", || {
                let found = ask("GET", &format!("/api/v1/tasks/{task}"), None)?.json();
                (found["status"] != "queued" && found["status"] != "running").then_some(found)
            });
            assert_eq!(ended["status"], "completed", "{ended:#}");
            assert_eq!(ended["attempts"], 1, "{ended:#}");
        }
        eprintln!("the model was asked {} times for {EACH} tasks", site.model.slow());
    });
}
