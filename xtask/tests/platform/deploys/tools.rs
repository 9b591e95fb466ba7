//! Another tools server: it comes beside the one that the replicas use.

use std::time::Duration;

use serde_json::json;

use super::site::{Edge, Site};
use crate::load::{Ended, Load};
use crate::web;

const TOOL: &str = "text_statistics";
const SERVER: &str = "flows/mcp-tools/main.js";

/// A task that calls the tool, until it has its result.
fn task(edge: &Edge) -> Result<(), String> {
    let client = web::trusting(&edge.certificate);
    let ask = |method: &str, path: &str, body: Option<&str>| {
        let url = format!("{}/api/v1/{path}", edge.url);
        let answer = web::ask_with(&client, method, &url, Some(&edge.key), body);
        answer.map(|answer| answer.json()).ok_or_else(|| format!("{method} {path}: no answer"))
    };
    let body = json!({ "input": { "text": "Counted while a release is rolled out." } }).to_string();
    let accepted = ask("POST", "workflows/describe-text/tasks", Some(&body))?;
    let id = accepted["task_id"].as_str().ok_or_else(|| accepted.to_string())?;
    loop {
        let task = ask("GET", &format!("tasks/{id}"), None)?;
        match task["status"].as_str() {
            Some("completed") => return Ok(()),
            Some("queued" | "running" | "retrying") => std::thread::sleep(Duration::from_millis(20)),
            _ => return Err(task.to_string()),
        }
    }
}

#[test]
#[ignore = "slow: `cargo xtask ci slow-tests` runs it"]
fn replicas_call_the_tools_of_their_own_release_until_the_last_old_one_has_left() {
    let site = Site::new();
    let first = site.package("first", "1.0.0");
    let server = site.read(SERVER);
    site.write(SERVER, "process.exit(1);\n");
    let broken = site.package("broken", "1.1.0");
    site.write(SERVER, &server);
    for path in ["flows/mcp-tools/tools.js", "flows/flows.json", "flows/test-smoke.json"] {
        site.write(path, &site.read(path).replace(TOOL, "renamed"));
    }
    let renamed = site.package("renamed", "1.2.0");

    site.done(&site.deploy("qa", &first));
    let edge = site.edge("qa");
    let tools = || {
        let all = site.processes("qa").into_keys().filter(|name| name.starts_with("mcp-tools"));
        all.collect::<Vec<_>>()
    };
    assert_eq!(tools(), ["mcp-tools"]);
    let deploy = site.deploy("qa", &renamed);
    let load = Load::default();
    std::thread::scope(|scope| {
        scope.spawn(|| load.send(|| task(&edge)));
        let _ended = Ended(&load.ended);

        // One that cannot start touches nothing.
        let before = site.processes("qa");
        let ended = site.ends(1, &site.deploy("qa", &broken));
        assert!(
            ended.out.contains("was rolled back") && ended.out.contains("mcp-tools-b has ended"),
            "{ended:#?}"
        );
        assert_eq!(site.processes("qa"), before);

        // The old replicas find their tool under its old name only, and the new ones under its new name only.
        for (command, place) in [(&deploy[..], "mcp-tools-b"), (&["rollback", "qa"], "mcp-tools")] {
            load.goes_on(20);
            site.done(command);
            assert_eq!(tools(), [place]);
            site.done(&["drift", "qa"]);
        }
        load.goes_on(20);
    });
    let failed = load.failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} of {} failed: {failed:#?}", failed.len(), load.sent.into_inner());

    site.done(&deploy);
    site.done(&["down", "qa"]);
    site.done(&["start", "qa"]);
    assert_eq!(tools(), ["mcp-tools"]);
    site.done(&["drift", "qa"]);
}
