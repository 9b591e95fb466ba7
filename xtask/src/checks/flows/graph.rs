//! Which nodes a message can get to: along wires, links, link calls and their returns, complete nodes, and through
//! subflows, whose messages leave by the instance they came in by.
//!
//! A call (link call, subflow instance) is entered to see what it contains, but left only by its summary: whether what
//! it calls comes back. Only where a walk began inside a called part may it leave by every caller.

use std::collections::{HashMap, HashSet};

use super::document::{Flows, Node};
use super::structure::port_targets;

pub struct Graph<'f, 'a> {
    flows: &'f Flows<'a>,
    enabled: Vec<bool>,
    /// Link out -> link ins, whichever side names the other.
    links: HashMap<usize, Vec<usize>>,
    /// Node -> complete nodes that wait for it.
    completes: HashMap<usize, Vec<usize>>,
    /// Subflow id -> its instances.
    instances: HashMap<&'f str, Vec<usize>>,
    link_calls: Vec<usize>,
    link_ins: Vec<usize>,
    /// The called link ins whose messages come to a returning link out.
    returning: HashSet<usize>,
    /// Subflow -> the outputs that its messages come to.
    outputs: HashMap<usize, HashSet<usize>>,
}

/// How a walk treats the ends of a called part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Walk {
    /// Began here: may leave by every caller.
    Free,
    /// Entered by a call, whose summary tells how it comes back.
    Called,
    /// Stays on its own level, to make a summary.
    Level,
}

impl<'f, 'a> Graph<'f, 'a> {
    pub fn new(flows: &'f Flows<'a>) -> Self {
        let enabled: Vec<bool> = flows.nodes.iter().map(|node| flows.enabled(node)).collect();
        let mut graph = Self {
            flows,
            enabled,
            links: HashMap::new(),
            completes: HashMap::new(),
            instances: HashMap::new(),
            link_calls: Vec::new(),
            link_ins: Vec::new(),
            returning: HashSet::new(),
            outputs: HashMap::new(),
        };
        for (index, node) in flows.nodes.iter().enumerate().filter(|(index, _)| graph.enabled[*index]) {
            let named = |field| node.ids(field).filter_map(|id| flows.index(id));
            match node.kind.as_str() {
                "link out" if node.text("mode") != Some("return") => {
                    graph.links.entry(index).or_default().extend(named("links"));
                }
                "link in" => {
                    graph.link_ins.push(index);
                    for out in named("links").filter(|&out| flows.nodes[out].kind == "link out") {
                        graph.links.entry(out).or_default().push(index);
                    }
                }
                "link call" => graph.link_calls.push(index),
                "complete" => {
                    for watched in named("scope") {
                        graph.completes.entry(watched).or_default().push(index);
                    }
                }
                _ => {
                    if let Some(subflow) = node.instance_of() {
                        graph.instances.entry(subflow).or_default().push(index);
                    }
                }
            }
        }
        graph.summarise();
        graph
    }

    /// Finds out what comes back from each call. Calls may call each other in circles: what is known of one can show
    /// more of another, so it goes on until nothing is added.
    fn summarise(&mut self) {
        let called: HashSet<usize> =
            self.link_calls.iter().flat_map(|&call| self.called(&self.flows.nodes[call])).collect();
        let subflows: Vec<usize> = self.instances.keys().filter_map(|id| self.flows.index(id)).collect();
        loop {
            let returning: HashSet<usize> =
                called.iter().copied().filter(|&target| self.comes_back(target)).collect();
            let outputs: HashMap<usize, HashSet<usize>> =
                subflows.iter().map(|&subflow| (subflow, self.outputs_reached(subflow))).collect();
            let known = returning == self.returning && outputs == self.outputs;
            (self.returning, self.outputs) = (returning, outputs);
            if known {
                return;
            }
        }
    }

    pub fn is_enabled(&self, index: usize) -> bool {
        self.enabled[index]
    }

    /// Every enabled node that a message of this node's can get to, itself among them.
    pub fn reach(&self, start: usize) -> HashSet<usize> {
        self.walk(&[start], Walk::Free)
    }

    fn walk(&self, starts: &[usize], how: Walk) -> HashSet<usize> {
        let mut seen: HashSet<(usize, Walk)> = HashSet::new();
        let mut open: Vec<(usize, Walk)> = starts.iter().map(|&start| (start, how)).collect();
        while let Some((index, how)) = open.pop() {
            if self.enabled[index] && seen.insert((index, how)) {
                self.next(index, how, &mut open);
            }
        }
        seen.into_iter().map(|(index, _)| index).collect()
    }

    fn next(&self, index: usize, how: Walk, open: &mut Vec<(usize, Walk)>) {
        let node = &self.flows.nodes[index];
        let mut go = |targets: &[usize], how| open.extend(targets.iter().map(|&target| (target, how)));
        go(self.completes.get(&index).map_or(&[], Vec::as_slice), how);
        match node.kind.as_str() {
            "link out" if node.text("mode") == Some("return") => {
                for &call in self.link_calls.iter().filter(|_| how == Walk::Free) {
                    go(&self.wired(call, None), how);
                }
            }
            "link out" => go(self.links.get(&index).map_or(&[], Vec::as_slice), how),
            "link call" => {
                let called = self.called(node);
                if how != Walk::Level {
                    go(&called, Walk::Called);
                }
                if called.iter().any(|&target| self.returning.contains(&target)) {
                    go(&self.wired(index, None), how);
                }
            }
            _ => match node.instance_of().and_then(|id| self.flows.index(id)) {
                Some(subflow) => {
                    if how != Walk::Level {
                        go(&self.entry(subflow), Walk::Called);
                    }
                    for &output in self.outputs.get(&subflow).into_iter().flatten() {
                        go(&self.wired(index, Some(output)), how);
                    }
                }
                None => go(&self.wired(index, None), how),
            },
        }
        let subflow =
            node.z().and_then(|z| self.flows.get(z)).filter(|z| z.kind == "subflow" && how == Walk::Free);
        if let Some(subflow) = subflow {
            for (output, _) in port_targets(subflow, "out").filter(|(_, id)| *id == node.id) {
                for &instance in self.instances.get(subflow.id.as_str()).map_or(&[][..], Vec::as_slice) {
                    go(&self.wired(instance, Some(output)), how);
                }
            }
        }
    }

    /// The nodes wired to one output, or to all.
    fn wired(&self, index: usize, output: Option<usize>) -> Vec<usize> {
        let wires = self.flows.nodes[index].wires().enumerate();
        let chosen = wires.filter(|(number, _)| output.is_none_or(|output| output == *number));
        chosen.flat_map(|(_, targets)| targets.filter_map(|id| self.flows.index(id))).collect()
    }

    /// The link ins that a link call may call: with a dynamic target, any.
    fn called(&self, call: &Node<'_>) -> Vec<usize> {
        if call.text("linkType") == Some("dynamic") {
            return self.link_ins.clone();
        }
        call.ids("links").filter_map(|id| self.flows.index(id)).collect()
    }

    fn entry(&self, subflow: usize) -> Vec<usize> {
        port_targets(&self.flows.nodes[subflow], "in").filter_map(|(_, id)| self.flows.index(id)).collect()
    }

    fn comes_back(&self, link_in: usize) -> bool {
        self.walk(&[link_in], Walk::Level).into_iter().any(|index| {
            let node = &self.flows.nodes[index];
            node.kind == "link out" && node.text("mode") == Some("return")
        })
    }

    fn outputs_reached(&self, subflow: usize) -> HashSet<usize> {
        let reached = self.walk(&self.entry(subflow), Walk::Level);
        port_targets(&self.flows.nodes[subflow], "out")
            .filter_map(|(output, id)| self.flows.index(id).map(|index| (output, index)))
            // An output may be wired straight to the subflow's input.
            .filter(|(_, index)| *index == subflow || reached.contains(index))
            .map(|(output, _)| output)
            .collect()
    }
}
