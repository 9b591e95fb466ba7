//! Node-RED's flow files: an array of nodes, as the editor saves them.

use serde_json::{Map, Value, json};

use super::json;

/// One entry of a flow file: a tab, or a node on one.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    pub id: String,
    /// Type, such as `tab`, `inject` or `http in`.
    pub kind: &'static str,
    /// The tab it lies on; none for a tab.
    pub tab: Option<String>,
    /// What the type itself defines, in the editor's order.
    pub properties: Map<String, Value>,
    /// Place on the canvas in pixels. A node without one counts as a config node.
    pub place: Option<(u16, u16)>,
    /// For each output the ids of the nodes that it leads to.
    pub wires: Option<Vec<Vec<String>>>,
}

/// The file, with four spaces an indentation as Node-RED itself writes it.
#[must_use]
pub fn write(nodes: &[Node]) -> String {
    json::pretty(&Value::Array(nodes.iter().map(entry).collect()), 4)
}

fn entry(node: &Node) -> Value {
    let mut entry = Map::new();
    entry.insert("id".to_owned(), json!(node.id));
    entry.insert("type".to_owned(), json!(node.kind));
    if let Some(tab) = &node.tab {
        entry.insert("z".to_owned(), json!(tab));
    }
    entry.extend(node.properties.clone());
    if let Some((x, y)) = node.place {
        entry.insert("x".to_owned(), json!(x));
        entry.insert("y".to_owned(), json!(y));
    }
    if let Some(wires) = &node.wires {
        entry.insert("wires".to_owned(), json!(wires));
    }
    Value::Object(entry)
}
