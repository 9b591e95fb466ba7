//! Which nodes a message can get to: along wires, links, link calls and their returns, complete nodes, and through
//! subflows, whose messages leave by the instance they came in by.
//!
//! A call (link call, subflow instance) is entered to see what it contains, but left only by its summary: whether what
//! it calls comes back. A link call returns only to who called: what began without a call ends at a returning link out.

use std::cell::RefCell;
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
    /// The called link ins, and the subflows, whose messages come to a returning link out.
    returning: HashSet<usize>,
    /// Subflow -> the outputs that its messages come to.
    outputs: HashMap<usize, HashSet<usize>>,
    /// Of nodes on tabs, whether a message of theirs gets to an http response, as far as somebody asked.
    answered: RefCell<HashMap<usize, bool>>,
}

/// Where a walk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Walk {
    /// Where it began: leaves a subflow by its instances.
    Free,
    /// At an instance of the subflow that it began in.
    Around,
    /// In a subflow that it entered, whose summary tells how it comes back.
    Inside,
    /// In what a link call called, whose summary tells whether it comes back.
    Called,
    /// Stays on its own level, to make a summary.
    Level,
}

/// What of the graph a message does not take.
#[derive(Clone, Copy, Default)]
pub struct Bounds<'b> {
    /// It leaves a subflow that it begins in by these instances only.
    pub by: Option<&'b HashSet<usize>>,
    /// The outputs that it leaves a node by, where that is known.
    pub outputs: Option<&'b dyn Fn(usize) -> Option<Vec<usize>>>,
}

/// The enabled nodes that a message gets to.
#[derive(Debug, Default)]
pub struct Way {
    /// With the one it began at, and the instances of subflows that it began in.
    pub own: HashSet<usize>,
    /// Those that are also, or only, reached in the part that a link call called.
    pub called: HashSet<usize>,
}

impl Way {
    /// Whether an http response is on it.
    pub fn answers(&self, flows: &Flows<'_>) -> bool {
        self.has(flows, "http response")
    }

    /// Whether a node of this type is on it.
    pub fn has(&self, flows: &Flows<'_>, kind: &str) -> bool {
        self.own.iter().chain(&self.called).any(|&index| flows.nodes[index].kind == kind)
    }
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
            answered: RefCell::default(),
        };
        for (index, node) in flows.nodes.iter().enumerate().filter(|(index, _)| graph.enabled[*index]) {
            let named = |field| node.ids(field).filter_map(|id| flows.index(id));
            match node.kind.as_str() {
                "link out" if !graph.is_return(index) => {
                    graph.links.entry(index).or_default().extend(named("links"));
                }
                "link in" => {
                    graph.link_ins.push(index);
                    let joins = |&out: &usize| flows.nodes[out].kind == "link out" && !graph.is_return(out);
                    for out in named("links").filter(joins).collect::<Vec<_>>() {
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
            let returning: HashSet<usize> = called
                .iter()
                .copied()
                .filter(|&target| self.returns(&[target]))
                .chain(subflows.iter().copied().filter(|&subflow| self.returns(&self.entry(subflow))))
                .collect();
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

    /// Whether a link call ever gets something back.
    pub fn comes_back(&self, call: usize) -> bool {
        self.called(&self.flows.nodes[call]).iter().any(|target| self.returning.contains(target))
    }

    /// Whether a node is a link out that returns to who called.
    pub fn is_return(&self, index: usize) -> bool {
        let node = &self.flows.nodes[index];
        node.kind == "link out" && node.text("mode") == Some("return")
    }

    /// Where a message of this node's gets to.
    pub fn reach(&self, start: usize, bounds: Bounds<'_>) -> Way {
        let mut way = Way::default();
        for (index, how) in self.walk(&[start], Walk::Free, bounds) {
            if how == Walk::Called { &mut way.called } else { &mut way.own }.insert(index);
        }
        way
    }

    /// Whether a message of this node's gets to an http response, of a request on this way.
    pub fn is_answered(&self, start: usize, way: &Way) -> bool {
        if self.subflow_of(&self.flows.nodes[start]).is_some() {
            return self.reach(start, Bounds { by: Some(&way.own), ..Bounds::default() }).answers(self.flows);
        }
        self.is_answered_from_tab(start)
    }

    /// Of a node on a tab. A walk ends where an earlier one knows how it goes on, so that a long chain is walked once.
    fn is_answered_from_tab(&self, start: usize) -> bool {
        let mut known = self.answered.borrow_mut();
        let on_tab = |index: usize, how: Walk| {
            how == Walk::Free && self.subflow_of(&self.flows.nodes[index]).is_none()
        };
        let mut seen = HashSet::new();
        let mut open = vec![(start, Walk::Free)];
        let mut answered = false;
        while let (Some((index, how)), false) = (open.pop(), answered) {
            match known.get(&index).filter(|_| on_tab(index, how)) {
                Some(&known) => answered = known,
                None if self.enabled[index] && seen.insert((index, how)) => {
                    answered = self.flows.nodes[index].kind == "http response";
                    self.next(index, how, Bounds::default(), &mut open);
                }
                None => {}
            }
        }
        known.insert(start, answered);
        if !answered {
            known.extend(
                seen.into_iter().filter(|&(index, how)| on_tab(index, how)).map(|(index, _)| (index, false)),
            );
        }
        answered
    }

    pub fn subflow_of(&self, node: &Node<'_>) -> Option<&'f Node<'a>> {
        node.z().and_then(|z| self.flows.get(z)).filter(|z| z.kind == "subflow")
    }

    fn walk(&self, starts: &[usize], how: Walk, bounds: Bounds<'_>) -> HashSet<(usize, Walk)> {
        let mut seen: HashSet<(usize, Walk)> = HashSet::new();
        let mut open: Vec<(usize, Walk)> = starts.iter().map(|&start| (start, how)).collect();
        while let Some((index, how)) = open.pop() {
            if self.enabled[index] && seen.insert((index, how)) {
                self.next(index, how, bounds, &mut open);
            }
        }
        seen
    }

    fn next(&self, index: usize, how: Walk, bounds: Bounds<'_>, open: &mut Vec<(usize, Walk)>) {
        let node = &self.flows.nodes[index];
        let mut go = |targets: &[usize], how| open.extend(targets.iter().map(|&target| (target, how)));
        if matches!(how, Walk::Free | Walk::Around) {
            self.leave(node, how, bounds.by, &mut go);
        }
        if how == Walk::Around {
            return;
        }
        go(self.completes.get(&index).map_or(&[], Vec::as_slice), how);
        match node.kind.as_str() {
            "link out" => go(self.links.get(&index).map_or(&[], Vec::as_slice), how),
            "link call" => {
                if how != Walk::Level {
                    go(&self.called(node), Walk::Called);
                }
                if self.comes_back(index) {
                    go(&self.wired(index, None), how);
                }
            }
            _ => match node.instance_of().and_then(|id| self.flows.index(id)) {
                Some(subflow) => {
                    if how != Walk::Level {
                        go(&self.entry(subflow), if how == Walk::Called { how } else { Walk::Inside });
                    }
                    for &output in self.outputs.get(&subflow).into_iter().flatten() {
                        go(&self.wired(index, Some(output)), how);
                    }
                }
                None => match bounds.outputs.and_then(|outputs| outputs(index)) {
                    Some(outputs) => {
                        for output in outputs {
                            go(&self.wired(index, Some(output)), how);
                        }
                    }
                    None => go(&self.wired(index, None), how),
                },
            },
        }
    }

    /// Goes on where a subflow that the walk began in has its instances.
    fn leave(
        &self,
        node: &Node<'_>,
        how: Walk,
        by: Option<&HashSet<usize>>,
        go: &mut impl FnMut(&[usize], Walk),
    ) {
        let Some(subflow) = self.subflow_of(node) else { return };
        let instances = self.instances.get(subflow.id.as_str()).map_or(&[][..], Vec::as_slice);
        for &instance in instances.iter().filter(|instance| by.is_none_or(|by| by.contains(instance))) {
            go(&[instance], Walk::Around);
            let ports = port_targets(subflow, "out").filter(|(_, id)| how == Walk::Free && *id == node.id);
            for (output, _) in ports {
                go(&self.wired(instance, Some(output)), how);
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

    /// Whether what enters here comes to a link out that returns it.
    fn returns(&self, entries: &[usize]) -> bool {
        self.walk(entries, Walk::Level, Bounds::default()).into_iter().any(|(index, _)| {
            let inner = self.flows.nodes[index].instance_of().and_then(|id| self.flows.index(id));
            self.is_return(index) || inner.is_some_and(|subflow| self.returning.contains(&subflow))
        })
    }

    fn outputs_reached(&self, subflow: usize) -> HashSet<usize> {
        let reached = self.walk(&self.entry(subflow), Walk::Level, Bounds::default());
        port_targets(&self.flows.nodes[subflow], "out")
            .filter_map(|(output, id)| self.flows.index(id).map(|index| (output, index)))
            // An output may be wired straight to the subflow's input.
            .filter(|(_, index)| *index == subflow || reached.contains(&(*index, Walk::Level)))
            .map(|(output, _)| output)
            .collect()
    }
}
