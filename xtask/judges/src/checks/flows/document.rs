//! Text -> nodes, each with its line.

use std::collections::{HashMap, HashSet};

use serde_json::value::RawValue;
use serde_json::{Map, Value};
use vocabulary::problem::Problem;

use super::{Rule, Source, whole_file};

/// One element of a flow file: a node, a tab, a subflow or a group.
#[derive(Debug)]
pub struct Node<'a> {
    /// The file's name.
    pub file: &'a str,
    /// Where its id is, from 1.
    pub line: usize,
    pub id: String,
    pub kind: String,
    pub fields: Map<String, Value>,
}

impl Node<'_> {
    /// A field's text; `None` when it is missing, empty or no text.
    pub fn text(&self, field: &str) -> Option<&str> {
        self.fields.get(field).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// The tab or subflow it is on.
    pub fn z(&self) -> Option<&str> {
        self.text("z")
    }

    /// What a person calls it: its name, a tab's label, or else its type.
    pub fn title(&self) -> &str {
        self.text("name").or_else(|| self.text("label")).unwrap_or(&self.kind)
    }

    pub fn is_container(&self) -> bool {
        matches!(self.kind.as_str(), "tab" | "subflow")
    }

    /// Structure that is no node of any module.
    pub fn is_structure(&self) -> bool {
        self.is_container() || self.kind == "group"
    }

    /// The id of the subflow that it is an instance of.
    pub fn instance_of(&self) -> Option<&str> {
        self.kind.strip_prefix("subflow:")
    }

    /// The targets of each output; what is no list of lists of ids is left out.
    pub fn wires(&self) -> impl Iterator<Item = impl Iterator<Item = &str>> {
        let outputs = self.fields.get("wires").and_then(Value::as_array).into_iter().flatten();
        outputs.map(|targets| texts(Some(targets)))
    }

    /// Ids in a field that holds a list of them or a single one.
    pub fn ids(&self, field: &str) -> impl Iterator<Item = &str> {
        texts(self.fields.get(field))
    }

    pub fn flag(&self, field: &str) -> bool {
        self.fields.get(field) == Some(&Value::Bool(true))
    }
}

fn texts(value: Option<&Value>) -> impl Iterator<Item = &str> {
    let list = match value {
        Some(Value::Array(list)) => list.as_slice(),
        Some(single) => std::slice::from_ref(single),
        None => &[],
    };
    list.iter().filter_map(Value::as_str).filter(|text| !text.is_empty())
}

/// All files together, as Node-RED gets them.
#[derive(Debug)]
pub struct Flows<'a> {
    pub nodes: Vec<Node<'a>>,
    /// The first node of each id.
    by_id: HashMap<String, usize>,
    /// Subflows of which no instance runs: Node-RED starts none of their nodes.
    idle: HashSet<String>,
    /// False when a file, or an element of one, could not be read.
    pub complete: bool,
}

impl<'a> Flows<'a> {
    pub fn index(&self, id: &str) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    pub fn get(&self, id: &str) -> Option<&Node<'a>> {
        self.index(id).map(|index| &self.nodes[index])
    }

    /// Node-RED leaves out disabled nodes, all that is on a disabled tab, and subflows without an instance.
    pub fn enabled(&self, node: &Node<'_>) -> bool {
        let off = |node: &Node<'_>| node.flag(if node.kind == "tab" { "disabled" } else { "d" });
        let outside = |z: &str| self.idle.contains(z) || self.get(z).is_some_and(off);
        !off(node) && !self.idle.contains(&node.id) && !node.z().is_some_and(outside)
    }
}

/// Reads the files; what cannot be read is reported and left out.
pub fn read<'a>(sources: &[Source<'a>], findings: &mut Vec<Problem>) -> Flows<'a> {
    let before = findings.len();
    let mut nodes = Vec::new();
    for source in sources {
        match serde_json::from_str::<Vec<&RawValue>>(source.text) {
            Ok(elements) => {
                let mut lines = Lines { text: source.text, offset: 0, line: 1 };
                for (index, raw) in elements.iter().enumerate() {
                    match node(source, &mut lines, index, raw.get()) {
                        Ok(node) => nodes.push(node),
                        Err((line, message)) => {
                            findings.push(whole_file(source.name, line, Rule::Shape, message))
                        }
                    }
                }
            }
            Err(error) => findings.push(unreadable(source, &error)),
        }
    }
    let mut by_id = HashMap::with_capacity(nodes.len());
    for (index, node) in nodes.iter().enumerate() {
        by_id.entry(node.id.clone()).or_insert(index);
    }
    let mut flows = Flows { nodes, by_id, idle: HashSet::new(), complete: findings.len() == before };
    // An instance inside a subflow that does not run does not run either.
    loop {
        let running: HashSet<&str> =
            flows.nodes.iter().filter(|node| flows.enabled(node)).filter_map(Node::instance_of).collect();
        let subflows = flows.nodes.iter().filter(|node| node.kind == "subflow").map(|node| &node.id);
        let idle: HashSet<String> = subflows.filter(|id| !running.contains(id.as_str())).cloned().collect();
        if idle == flows.idle {
            return flows;
        }
        flows.idle = idle;
    }
}

fn unreadable(source: &Source<'_>, error: &serde_json::Error) -> Problem {
    let (line, column) = (error.line().max(1), error.column());
    if error.is_data() {
        let message = "not an array; expected an array of nodes, as the editor saves it; restore the file";
        return whole_file(source.name, line, Rule::Shape, message);
    }
    let ended = if error.is_eof() { "the file ends too early" } else { "not JSON" };
    let message = format!(
        "{ended} at column {column}: {error}; expected an array of nodes; restore the file or finish the edit"
    );
    whole_file(source.name, line, Rule::Json, message)
}

/// Line numbers of ever later offsets, so that a file is counted through only once.
struct Lines<'a> {
    text: &'a str,
    offset: usize,
    line: usize,
}

impl Lines<'_> {
    fn at(&mut self, offset: usize) -> usize {
        let passed = &self.text.as_bytes()[self.offset..offset.max(self.offset)];
        self.line += passed.iter().filter(|byte| **byte == b'\n').count();
        self.offset = self.offset.max(offset);
        self.line
    }
}

/// # Errors
/// The line and what is wrong there.
fn node<'a>(
    source: &Source<'a>,
    lines: &mut Lines<'_>,
    index: usize,
    raw: &str,
) -> Result<Node<'a>, (usize, String)> {
    let expected = "expected an object with id and type; correct or remove it";
    // The element is a slice of the text.
    let start = raw.as_ptr() as usize - source.text.as_ptr() as usize;
    let first_line = lines.at(start);
    let mut fields: Map<String, Value> = serde_json::from_str(raw).map_err(|error| {
        (
            first_line + error.line().saturating_sub(1),
            format!("element {index} is not a node: {error}; {expected}"),
        )
    })?;
    let mut take = |field: &str| match fields.remove(field) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text),
        _ => Err((first_line, format!("element {index} has no {field}; {expected}"))),
    };
    let (id, kind) = (take("id")?, take("type")?);
    let line = lines.at(start + id_offset(raw, &id));
    Ok(Node { file: source.name, line, id, kind, fields })
}

/// Where in the element's text its id is; its start when the id is written with escapes.
fn id_offset(raw: &str, id: &str) -> usize {
    let quoted = format!("\"{id}\"");
    raw.match_indices("\"id\"")
        .find(|(at, key)| {
            let value = raw[at + key.len()..].trim_start();
            value.strip_prefix(':').is_some_and(|value| value.trim_start().starts_with(&quoted))
        })
        .map_or(0, |(at, _)| at)
}
