//! The limit that a tab or a group gives its http ins, which the launcher reads when the flows start.

use serde_json::Value;
use vocabulary::problem::Problem;

use super::document::{Flows, Node};
use super::{Rule, finding};

/// As `flows/runtime/requests.js` has it.
const VARIABLE: &str = "REQUEST_LIMIT_SECONDS";

/// Judges the variable wherever it is set; `below` is when the edge gives up, in seconds.
pub fn check(flows: &Flows<'_>, below: u16, findings: &mut Vec<Problem>) {
    for node in flows.nodes.iter().filter(|node| node.is_structure() && flows.enabled(node)) {
        for given in variables(node) {
            // What a variable or an expression comes to is known only when the flows run.
            let is_fixed = matches!(given["type"].as_str(), Some("num" | "str") | None);
            let text = given["value"].as_str().map_or_else(|| given["value"].to_string(), str::to_owned);
            let seconds = text.trim().parse::<f64>().ok();
            if is_fixed && !seconds.is_some_and(|seconds| seconds > 0.0 && seconds < f64::from(below)) {
                let message = format!(
                    "its {VARIABLE} is \"{text}\": expected a number of seconds above 0 and below {below}, when the edge \
                     gives up"
                );
                findings.push(finding(flows, node, Rule::Limit, message));
            }
        }
    }
}

fn variables<'a>(node: &'a Node<'_>) -> impl Iterator<Item = &'a Value> {
    let list = node.fields.get("env").and_then(Value::as_array);
    list.into_iter().flatten().filter(|variable| variable["name"] == VARIABLE)
}
