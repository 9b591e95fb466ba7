//! Flows that would break are refused before anything starts, with file and node.

use serde_json::json;

use crate::checkout::Checkout;
use crate::flow_files::FLOWS;

#[test]
fn broken_flows_start_nothing() {
    let checkout = Checkout::new();
    let good = checkout.read(FLOWS);
    let refused = |names: &[&str]| {
        let ended = checkout.run(&["dev", "--detach"]);
        assert_eq!(ended.code, Some(1), "{ended:#?}");
        ended.says(names);
        ended.says(&[FLOWS, "cargo xtask check flows"]);
        assert!(!ended.errors.contains("start ") && !ended.errors.contains("initialise"), "{ended:#?}");
        checkout.nothing_runs();
        checkout.write(FLOWS, &good);
    };

    checkout.write(FLOWS, &good[..good.len() / 2]);
    refused(&["flows/flows.json:", "the file ends too early"]);

    checkout.edit_flows(|nodes| {
        nodes.push(json!({ "id": "off", "type": "tab", "label": "Off", "disabled": true, "info": "" }));
        nodes.push(json!({ "id": "odd", "type": "no-such-node", "z": "off", "name": "odd", "x": 1, "y": 1, "wires": [] }));
    });
    refused(&["no-such-node", "odd"]);

    checkout.edit_flows(|nodes| {
        let node = nodes.iter_mut().find(|node| node["id"] == "submit-in").unwrap();
        node["wires"] = json!([["nowhere"]]);
    });
    refused(&["submit-in", "nowhere"]);

    checkout.edit_flows(|nodes| {
        nodes.push(json!({
            "id": "lonely", "type": "http in", "z": "api", "name": "lonely", "url": "/lonely", "method": "get",
            "upload": false, "x": 1, "y": 1, "wires": [[]],
        }));
    });
    refused(&["lonely", "response"]);

    // Which has the engines installed: without them the launcher refuses the flows, when it starts.
    checkout.done(&["check", "flows"]);
    checkout.edit_flows(|nodes| {
        nodes.push(json!({
            "id": "slip", "type": "function", "z": "api", "name": "slip", "func": "return (;", "outputs": 1, "x": 1, "y": 1,
            "wires": [[]],
        }));
    });
    refused(&["[code]", "slip", "line 1, column 9"]);
}
