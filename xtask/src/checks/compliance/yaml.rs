//! YAML files as trees whose every part knows its line.

use std::collections::HashMap;
use std::rc::Rc;

use yaml_rust2::parser::{Event, MarkedEventReceiver, Parser};
use yaml_rust2::scanner::{Marker, TScalarStyle};

use super::row::{Finding, Place};

/// A part of a document.
#[derive(Debug, Clone)]
pub struct Node {
    pub place: Place,
    /// Such as `!reset`.
    pub tag: Option<String>,
    pub value: Value,
}

/// What a part is. Numbers and booleans are their text: what they mean is the reader's matter.
#[derive(Debug, Clone)]
pub enum Value {
    Nothing,
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One key of a mapping.
#[derive(Debug, Clone)]
pub struct Entry {
    pub key: String,
    /// Of the key.
    pub place: Place,
    pub value: Node,
}

impl Node {
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// Through mappings, key by key.
    pub fn at(&self, keys: &[&str]) -> Option<&Node> {
        keys.iter().try_fold(self, |node, key| node.get(key))
    }

    /// The text at a key.
    pub fn text_at(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Node::text)
    }

    pub fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    pub fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn is(&self, text: &str) -> bool {
        self.text() == Some(text)
    }

    /// The texts of a list, or the one text: many formats take both.
    pub fn texts(&self) -> Vec<&str> {
        match &self.value {
            Value::Text(text) => vec![text],
            _ => self.items().iter().filter_map(Node::text).collect(),
        }
    }
}

/// The documents of a file.
///
/// # Errors
/// When it is not YAML.
pub fn read(file: &str, text: &str) -> Result<Vec<Node>, Finding> {
    let file: Rc<str> = file.into();
    let mut builder = Builder { file: file.clone(), ..Builder::default() };
    match Parser::new_from_str(text).load(&mut builder, true) {
        Ok(()) => Ok(builder.documents),
        Err(error) => Err(Finding {
            place: Place { file, line: error.marker().line().max(1) },
            what: format!("this is not YAML: {}", error.info()),
            remedy: "write it so that it can be read".to_owned(),
        }),
    }
}

#[derive(Default)]
struct Builder {
    file: Rc<str>,
    documents: Vec<Node>,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
}

/// A list or mapping that has not ended.
struct Open {
    node: Node,
    anchor: usize,
    /// The key that waits for its value.
    key: Option<(String, Place)>,
}

impl MarkedEventReceiver for Builder {
    fn on_event(&mut self, event: Event, mark: Marker) {
        let place = Place { file: self.file.clone(), line: mark.line().max(1) };
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let empty = style == TScalarStyle::Plain && ["", "~", "null"].contains(&text.as_str());
                let value = if empty { Value::Nothing } else { Value::Text(text) };
                let node = Node { place, tag: tag.map(|tag| format!("{}{}", tag.handle, tag.suffix)), value };
                self.ended(node, anchor);
            }
            Event::SequenceStart(anchor, tag) => self.begin(place, anchor, tag, Value::List(vec![])),
            Event::MappingStart(anchor, tag) => self.begin(place, anchor, tag, Value::Map(vec![])),
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(open) = self.open.pop() {
                    self.ended(merged(open.node), open.anchor);
                }
            }
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned();
                self.ended(node.unwrap_or(Node { place, tag: None, value: Value::Nothing }), 0);
            }
            _ => {}
        }
    }
}

impl Builder {
    fn begin(&mut self, place: Place, anchor: usize, tag: Option<yaml_rust2::parser::Tag>, value: Value) {
        let tag = tag.map(|tag| format!("{}{}", tag.handle, tag.suffix));
        self.open.push(Open { node: Node { place, tag, value }, anchor, key: None });
    }

    fn ended(&mut self, node: Node, anchor: usize) {
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some(open) = self.open.last_mut() else {
            self.documents.push(node);
            return;
        };
        match (&mut open.node.value, open.key.take()) {
            (Value::List(items), _) => items.push(node),
            (Value::Map(entries), Some((key, place))) => entries.push(Entry { key, place, value: node }),
            (Value::Map(_), None) => {
                let place = node.place.clone();
                open.key = Some((node.text().unwrap_or_default().to_owned(), place));
            }
            _ => {}
        }
    }
}

/// Takes in what the merge keys of a mapping name.
fn merged(mut node: Node) -> Node {
    let Value::Map(entries) = &mut node.value else { return node };
    while let Some(at) = entries.iter().position(|entry| entry.key == "<<") {
        let source = entries.remove(at).value;
        let sources = if source.items().is_empty() { vec![source] } else { source.items().to_vec() };
        for entry in sources.iter().flat_map(|source| source.entries()) {
            if !entries.iter().any(|own| own.key == entry.key) {
                entries.push(entry.clone());
            }
        }
    }
    node
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_know_their_lines_and_merge_keys_are_followed() {
        let text = "# head\nbase: &base\n  a: \"1\"\n  b:\n    - x\n    - y # why\nthis:\n  <<: *base\n  a: 2\nnone: ~\n";
        let documents = read("f.yaml", text).unwrap();
        let this = documents[0].get("this").unwrap();
        assert_eq!(this.text_at("a"), Some("2"));
        let items = this.get("b").unwrap().items();
        assert_eq!((items[1].text(), items[1].place.line), (Some("y"), 6));
        assert!(matches!(documents[0].get("none").unwrap().value, Value::Nothing));
        assert_eq!(documents[0].entries()[1].place.line, 7);
    }

    #[test]
    fn documents_tags_and_faults() {
        let documents = read("f.yaml", "a: !reset []\n---\nb: 1\n").unwrap();
        assert_eq!(documents.len(), 2);
        assert_eq!(documents[0].get("a").unwrap().tag.as_deref(), Some("!reset"));
        let fault = read("f.yaml", "a: 1\nb: [\n").unwrap_err();
        assert!(fault.place.line >= 2, "{fault}");
    }
}
