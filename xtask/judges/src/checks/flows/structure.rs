//! What holds the files together: ids, tabs, wires, links, types, positions.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde_json::Value;
use vocabulary::problem::Problem;

use foundation::nearest::nearest;

use super::catalogue::Types;
use super::document::{Flows, Node};
use super::{Home, Rule, finding, warning};

/// Judges every node by itself and by what it refers to.
pub fn check(
    flows: &Flows<'_>,
    types: Option<&Types>,
    without_input: &BTreeSet<&str>,
    home: Home,
    findings: &mut Vec<Problem>,
) {
    let rules = [duplicate_id, container, group, wires, subflow_ports, links, scope, position];
    let mut of_type: HashMap<&str, usize> = HashMap::new();
    for node in &flows.nodes {
        *of_type.entry(&node.kind).or_default() += 1;
    }
    for (index, node) in flows.nodes.iter().enumerate() {
        let mut add = |rule, message: String| findings.push(finding(flows, node, rule, message));
        for rule in rules {
            rule(flows, index, &mut add);
        }
        inputs(flows, node, without_input, &mut add);
        if let Some(types) = types {
            findings.extend(known_type(flows, node, types, &mut of_type));
        }
    }
    tabs(flows, home, findings);
    subflow_cycles(flows, findings);
}

/// Judges what this platform's settings and files ask for; `first` is the file that people write.
pub fn check_platform(flows: &Flows<'_>, first: &str, findings: &mut Vec<Problem>) {
    for (index, node) in flows.nodes.iter().enumerate() {
        let mut add = |rule, message: String| findings.push(finding(flows, node, rule, message));
        libraries(flows, index, &mut add);
        if node.file == first && node.kind.starts_with("smoke") {
            let message = format!(
                "{} belongs to the smoke flow; move it to test-smoke.json, which is generated",
                node.kind
            );
            add(Rule::Smoke, message);
        }
    }
}

type Add<'a> = &'a mut dyn FnMut(Rule, String);

fn duplicate_id(flows: &Flows<'_>, index: usize, add: Add<'_>) {
    let node = &flows.nodes[index];
    if let Some(first) = flows.get(&node.id).filter(|_| flows.index(&node.id) != Some(index)) {
        let message = format!(
            "\"{}\" ({}:{}) has the same id; give each its own",
            first.title(),
            first.file,
            first.line
        );
        add(Rule::DuplicateId, message);
    }
}

fn container(flows: &Flows<'_>, index: usize, add: Add<'_>) {
    let node = &flows.nodes[index];
    if node.is_container() {
        return;
    }
    match node.z().map(|z| (z, flows.get(z))) {
        None if node.fields.contains_key("wires") || node.kind == "group" => {
            add(
                Rule::Container,
                "it is on no tab; set z to the id of a tab or subflow, or remove it".to_owned(),
            );
        }
        None => {}
        // Said by `tabs`.
        Some((_, None)) => {}
        Some((z, Some(other))) if !other.is_container() => {
            let message =
                format!("its z is {z}, a node of type {}; set z to the id of a tab or subflow", other.kind);
            add(Rule::Container, message);
        }
        Some((_, Some(tab))) if tab.file != node.file => {
            let message = format!(
                "its tab \"{}\" is in {}, where the editor would save it; put both into the same file",
                tab.title(),
                tab.file
            );
            add(Rule::Container, message);
        }
        Some(_) => {}
    }
}

/// Nodes on a tab that is not there. What the editor exports of a flow has none, and somebody's file may be that.
fn tabs(flows: &Flows<'_>, home: Home, findings: &mut Vec<Problem>) {
    let mut exported: BTreeMap<&str, Vec<&Node<'_>>> = BTreeMap::new();
    for node in flows.nodes.iter().filter(|node| !node.is_container()) {
        let Some(z) = node.z().filter(|z| flows.get(z).is_none()) else { continue };
        if home == Home::Elsewhere {
            exported.entry(z).or_default().push(node);
            continue;
        }
        let message = format!(
            "it is on tab {z}, which does not exist; set z to the id of a tab or subflow, or remove it"
        );
        findings.push(finding(flows, node, Rule::Container, message));
    }
    for (z, nodes) in exported {
        let others = match nodes.len() {
            1 => String::new(),
            count => format!(", like {} other nodes", count - 1),
        };
        let message = format!(
            "it is on tab {z}, which does not exist{others}; it is checked as a part of a flow that the editor \
             exported. Import it in the editor, because Node-RED would run it on an invisible tab"
        );
        findings.push(warning(flows, nodes[0], Rule::Container, message));
    }
}

fn group(flows: &Flows<'_>, index: usize, add: Add<'_>) {
    let node = &flows.nodes[index];
    if let Some(id) = node.text("g")
        && flows.get(id).is_none_or(|group| group.kind != "group")
    {
        add(
            Rule::Group,
            format!("it is in group {id}, which does not exist; remove g, or restore the group"),
        );
    }
    if node.kind == "group" {
        for id in node.ids("nodes").filter(|id| flows.get(id).is_none()) {
            add(Rule::Group, format!("its member {id} does not exist; remove it from the group's nodes"));
        }
    }
}

fn wires(flows: &Flows<'_>, index: usize, add: Add<'_>) {
    let node = &flows.nodes[index];
    let Some(wires) = node.fields.get("wires") else { return };
    if !are_lists_of_ids(wires) {
        let message = "its wires are not a list of lists of ids; expected one list for each output, such as [[\"id\"], []]";
        return add(Rule::Wire, message.to_owned());
    }
    for (output, targets) in node.wires().enumerate() {
        for id in targets {
            if let Some(fault) = wire_fault(flows, node.z(), id) {
                add(Rule::Wire, format!("output {} {fault}", output + 1));
            }
        }
    }
}

fn are_lists_of_ids(wires: &Value) -> bool {
    wires.as_array().is_some_and(|outputs| {
        outputs.iter().all(|targets| targets.as_array().is_some_and(|ids| ids.iter().all(Value::is_string)))
    })
}

fn wire_fault(flows: &Flows<'_>, z: Option<&str>, id: &str) -> Option<String> {
    match flows.get(id) {
        None => Some(format!("is wired to {id}, which does not exist; remove the wire, or restore the node")),
        Some(target) if !target.fields.contains_key("wires") => Some(format!(
            "is wired to \"{}\" ({id}), a {}, which takes no messages; remove the wire",
            target.title(),
            target.kind
        )),
        Some(target) if target.z() != z => Some(format!(
            "is wired to \"{}\" ({id}) on another tab; use a link out and a link in",
            target.title()
        )),
        Some(_) => None,
    }
}

/// Wires to nodes that have no input: Node-RED drops such a message without a word.
fn inputs(flows: &Flows<'_>, node: &Node<'_>, without_input: &BTreeSet<&str>, add: Add<'_>) {
    // An mqtt in that is controlled by messages says so in its own field.
    let takes_none = |target: &&Node<'_>| {
        without_input.contains(target.kind.as_str())
            && target.fields.get("inputs").is_none_or(|inputs| *inputs == 0)
    };
    let good = node.fields.get("wires").is_some_and(are_lists_of_ids);
    let wired = node
        .wires()
        .enumerate()
        .flat_map(|(output, ids)| ids.map(move |id| (format!("output {}", output + 1), id)));
    let entering = port_targets(node, "in").map(|(_, id)| ("its input".to_owned(), id));
    let entering = entering.filter(|_| node.kind == "subflow");
    for (what, id) in wired.filter(|_| good).chain(entering) {
        let target = flows.get(id).filter(takes_none);
        // Where it has no wires either, `wires` has already said so.
        if let Some(target) = target.filter(|target| target.fields.contains_key("wires")) {
            let message = format!(
                "{what} is wired to \"{}\" ({id}), a {}, which takes no messages; remove the wire, or wire it to the \
                 next node",
                target.title(),
                target.kind
            );
            add(Rule::Wire, message);
        }
    }
}

/// Wires of a subflow's own inputs, outputs and status.
fn subflow_ports(flows: &Flows<'_>, index: usize, add: Add<'_>) {
    let node = &flows.nodes[index];
    if node.kind != "subflow" {
        return;
    }
    for (what, ports) in [("input", "in"), ("output", "out"), ("status", "status")] {
        for id in port_targets(node, ports).map(|(_, id)| id).filter(|id| *id != node.id) {
            if let Some(fault) = wire_fault(flows, Some(&node.id), id) {
                add(Rule::Wire, format!("its {what} {fault}"));
            }
        }
    }
}

/// The nodes that a subflow's `in`, `out` or `status` is wired to, each with the number of the port.
pub fn port_targets<'n>(subflow: &'n Node<'_>, ports: &str) -> impl Iterator<Item = (usize, &'n str)> {
    let ports = match subflow.fields.get(ports) {
        Some(Value::Array(list)) => list.as_slice(),
        Some(single) => std::slice::from_ref(single),
        None => &[],
    };
    ports.iter().enumerate().flat_map(|(port, value)| {
        let wires = value.get("wires").and_then(Value::as_array).into_iter().flatten();
        wires.filter_map(move |wire| wire.get("id").and_then(Value::as_str).map(|id| (port, id)))
    })
}

fn links(flows: &Flows<'_>, index: usize, add: Add<'_>) {
    let node = &flows.nodes[index];
    let (partner, returning, dynamic) = match node.kind.as_str() {
        "link in" => ("link out", false, false),
        "link out" => ("link in", node.text("mode") == Some("return"), false),
        "link call" => ("link in", false, node.text("linkType") == Some("dynamic")),
        _ => return,
    };
    for id in node.ids("links") {
        match flows.get(id) {
            None => add(
                Rule::Link,
                format!("its partner {id} does not exist; remove the link, or restore the {partner}"),
            ),
            Some(other)
                if other.kind != partner && !(node.kind == "link in" && other.kind == "link call") =>
            {
                let message = format!(
                    "its partner \"{}\" ({id}) is a {}; expected a {partner}",
                    other.title(),
                    other.kind
                );
                add(Rule::Link, message);
            }
            Some(other) if node.kind != "link in" && flows.enabled(node) && !flows.enabled(other) => {
                let message = format!(
                    "its partner \"{}\" ({id}) is disabled, so messages are lost; enable it, or disable both",
                    other.title()
                );
                add(Rule::Link, message);
            }
            Some(_) => {}
        }
    }
    let alone = node.ids("links").next().is_none() && !named_by_a_partner(flows, node);
    if node.kind != "link in" && alone && !returning && !dynamic && flows.enabled(node) {
        add(
            Rule::Link,
            format!("it has no partner, so messages are lost; connect it to a {partner}, or disable it"),
        );
    }
}

/// Node-RED joins a link out with a link in when either names the other.
fn named_by_a_partner(flows: &Flows<'_>, node: &Node<'_>) -> bool {
    node.kind == "link out"
        && flows
            .nodes
            .iter()
            .any(|other| other.kind == "link in" && other.ids("links").any(|id| id == node.id))
}

fn scope(flows: &Flows<'_>, index: usize, add: Add<'_>) {
    let node = &flows.nodes[index];
    if !matches!(node.kind.as_str(), "catch" | "complete" | "status")
        || !node.fields.get("scope").is_some_and(Value::is_array)
    {
        return;
    }
    for id in node.ids("scope") {
        match flows.get(id) {
            None => add(
                Rule::Scope,
                format!(
                    "it watches {id}, which does not exist; remove it from the scope, or restore the node"
                ),
            ),
            Some(watched) if watched.z() != node.z() => {
                let message = format!(
                    "it watches \"{}\" ({id}) on another tab, which it cannot; put a {} there",
                    watched.title(),
                    node.kind
                );
                add(Rule::Scope, message);
            }
            Some(_) => {}
        }
    }
}

/// `functionExternalModules` is off in the platform's settings. One such node, even on a disabled tab, then keeps every
/// flow from starting, except when the node itself is disabled (node-red#3532).
fn libraries(flows: &Flows<'_>, index: usize, add: Add<'_>) {
    let node = &flows.nodes[index];
    let libraries = node.fields.get("libs").and_then(Value::as_array).map_or(0, Vec::len);
    if node.kind == "function" && libraries > 0 && !node.flag("d") {
        let message = "it uses modules (libs in its setup), which functions may not do here; Node-RED then starts no \
                       flow at all. Remove them, and write a node in flows/nodes for code that needs a module";
        add(Rule::Libraries, message.to_owned());
    }
}

fn position(flows: &Flows<'_>, index: usize, add: Add<'_>) {
    let node = &flows.nodes[index];
    let number = |field: &str| node.fields.get(field).is_some_and(Value::is_number);
    let (x, y) = (number("x"), number("y"));
    let placed = node.fields.contains_key("wires")
        || node.kind == "group"
        || node.fields.contains_key("x") != node.fields.contains_key("y");
    if placed && !node.is_container() && !(x && y) {
        let missing = [("x", x), ("y", y)]
            .iter()
            .filter(|(_, there)| !there)
            .map(|(name, _)| *name)
            .collect::<Vec<_>>();
        let message = format!(
            "it has no {}, so Node-RED takes it for a configuration node and never runs it; place it in the editor",
            missing.join(" and ")
        );
        add(Rule::Position, message);
    }
}

/// Of a type that may be installed only the first node is named, with how many there are.
fn known_type(
    flows: &Flows<'_>,
    node: &Node<'_>,
    types: &Types,
    of_type: &mut HashMap<&str, usize>,
) -> Option<Problem> {
    if node.is_structure() || types.names.contains(&node.kind) {
        return None;
    }
    let error = |message: String| Some(finding(flows, node, Rule::UnknownType, message));
    if let Some(id) = node.instance_of() {
        return match flows.get(id).filter(|subflow| subflow.kind == "subflow") {
            Some(_) => None,
            None => error(format!(
                "it is an instance of subflow {id}, which does not exist; restore the subflow, or remove the node"
            )),
        };
    }
    let mut known: Vec<&str> = types.names.iter().map(String::as_str).collect();
    known.sort_unstable();
    let hint =
        nearest(&node.kind, known).map(|near| format!(" (did you mean \"{near}\"?)")).unwrap_or_default();
    let kind = &node.kind;
    if !types.complete {
        let nodes = match of_type.remove(kind.as_str())? {
            1 => String::new(),
            count => format!(", which {count} nodes have"),
        };
        let message = format!(
            "Node-RED itself has no node type \"{kind}\"{hint}{nodes}; pass a catalogue of the installed types with \
             --catalogue"
        );
        return Some(warning(flows, node, Rule::UnknownType, message));
    }
    error(format!(
        "the image has no node type \"{kind}\"{hint}, and one such node, even on a disabled tab, keeps every flow from \
         starting; correct the type, add its package to flows/package.json, or remove the node"
    ))
}

/// Node-RED would unfold such a subflow without end.
fn subflow_cycles(flows: &Flows<'_>, findings: &mut Vec<Problem>) {
    let mut inner: HashMap<&str, Vec<&str>> = HashMap::new();
    for node in &flows.nodes {
        if let (Some(outer), Some(id)) = (node.z(), node.instance_of()) {
            inner.entry(outer).or_default().push(id);
        }
    }
    for node in flows.nodes.iter().filter(|node| node.instance_of().is_some()) {
        let (Some(outer), Some(start)) = (node.z(), node.instance_of()) else { continue };
        let mut seen = HashSet::from([start]);
        let mut open = vec![start];
        while let Some(id) = open.pop() {
            open.extend(inner.get(id).into_iter().flatten().filter(|next| seen.insert(next)));
        }
        if seen.contains(outer) {
            let message = "it makes its subflow contain itself; remove it".to_owned();
            findings.push(finding(flows, node, Rule::SubflowCycle, message));
        }
    }
}
