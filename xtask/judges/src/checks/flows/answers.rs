//! Every request is answered, also when a node fails: without a catch Node-RED leaves the client hanging.

use std::cell::RefCell;
use std::collections::HashMap;

use vocabulary::problem::Problem;

use super::document::{Flows, Node};
use super::endings::Endings;
use super::graph::{Bounds, Graph, Way};
use super::{Rule, finding};

/// Nodes that pass messages on or end them and have no failure of their own to be caught.
const WITHOUT_FAILURES: &[&str] =
    &["catch", "comment", "complete", "debug", "http in", "junction", "link in", "link out", "status"];

/// How many nodes a message names.
const NAMED: usize = 3;

/// Judges each enabled http in.
pub fn check(flows: &Flows<'_>, graph: &Graph<'_, '_>, findings: &mut Vec<Problem>) {
    let catches = Catches::new(flows, graph);
    let mut endings = Endings::new(flows, graph);
    for (index, node) in flows.nodes.iter().enumerate() {
        if node.kind != "http in" || !graph.is_enabled(index) {
            continue;
        }
        let way = graph.reach(index, Bounds::default());
        endings.look(index, &way);
        // What fails in a called part, or is lost there, fails as the time-out of the call, which is on the way.
        let mut uncaught: Vec<usize> =
            way.own.iter().copied().filter(|&inner| !catches.cover(inner, &way)).collect();
        uncaught.sort_unstable();
        let times_out = |call: &usize| {
            flows.nodes[*call].kind == "link call" && !graph.comes_back(*call) && !uncaught.contains(call)
        };
        if !way.answers(flows) && !way.own.iter().any(times_out) {
            findings.push(finding(flows, node, Rule::NoResponse, unanswered_message(flows, graph, &way)));
        }
        if !uncaught.is_empty() {
            findings.push(finding(flows, node, Rule::NoCatch, uncaught_message(flows, &uncaught)));
        }
    }
    endings.report(findings);
}

fn unanswered_message(flows: &Flows<'_>, graph: &Graph<'_, '_>, way: &Way) -> String {
    match way.own.iter().copied().filter(|&index| graph.is_return(index)).min() {
        Some(stray) => format!(
            "its requests end at {}, which returns to a link call, but no link call leads there, so clients hang; use \
             a link call, or wire it to an http response",
            naming(flows, stray)
        ),
        None => "its requests reach no http response, so clients hang; wire it to one, or disable this node"
            .to_owned(),
    }
}

fn naming(flows: &Flows<'_>, index: usize) -> String {
    let node = &flows.nodes[index];
    let tab = node.z().and_then(|z| flows.get(z)).map(|tab| format!(" on \"{}\"", tab.title()));
    format!("\"{}\" ({}){}", node.title(), node.id, tab.unwrap_or_default())
}

fn uncaught_message(flows: &Flows<'_>, uncaught: &[usize]) -> String {
    let mut names: Vec<String> = uncaught.iter().take(NAMED).map(|&index| naming(flows, index)).collect();
    if let Some(more @ 1..) = uncaught.len().checked_sub(NAMED) {
        names.push(format!("{more} more"));
    }
    format!(
        "when {} fails, no http response is reached, so clients hang; add a catch for it on the same tab that leads to \
         an http response",
        names.join(", ")
    )
}

/// The enabled catch nodes by tab or subflow.
struct Catches<'f, 'a> {
    flows: &'f Flows<'a>,
    graph: &'f Graph<'f, 'a>,
    by_z: HashMap<&'f str, Vec<usize>>,
    /// Of nodes on tabs, as far as somebody asked: it does not depend on the way.
    covered: RefCell<HashMap<usize, bool>>,
}

impl<'f, 'a> Catches<'f, 'a> {
    fn new(flows: &'f Flows<'a>, graph: &'f Graph<'f, 'a>) -> Self {
        let mut by_z: HashMap<&str, Vec<usize>> = HashMap::new();
        for (index, node) in flows.nodes.iter().enumerate() {
            if let Some(z) = node.z().filter(|_| node.kind == "catch" && graph.is_enabled(index)) {
                by_z.entry(z).or_default().push(index);
            }
        }
        Self { flows, graph, by_z, covered: RefCell::default() }
    }

    /// Whether a request on this way is answered when the node fails.
    fn cover(&self, index: usize, way: &Way) -> bool {
        let node = &self.flows.nodes[index];
        if self.graph.subflow_of(node).is_some() {
            return self.covers(node, way);
        }
        *self.covered.borrow_mut().entry(index).or_insert_with(|| self.covers(node, way))
    }

    fn covers(&self, node: &Node<'_>, way: &Way) -> bool {
        if WITHOUT_FAILURES.contains(&node.kind.as_str()) {
            return true;
        }
        let Some(z) = node.z() else { return true };
        let all = self.by_z.get(z).map_or(&[][..], Vec::as_slice);
        let mut catching: Vec<usize> =
            all.iter().copied().filter(|&catch| self.catches(&self.flows.nodes[catch], node)).collect();
        // A catch of the uncaught gets only what no other has.
        let uncaught = |catch: &usize| self.flows.nodes[*catch].flag("uncaught");
        if !catching.iter().all(uncaught) {
            catching.retain(|catch| !uncaught(catch));
        }
        // What a subflow does not catch fails as its instance, which is on the way and judged by itself.
        let handed_on = catching.is_empty() && self.graph.subflow_of(node).is_some();
        handed_on || catching.into_iter().any(|catch| self.graph.is_answered(catch, way))
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
