//! Each workflow has a rule in the router that its tasks come to. What no rule wants leaves by the fallback, where another
//! workflow's prompt awaits it; a rule may name the fallback where that is meant. Tasks that come to no task-complete never
//! complete, which is a warning.
//!
//! Rules are read as `flows/nodes/lib/rules.js` does, as far as the workflow decides them.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde_json::Value;
use vocabulary::problem::Problem;

use super::document::{Flows, Node};
use super::graph::{Bounds, Graph, Way};
use super::{Rule, finding, warning};

/// The last output, as a rule names it.
const FALLBACK: &str = "fallback";

/// The properties of a message that hold the workflow's id.
const WORKFLOW: &[&str] = &["workflow_id", "task.workflow_id"];

/// Judges each workflow that tasks can be of.
pub fn check(flows: &Flows<'_>, graph: &Graph<'_, '_>, findings: &mut Vec<Problem>) {
    let of_kind = |kind: &'static str| {
        flows
            .nodes
            .iter()
            .enumerate()
            .filter(move |(index, node)| node.kind == kind && graph.is_enabled(*index))
    };
    for (_, workflow) in of_kind("workflow") {
        let Some(id) = workflow.text("workflow_id") else { continue };
        let unrouted = RefCell::new(BTreeSet::new());
        let outputs = |index: usize| {
            let router = &flows.nodes[index];
            (router.kind == "mcp-router").then(|| {
                let routed = routed(router, id);
                if routed.unmeant && decides(router) {
                    unrouted.borrow_mut().insert(index);
                }
                routed.outputs
            })
        };
        let ways: Vec<Way> = of_kind("task-worker")
            .map(|(worker, _)| graph.reach(worker, Bounds { outputs: Some(&outputs), ..Bounds::default() }))
            .collect();
        let unrouted = unrouted.into_inner();
        if unrouted.is_empty() && !ways.is_empty() && !ways.iter().any(|way| way.has(flows, "task-complete"))
        {
            let message = "its tasks reach no task-complete, so each attempt ends at the time limit unless it fails \
                           earlier; wire its last node to a task-complete";
            findings.push(warning(flows, workflow, Rule::Routing, message));
        }
        for router in unrouted {
            let router = &flows.nodes[router];
            let message = format!(
                "the router \"{}\" ({}) has no rule for its tasks, so they go to the fallback, which expects another \
                 input; add a rule: workflow_id equals {id}, with its own output, or with \"{FALLBACK}\" if you want \
                 that",
                router.title(),
                router.id
            );
            findings.push(finding(flows, workflow, Rule::Routing, message));
        }
    }
}

/// Where a router may send a workflow's tasks.
struct Routed {
    /// Numbers of outputs.
    outputs: Vec<usize>,
    /// Whether they may leave by the fallback although no rule says so.
    unmeant: bool,
}

fn routed(router: &Node<'_>, workflow: &str) -> Routed {
    let names: Vec<&str> = router.ids("outputNames").collect();
    let mut outputs = Vec::new();
    for rule in rules(router) {
        let held = holds(rule, workflow);
        if held == Some(false) {
            continue;
        }
        let output = rule["output"].as_str().unwrap_or_default();
        let named = names.iter().position(|name| *name == output).filter(|_| output != FALLBACK);
        outputs.push(named.unwrap_or(names.len()));
        // A pattern that is not read here is the author's word.
        if held == Some(true) || rule["operator"] == "matches" && is_workflow(rule) {
            return Routed { outputs, unmeant: false };
        }
    }
    outputs.push(names.len());
    Routed { outputs, unmeant: true }
}

fn rules<'n>(router: &'n Node<'_>) -> impl Iterator<Item = &'n Value> {
    router.fields.get("rules").and_then(Value::as_array).into_iter().flatten()
}

/// Whether a router is about workflows at all.
fn decides(router: &Node<'_>) -> bool {
    rules(router).any(is_workflow)
}

fn is_workflow(rule: &Value) -> bool {
    rule["property"].as_str().is_some_and(|property| WORKFLOW.contains(&property))
}

/// Whether a rule holds for every task of a workflow; `None` where the task decides.
fn holds(rule: &Value, workflow: &str) -> Option<bool> {
    if !is_workflow(rule) {
        return None;
    }
    let wanted = rule["value"].as_str();
    match rule["operator"].as_str()? {
        "equals" => Some(wanted == Some(workflow)),
        "differs" => Some(wanted != Some(workflow)),
        "exists" => Some(true),
        // An id begins with a letter, so it is no number.
        "missing" | "above" | "below" => Some(false),
        "matches" => matches(wanted?, workflow),
        _ => None,
    }
}

/// Whether a pattern of plain words, with `^`, `$` and `|`, matches; `None` for others.
fn matches(pattern: &str, text: &str) -> Option<bool> {
    let plain =
        |word: &str| word.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_".contains(letter));
    let mut any = false;
    for word in pattern.split('|') {
        let (start, end) = (word.strip_prefix('^'), word.strip_suffix('$'));
        let word = word.trim_start_matches('^').trim_end_matches('$');
        if !plain(word) {
            return None;
        }
        any |= match (start.is_some(), end.is_some()) {
            (true, true) => text == word,
            (true, false) => text.starts_with(word),
            (false, true) => text.ends_with(word),
            (false, false) => text.contains(word),
        };
    }
    Some(any)
}
