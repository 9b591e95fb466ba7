//! Which properties of a node name a configuration node.
//!
//! For our own nodes the editor's definitions in `flows/nodes/*.html` say so (`defaults: { NAME: { type: 'TYPE' } }`);
//! for Node-RED's own, whose files are not in the repository, a table does.

use std::collections::BTreeSet;

use serde_json::Value;
use vocabulary::problem::Problem;

use super::document::{Flows, Node};
use super::{Rule, Source, finding};

/// A property that names a configuration node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The node's type.
    pub kind: String,
    pub property: String,
    /// The configuration node's type.
    pub config: String,
    /// Whether the node does not work without it.
    pub required: bool,
}

/// Of Node-RED 5's own nodes: node type, property, the configuration node's type.
const OF_NODE_RED: &[(&str, &str, &str)] = &[
    ("http request", "proxy", "http proxy"),
    ("http request", "tls", "tls-config"),
    ("mqtt in", "broker", "mqtt-broker"),
    ("mqtt out", "broker", "mqtt-broker"),
    ("mqtt-broker", "tls", "tls-config"),
    ("tcp in", "tls", "tls-config"),
    ("tcp out", "tls", "tls-config"),
    ("tcp request", "tls", "tls-config"),
    ("websocket in", "client", "websocket-client"),
    ("websocket in", "server", "websocket-listener"),
    ("websocket out", "client", "websocket-client"),
    ("websocket out", "server", "websocket-listener"),
    ("websocket-client", "tls", "tls-config"),
];

/// All references that are known, with those that the editor's definitions tell.
pub fn known(editor: &[Source<'_>]) -> Vec<Reference> {
    let own = OF_NODE_RED.iter().map(|(kind, property, config)| Reference {
        kind: (*kind).to_owned(),
        property: (*property).to_owned(),
        config: (*config).to_owned(),
        required: false,
    });
    own.chain(editor.iter().flat_map(|source| defined(source.text))).collect()
}

/// Of Node-RED 5's own nodes, those that drop what is wired to them. Its others without an input (inject, catch, complete,
/// status, link in) hand such a message on.
const DROPPING: &[&str] = &["comment", "http in", "mqtt in", "tcp in", "udp in", "watch", "websocket in"];

/// The types that take no messages, with those of which the editor's definitions say so.
pub fn without_input<'a>(editor: &[Source<'a>]) -> BTreeSet<&'a str> {
    let own = editor.iter().flat_map(|source| source.text.split("registerType(").skip(1));
    let none = |registration: &&str| {
        registration
            .match_indices("inputs:")
            .any(|(at, name)| registration[at + name.len()..].trim_start().starts_with('0'))
    };
    own.filter(none).filter_map(quoted).chain(DROPPING.iter().copied()).collect()
}

/// Reads `RED.nodes.registerType('KIND', { ... defaults: { NAME: { ..., type: 'TYPE' } } })` out of an HTML file.
fn defined(html: &str) -> Vec<Reference> {
    let mut found = Vec::new();
    for registration in html.split("registerType(").skip(1) {
        let Some(kind) = quoted(registration) else { continue };
        let Some((_, defaults)) = registration.split_once("defaults:") else { continue };
        let Some(defaults) = braced(defaults) else { continue };
        let mut rest = defaults;
        while let Some(open) = rest.find('{') {
            let name = rest[..open].trim_end().trim_end_matches(':').trim_end();
            let property =
                name.rsplit(|character: char| !(character.is_alphanumeric() || "_$".contains(character)));
            let property = property.map(str::to_owned).next().unwrap_or_default();
            let Some(body) = braced(&rest[open..]) else { break };
            if let Some(config) = body.split_once("type:").and_then(|(_, value)| quoted(value)) {
                let required = body
                    .split_once("required:")
                    .is_some_and(|(_, value)| value.trim_start().starts_with("true"));
                found.push(Reference {
                    kind: kind.to_owned(),
                    property,
                    config: config.to_owned(),
                    required,
                });
            }
            rest = &rest[open + body.len() + 2..];
        }
    }
    found
}

/// The first thing, if it is a string in quotes.
fn quoted(text: &str) -> Option<&str> {
    let text = text.trim_start();
    let quote = text.chars().next().filter(|first| "'\"`".contains(*first))?;
    text[1..].split_once(quote).map(|(inside, _)| inside)
}

/// What is between the first `{`, which comes first, and its `}`.
fn braced(text: &str) -> Option<&str> {
    let inside = text.trim_start().strip_prefix('{')?;
    let mut depth = 1;
    for (at, character) in inside.char_indices() {
        depth += match character {
            '{' => 1,
            '}' => -1,
            _ => 0,
        };
        if depth == 0 {
            return Some(&inside[..at]);
        }
    }
    None
}

/// Judges every reference of every node.
pub fn check(flows: &Flows<'_>, known: &[Reference], findings: &mut Vec<Problem>) {
    for node in &flows.nodes {
        let faults = known
            .iter()
            .filter(|known| known.kind == node.kind)
            .filter_map(|known| fault(flows, node, known));
        findings.extend(faults.map(|fault| finding(flows, node, Rule::ConfigReference, fault)));
        if let Some(circle) = circle(flows, node) {
            let message = format!(
                "it depends on itself: {} -> {}; Node-RED treats every property that equals the id of a configuration \
                 node as a dependency, and never starts a node that depends on itself; change that property or an id",
                node.id,
                circle.join(" -> ")
            );
            findings.push(finding(flows, node, Rule::ConfigReference, message));
        }
    }
}

/// What leads from a configuration node back to it, each as its id and the property that names it.
fn circle(flows: &Flows<'_>, start: &Node<'_>) -> Option<Vec<String>> {
    let mut seen = BTreeSet::new();
    let mut open = vec![(start, Vec::new())];
    while let Some((node, path)) = open.pop() {
        for (property, next) in needs(flows, node) {
            let step = format!("{} (its {property})", next.id);
            let path: Vec<String> = path.iter().cloned().chain([step]).collect();
            if next.id == start.id {
                return Some(path);
            }
            if seen.insert(next.id.as_str()) {
                open.push((next, path));
            }
        }
    }
    None
}

/// The configuration nodes that Node-RED has a configuration node wait for: those beside it that any property names.
fn needs<'f, 'a>(flows: &'f Flows<'a>, node: &'f Node<'a>) -> Vec<(&'f str, &'f Node<'a>)> {
    let starts = |node: &Node<'_>| {
        let placed = node.fields.contains_key("x") && node.fields.contains_key("y");
        !placed && !node.is_structure() && flows.enabled(node)
    };
    let home = |node: &'f Node<'a>| node.z().filter(|z| flows.get(z).is_some());
    let fields = node.fields.iter().filter(|(name, _)| starts(node) && *name != "wires");
    let of_type = [("type", flows.get(&node.kind))].into_iter().filter(|_| starts(node));
    fields
        .filter_map(|(name, value)| Some((name.as_str(), key(value)?)))
        .map(|(name, id)| (name, flows.get(&id)))
        .chain(of_type)
        .filter_map(|(name, next)| Some((name, next?)))
        .filter(|(_, next)| starts(next) && home(next) == home(node))
        .collect()
}

/// A value as JavaScript makes a key of it, where it can be an id.
fn key(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Array(list) if list.len() == 1 => key(&list[0]),
        _ => None,
    }
}

fn fault(flows: &Flows<'_>, node: &Node<'_>, reference: &Reference) -> Option<String> {
    let Reference { property, config, required, .. } = reference;
    let enabled = flows.enabled(node);
    let Some(id) = node.text(property) else {
        let unset = matches!(node.fields.get(property), None | Some(Value::Null | Value::String(_)));
        return (*required && enabled && unset)
            .then(|| format!("its {property} is not set; choose a {config} node"));
    };
    match flows.get(id) {
        // A name of an environment variable is known only when the flows run.
        None if id.starts_with("${") => None,
        None => Some(format!(
            "its {property} is {id}, which does not exist; choose a {config} node, or restore that one"
        )),
        Some(other) if other.kind != *config => Some(format!(
            "its {property} is \"{}\" ({id}), a {}; expected a {config}",
            other.title(),
            other.kind
        )),
        Some(other) if enabled && !flows.enabled(other) => Some(format!(
            "its {property} \"{}\" ({id}) is disabled; enable it, or choose another",
            other.title()
        )),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_editors_definitions_tell_references() {
        let html = "<script>RED.nodes.registerType('sql-query', { category: 'x',\n defaults: {\n name: { value: '' },\n \
                    database: { value: '', type: 'flowship-postgres', required: true },\n \
                    other: { value: { a: 1 }, type: \"x\" },\n plain: { value: 1, required: true } },\n \
                    type: 'no' }); RED.nodes.registerType(\"two\", { defaults: { a: {type:'b'} } })</script>";
        let rows: Vec<String> = defined(html)
            .into_iter()
            .map(|found| format!("{}.{} -> {} {}", found.kind, found.property, found.config, found.required))
            .collect();
        assert_eq!(
            rows,
            [
                "sql-query.database -> flowship-postgres true",
                "sql-query.other -> x false",
                "two.a -> b false"
            ]
        );
        for cut in 0..html.len() {
            defined(&html[..cut]);
        }
    }
}
