//! Every request is answered, also when a node fails: without a catch Node-RED leaves the client hanging.

use std::collections::HashMap;

use super::document::{Flows, Node};
use super::graph::Graph;
use super::{Finding, Rule, finding};

/// Nodes that pass messages on or end them and have no failure of their own to be caught.
const WITHOUT_FAILURES: &[&str] =
    &["catch", "comment", "complete", "debug", "http in", "junction", "link in", "link out", "status"];

/// How many nodes a message names.
const NAMED: usize = 3;

/// Judges each enabled http in.
pub fn check(flows: &Flows<'_>, findings: &mut Vec<Finding>) {
    let graph = Graph::new(flows);
    let answered =
        |start: usize| graph.reach(start).into_iter().any(|index| flows.nodes[index].kind == "http response");
    let catches = Catches::new(flows, &graph, &answered);
    for (index, node) in flows.nodes.iter().enumerate() {
        if node.kind != "http in" || !graph.is_enabled(index) {
            continue;
        }
        if !answered(index) {
            let message =
                "its requests reach no http response, so clients hang; wire it to one, or disable it";
            findings.push(finding(flows, node, Rule::NoResponse, message));
        }
        let mut uncaught: Vec<usize> =
            graph.reach(index).into_iter().filter(|&inner| !catches.cover(inner)).collect();
        uncaught.sort_unstable();
        if !uncaught.is_empty() {
            findings.push(finding(flows, node, Rule::NoCatch, uncaught_message(flows, &uncaught)));
        }
    }
}

fn uncaught_message(flows: &Flows<'_>, uncaught: &[usize]) -> String {
    let name = |node: &Node<'_>| {
        let tab = node
            .z()
            .and_then(|z| flows.get(z))
            .map(|tab| format!(" on \"{}\"", tab.title()))
            .unwrap_or_default();
        format!("\"{}\" ({}){tab}", node.title(), node.id)
    };
    let mut names: Vec<String> =
        uncaught.iter().take(NAMED).map(|&index| name(&flows.nodes[index])).collect();
    if let Some(more @ 1..) = uncaught.len().checked_sub(NAMED) {
        names.push(format!("{more} more"));
    }
    format!(
        "when {} fails, no http response is reached, so clients hang; add a catch on the same tab that covers it and leads \
         to an http response",
        names.join(", ")
    )
}

/// The enabled catch nodes by tab or subflow, each with whether it leads to an answer.
struct Catches<'f, 'a> {
    flows: &'f Flows<'a>,
    by_z: HashMap<&'f str, Vec<(&'f Node<'a>, bool)>>,
}

impl<'f, 'a> Catches<'f, 'a> {
    fn new(flows: &'f Flows<'a>, graph: &Graph<'_, '_>, answered: &dyn Fn(usize) -> bool) -> Self {
        let mut by_z: HashMap<&str, Vec<(&Node<'_>, bool)>> = HashMap::new();
        for (index, node) in flows.nodes.iter().enumerate() {
            if let Some(z) = node.z().filter(|_| node.kind == "catch" && graph.is_enabled(index)) {
                by_z.entry(z).or_default().push((node, answered(index)));
            }
        }
        Self { flows, by_z }
    }

    fn cover(&self, index: usize) -> bool {
        let node = &self.flows.nodes[index];
        if WITHOUT_FAILURES.contains(&node.kind.as_str()) {
            return true;
        }
        let Some(z) = node.z() else { return true };
        let all = self.by_z.get(z).map_or(&[][..], Vec::as_slice);
        let mut catching: Vec<_> = all.iter().filter(|(catch, _)| self.catches(catch, node)).collect();
        // A catch of the uncaught gets only what no other has.
        if catching.iter().any(|(catch, _)| !catch.flag("uncaught")) {
            catching.retain(|(catch, _)| !catch.flag("uncaught"));
        }
        // What a subflow does not catch fails as its instance, which is on the way and judged by itself.
        let handed_on = catching.is_empty() && self.flows.get(z).is_some_and(|z| z.kind == "subflow");
        handed_on || catching.iter().any(|(_, answers)| *answers)
    }

    fn catches(&self, catch: &Node<'_>, node: &Node<'_>) -> bool {
        match catch.fields.get("scope") {
            Some(serde_json::Value::Array(_)) => catch.ids("scope").any(|id| id == node.id),
            Some(serde_json::Value::String(scope)) if scope == "group" => match catch.text("g") {
                Some(group) => self.groups_of(node).any(|around| around == group),
                None => true,
            },
            _ => true,
        }
    }

    /// The groups around a node, from the innermost; as many steps as there are nodes, should they go in circles.
    fn groups_of<'n>(&'n self, node: &'n Node<'_>) -> impl Iterator<Item = &'n str> {
        let outer = |group: &&'n str| self.flows.get(group).and_then(|group| group.text("g"));
        std::iter::successors(node.text("g"), outer).take(self.flows.nodes.len())
    }
}
