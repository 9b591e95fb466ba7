//! Edits of a checkout's flows, as people and editors make them.

use serde_json::{Value, json};

use crate::checkout::Checkout;

pub const FLOWS: &str = "flows/flows.json";

impl Checkout {
    pub fn flows(&self) -> Vec<Value> {
        serde_json::from_str(&self.read(FLOWS)).unwrap()
    }

    pub fn edit_flows(&self, edit: impl FnOnce(&mut Vec<Value>)) {
        let mut nodes = self.flows();
        edit(&mut nodes);
        self.write(FLOWS, &format!("{}\n", serde_json::to_string_pretty(&nodes).unwrap()));
    }
}

/// A tab with one endpoint that answers with `text` after so many seconds.
pub fn endpoint(path: &str, text: &str, seconds: u32) -> Vec<Value> {
    let node = |name: &str, kind: &str, more: Value| {
        let mut node = json!({
            "id": format!("test-{path}-{name}"), "type": kind, "z": format!("test-{path}"), "name": name, "x": 100, "y": 100,
        });
        node.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        node
    };
    let to = |name: &str| json!([[format!("test-{path}-{name}")]]);
    vec![
        json!({ "id": format!("test-{path}"), "type": "tab", "label": path, "disabled": false, "info": "" }),
        node(
            "in",
            "http in",
            json!({ "url": format!("/{path}"), "method": "get", "upload": false, "wires": to("wait") }),
        ),
        node(
            "wait",
            "delay",
            json!({
                "pauseType": "delay", "timeout": seconds.to_string(), "timeoutUnits": "seconds", "rate": "1",
                "nbRateUnits": "1", "rateUnits": "second", "randomFirst": "1", "randomLast": "5",
                "randomUnits": "seconds", "drop": false, "allowrate": false, "outputs": 1, "wires": to("say"),
            }),
        ),
        node(
            "say",
            "change",
            json!({
                "rules": [{ "t": "set", "p": "payload", "pt": "msg", "to": text, "tot": "str" }], "wires": to("out"),
            }),
        ),
        node("caught", "catch", json!({ "scope": null, "uncaught": false, "wires": to("out") })),
        node("out", "http response", json!({ "statusCode": "", "headers": {}, "wires": [] })),
    ]
}
