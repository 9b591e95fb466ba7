//! YAML files as trees whose every part knows its line.
//!
//! A few lines of aliases that name aliases stand for more parts than any memory holds, and deep nesting overflows the
//! stack of whoever follows it. So both are counted before they are built.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use vocabulary::problem::{self, Problem};
use yaml_rust2::parser::{Event, Parser};
use yaml_rust2::scanner::{Marker, ScanError, TScalarStyle};

use super::row::Place;

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

    pub fn entries_mut(&mut self) -> &mut [Entry] {
        match &mut self.value {
            Value::Map(entries) => entries,
            _ => &mut [],
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

/// The most parts that a file may have once its aliases and merge keys are followed. The largest Compose file and the
/// largest Kubernetes manifest have tens of thousands.
const PARTS: usize = 1_000_000;
/// How deep lists and mappings may lie in each other.
const DEPTH: usize = 100;

/// The documents of a file.
///
/// # Errors
/// When it is not YAML, is nested too deep or stands for too many parts.
pub fn read(file: &str, text: &str) -> Result<Vec<Node>, Problem> {
    let mut builder = Builder { file: file.into(), ..Builder::default() };
    let finding = |line: usize, what: String| {
        let place = problem::Place::line(file, line.max(1));
        Problem::new(place, what).remedy("write it so that it can be read")
    };
    let not_yaml =
        |error: ScanError| finding(error.marker().line(), format!("this is not YAML: {}", error.info()));
    // Event by event: `Parser::load` calls itself for each level of nesting.
    let mut parser = Parser::new_from_str(text);
    loop {
        let (event, mark) = parser.next_token().map_err(not_yaml)?;
        if event == Event::StreamEnd {
            return Ok(builder.documents);
        }
        builder.take(event, mark).map_err(|what| finding(mark.line(), what))?;
    }
}

#[derive(Default)]
struct Builder {
    file: Rc<str>,
    documents: Vec<Node>,
    open: Vec<Open>,
    anchors: HashMap<usize, (Node, Size)>,
    /// Of everything that was built so far.
    parts: usize,
}

/// How much a node is.
#[derive(Debug, Clone, Copy)]
struct Size {
    parts: usize,
    depth: usize,
}

/// A list or mapping that has not ended.
struct Open {
    node: Node,
    anchor: usize,
    /// The key that waits for its value.
    key: Option<(String, Place)>,
    size: Size,
}

const ONE: Size = Size { parts: 1, depth: 1 };

impl Builder {
    fn take(&mut self, event: Event, mark: Marker) -> Result<(), String> {
        let place = Place { file: self.file.clone(), line: mark.line().max(1) };
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let empty = style == TScalarStyle::Plain && ["", "~", "null"].contains(&text.as_str());
                let value = if empty { Value::Nothing } else { Value::Text(text) };
                let node = Node { place, tag: tag.map(|tag| format!("{}{}", tag.handle, tag.suffix)), value };
                self.ended(node, anchor, ONE)
            }
            Event::SequenceStart(anchor, tag) => self.begin(place, anchor, tag, Value::List(vec![])),
            Event::MappingStart(anchor, tag) => self.begin(place, anchor, tag, Value::Map(vec![])),
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open.pop() else { return Ok(()) };
                let size = Size { parts: open.size.parts + 1, depth: open.size.depth + 1 };
                self.ended(merged(open.node), open.anchor, size)
            }
            Event::Alias(anchor) => {
                let size = self.anchors.get(&anchor).map_or(ONE, |(_, size)| *size);
                self.count(size)?;
                let node = self.anchors.get(&anchor).map(|(node, _)| node.clone());
                self.ended(node.unwrap_or(Node { place, tag: None, value: Value::Nothing }), 0, size)
            }
            _ => Ok(()),
        }
    }

    fn begin(
        &mut self,
        place: Place,
        anchor: usize,
        tag: Option<yaml_rust2::parser::Tag>,
        value: Value,
    ) -> Result<(), String> {
        self.count(ONE)?;
        let tag = tag.map(|tag| format!("{}{}", tag.handle, tag.suffix));
        let size = Size { parts: 0, depth: 0 };
        self.open.push(Open { node: Node { place, tag, value }, anchor, key: None, size });
        Ok(())
    }

    /// Counts what is about to be built.
    fn count(&mut self, size: Size) -> Result<(), String> {
        self.parts = self.parts.saturating_add(size.parts);
        if self.parts > PARTS {
            return Err(format!("its aliases stand for more than {PARTS} parts"));
        }
        if self.open.len() + size.depth > DEPTH {
            return Err(format!("it is nested more than {DEPTH} levels deep"));
        }
        Ok(())
    }

    fn ended(&mut self, node: Node, anchor: usize, size: Size) -> Result<(), String> {
        if anchor > 0 {
            self.count(size)?;
            self.anchors.insert(anchor, (node.clone(), size));
        }
        let Some(open) = self.open.last_mut() else {
            self.documents.push(node);
            return Ok(());
        };
        open.size.parts += size.parts;
        open.size.depth = open.size.depth.max(size.depth);
        match (&mut open.node.value, open.key.take()) {
            (Value::List(items), _) => items.push(node),
            (Value::Map(entries), Some((key, place))) => entries.push(Entry { key, place, value: node }),
            (Value::Map(_), None) => {
                let place = node.place.clone();
                open.key = Some((node.text().unwrap_or_default().to_owned(), place));
            }
            _ => {}
        }
        Ok(())
    }
}

/// Takes in what the merge keys of a mapping name. What is its own, or named first, counts.
fn merged(mut node: Node) -> Node {
    let Value::Map(entries) = &mut node.value else { return node };
    let (named, mut own): (Vec<_>, Vec<_>) =
        std::mem::take(entries).into_iter().partition(|entry| entry.key == "<<");
    if !named.is_empty() {
        let mut keys: HashSet<String> = own.iter().map(|entry| entry.key.clone()).collect();
        for source in named.into_iter().map(|entry| entry.value) {
            let sources = if let Value::List(items) = source.value { items } else { vec![source] };
            for entry in sources.iter().flat_map(Node::entries) {
                if entry.key != "<<" && keys.insert(entry.key.clone()) {
                    own.push(entry.clone());
                }
            }
        }
    }
    *entries = own;
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

    #[test]
    fn aliases_that_expand_to_more_than_fits_are_refused() {
        let laughs = |levels: usize, list: &dyn Fn(String) -> String| {
            let levels = (1..levels).map(|at| {
                let names = vec![format!("*l{}", at - 1); 10].join(", ");
                format!("l{at}: &l{at} {}\n", list(names))
            });
            format!("l0: &l0 x\n{}", levels.collect::<String>())
        };
        let in_lists = laughs(30, &|names| format!("[{names}]"));
        let in_maps = laughs(30, &|names| {
            let pairs = names.split(", ").enumerate().map(|(at, name)| format!("k{at}: {name}"));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
        });
        let merges: String =
            (1..40).map(|at| format!("m{at}: &m{at}\n  <<: *m{}\n  a{at}: *m{}\n", at - 1, at - 1)).collect();
        let merges = format!("m0: &m0 {{ a: 1 }}\n{merges}");
        for (text, expected) in [
            (&in_lists, "its aliases stand for more than 1000000 parts"),
            (&in_maps, "its aliases stand for more than 1000000 parts"),
            (&merges, "its aliases stand for more than 1000000 parts"),
            (&"[".repeat(100_000), "nested"),
            (&"- ".repeat(100_000), "it is nested more than 100 levels deep"),
            (&(0..200).map(|at| format!("{}k:\n", " ".repeat(at))).collect(), "it is nested more than 100"),
        ] {
            let fault = read("f.yaml", text).unwrap_err();
            assert!(fault.seen.contains(expected) || fault.seen.contains("recursion"), "{expected}: {fault}");
        }
        let ordinary = laughs(4, &|names| format!("[{names}]"));
        assert!(read("f.yaml", &ordinary).is_ok());
    }
}
