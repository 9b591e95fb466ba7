//! The flows that both sides serve besides the platform's own: an echo, an echo over a WebSocket, an answer that takes long,
//! and one that says that the flows run.

use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};
use vocabulary::model::Platform;

use foundation::files;

const FLOWS: &str = "flows/flows.json";

pub const ECHO: &str = "echo";
pub const SOCKET: &str = "socket";
pub const SLOW: &str = "slow";
pub const UP: &str = "up";

/// So much longer than it takes may the slow answer take.
pub const SPARE_SECONDS: u32 = 3;

/// Where one of them is.
pub fn path(platform: &Platform, name: &str) -> String {
    format!("{}bench/{name}", platform.edge.path)
}

/// Adds them to a tree.
///
/// # Errors
/// Its flows cannot be read or written.
pub fn add(tree: &Path, platform: &Platform, slow_seconds: u32) -> Result<()> {
    write(tree, platform, slow_seconds, "Served while deploys are measured.")
}

/// The same flows with another revision.
///
/// # Errors
/// As [`add`].
pub fn revise(tree: &Path, platform: &Platform, slow_seconds: u32) -> Result<()> {
    write(tree, platform, slow_seconds, "Served while deploys are measured, once more.")
}

fn write(tree: &Path, platform: &Platform, slow_seconds: u32, about: &str) -> Result<()> {
    let file = tree.join(FLOWS);
    let mut nodes: Vec<Value> = serde_json::from_str(&files::text(&file, files::TEXT)?)?;
    nodes.retain(|node| node["id"] != "bench" && node["z"] != "bench" && node["id"] != "bench-listener");
    nodes.extend(added(platform, slow_seconds, about));
    files::write::whole(&file, 0o644, serde_json::to_string_pretty(&nodes)?)
}

fn added(platform: &Platform, slow_seconds: u32, about: &str) -> Vec<Value> {
    let limit = json!([{ "name": "REQUEST_LIMIT_SECONDS", "value": (slow_seconds + SPARE_SECONDS).to_string(), "type": "num" }]);
    let request = |id: &str, method: &str, name: &str, y: u32, to: &str| {
        json!({
            "id": id, "type": "http in", "z": "bench", "name": format!("the {name}"), "url": path(platform, name),
            "method": method, "upload": false, "skipBodyParsing": false, "swaggerDoc": "", "x": 200, "y": y, "wires": [[to]],
        })
    };
    let response = |id: &str, status: &str, y: u32| {
        json!({
            "id": id, "type": "http response", "z": "bench", "name": id, "statusCode": status, "headers": {}, "x": 700,
            "y": y, "wires": [],
        })
    };
    vec![
        json!({ "id": "bench", "type": "tab", "label": "Bench", "disabled": false, "info": about, "env": limit }),
        request("bench-echo", "post", ECHO, 80, "bench-accepted"),
        response("bench-accepted", "202", 80),
        request("bench-up", "get", UP, 160, "bench-is-up"),
        response("bench-is-up", "200", 160),
        request("bench-slow", "get", SLOW, 240, "bench-wait"),
        json!({
            "id": "bench-wait", "type": "delay", "z": "bench", "name": "", "pauseType": "delay",
            "timeout": slow_seconds.to_string(), "timeoutUnits": "seconds", "rate": "1", "nbRateUnits": "1", "rateUnits": "second",
            "randomFirst": "1", "randomLast": "5", "randomUnits": "seconds", "drop": false, "allowrate": false, "outputs": 1,
            "x": 450, "y": 240, "wires": [["bench-waited"]],
        }),
        response("bench-waited", "200", 240),
        json!({
            "id": "bench-catch", "type": "catch", "z": "bench", "name": "whatever failed", "scope": null, "uncaught": false,
            "x": 200, "y": 400, "wires": [["bench-failed"]],
        }),
        response("bench-failed", "500", 400),
        json!({ "id": "bench-listener", "type": "websocket-listener", "path": path(platform, SOCKET), "wholemsg": "false" }),
        json!({
            "id": "bench-hears", "type": "websocket in", "z": "bench", "name": "the messages", "server": "bench-listener",
            "client": "", "x": 200, "y": 320, "wires": [["bench-says"]],
        }),
        json!({
            "id": "bench-says", "type": "websocket out", "z": "bench", "name": "the echoes", "server": "bench-listener",
            "client": "", "x": 700, "y": 320, "wires": [],
        }),
    ]
}
