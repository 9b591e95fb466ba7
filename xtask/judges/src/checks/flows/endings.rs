//! Nodes on the way to an http response at which a message may end: its client then waits until the launcher gives up.
//!
//! Whether one does end there, the message decides, so these are warnings.

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;
use vocabulary::problem::Problem;

use super::document::{Flows, Node};
use super::graph::{Graph, Way};
use super::{Rule, warning};

/// Where messages of requests may end.
pub struct Endings<'f, 'a> {
    flows: &'f Flows<'a>,
    graph: &'f Graph<'f, 'a>,
    /// Node -> why, and the http ins whose messages come by.
    found: BTreeMap<usize, (String, Vec<usize>)>,
    /// Nodes on tabs that were looked at: what ends there does not depend on who comes by.
    looked_at: HashSet<usize>,
}

impl<'f, 'a> Endings<'f, 'a> {
    pub fn new(flows: &'f Flows<'a>, graph: &'f Graph<'f, 'a>) -> Self {
        Self { flows, graph, found: BTreeMap::new(), looked_at: HashSet::new() }
    }

    /// Looks along the way of an http in. What ends in a called part is the time-out of its call.
    pub fn look(&mut self, http_in: usize, way: &Way) {
        let answered = |start| self.graph.is_answered(start, way);
        for &index in &way.own {
            let on_tab = self.graph.subflow_of(&self.flows.nodes[index]).is_none();
            if on_tab && !self.looked_at.insert(index) {
                if let Some((_, http_ins)) = self.found.get_mut(&index) {
                    http_ins.push(http_in);
                }
                continue;
            }
            let Some(why) = self.why(index, &answered).filter(|_| answered(index)) else { continue };
            self.found.entry(index).or_insert((why, vec![])).1.push(http_in);
        }
    }

    pub fn report(self, findings: &mut Vec<Problem>) {
        for (index, (why, mut http_ins)) in self.found {
            http_ins.sort_unstable();
            let first = &self.flows.nodes[http_ins[0]];
            let more = match http_ins.len() {
                1 => String::new(),
                count => format!(" and {} more", count - 1),
            };
            let message = format!(
                "{why}; a request of \"{}\" ({}){more} that ends here gets no answer (on this platform, 504 at its \
                 time limit)",
                first.title(),
                first.id
            );
            findings.push(warning(self.flows, &self.flows.nodes[index], Rule::MayEnd, message));
        }
    }

    fn why(&self, index: usize, answered: &dyn Fn(usize) -> bool) -> Option<String> {
        let node = &self.flows.nodes[index];
        let text = |field| node.text(field).unwrap_or_default();
        let number = |field| match node.fields.get(field) {
            Some(Value::String(text)) => text.trim().parse().unwrap_or(0.0),
            Some(Value::Number(number)) => number.as_f64().unwrap_or(0.0),
            _ => 0.0,
        };
        match node.kind.as_str() {
            "switch" => self.switch(node, answered),
            "rbe" => Some("it drops messages that have not changed; do not put it before a response".to_owned()),
            // Below 0 it repeats what comes, and drops nothing.
            "trigger" if number("duration") >= 0.0 => Some(
                "it drops messages that arrive before it is ready again; do not put it before a response"
                    .to_owned(),
            ),
            "join" if text("mode") == "custom" && number("count") > 0.0 && number("timeout") <= 0.0 => {
                Some("it waits for a number of messages that may never arrive; set a time-out".to_owned())
            }
            "batch" if matches!(text("mode"), "" | "count") => {
                Some("it waits for a number of messages that may never arrive; group by interval".to_owned())
            }
            "delay" if node.flag("drop") && matches!(text("pauseType"), "rate" | "queue" | "timed") => Some(
                "it drops messages that arrive too fast; send them to its second output and answer them, or queue them"
                    .to_owned(),
            ),
            _ => None,
        }
    }

    fn switch(&self, node: &Node<'_>, answered: &dyn Fn(usize) -> bool) -> Option<String> {
        let rules = node.fields.get("rules").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        if !rules.iter().any(|rule| rule["t"] == "else") && !complementary(rules) {
            return Some(
                "it has no rule for messages that match no other rule; add an \"otherwise\" that leads to an http \
                 response"
                    .to_owned(),
            );
        }
        let mut outputs: Vec<bool> =
            node.wires().map(|targets| targets.filter_map(|id| self.flows.index(id)).any(answered)).collect();
        outputs.resize(outputs.len().max(rules.len()), false);
        let lost = outputs.iter().position(|answered| !answered)?;
        Some(format!("its output {} leads to no http response; wire it to one", lost + 1))
    }
}

/// Two rules of which one always holds.
fn complementary(rules: &[Value]) -> bool {
    let pairs = [("null", "nnull"), ("eq", "neq")];
    rules.iter().any(|one| {
        let other = pairs.iter().find(|(kind, _)| one["t"] == *kind).map(|(_, other)| *other);
        rules.iter().any(|two| {
            other.is_some_and(|other| two["t"] == other) && one["v"] == two["v"] && one["vt"] == two["vt"]
        })
    })
}
