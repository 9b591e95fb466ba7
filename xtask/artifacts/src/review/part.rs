//! The platform's values as a tree of addressed parts. Pure.
//!
//! Addresses derive from the model's own serialisation, so that a new list or field of the model has some at once:
//! `service/edge/resources/memory_mib`, `secret/llm-api-key`. Edges and ports are called as they are in the rest of
//! the project: `edge/node-red->postgres.sql`, `port/node-red.ops`.

use std::collections::BTreeMap;

use serde_json::Value;

/// One step from a value to a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Field(&'static str),
    Item(usize),
}

/// A value of the platform.
#[derive(Debug)]
pub struct Part {
    pub address: String,
    /// From the platform to the value.
    pub steps: Vec<Step>,
    /// The same with names in the place of positions, for the derivation of its source.
    pub names: Vec<String>,
    pub value: &'static Value,
    pub parts: Vec<Part>,
}

impl Part {
    /// The platform's serialisation with all its parts.
    pub fn root(platform: &'static Value) -> Self {
        part(platform, Vec::new(), Vec::new(), String::new())
    }

    /// This part and all in it, each before its own parts.
    pub fn walk(&self) -> Box<dyn Iterator<Item = &Part> + '_> {
        Box::new(std::iter::once(self).chain(self.parts.iter().flat_map(Part::walk)))
    }

    /// Whether it is an element of a list.
    pub fn is_item(&self) -> bool {
        matches!(self.steps.last(), Some(Step::Item(_)))
    }
}

/// What an element of a list is called: the text that stands first in it, as the model has it. None for elements
/// that begin with no text.
pub fn identity(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text),
        Value::Object(fields) => fields.values().next().and_then(identity),
        _ => None,
    }
}

/// The names of a list's elements: what each is called where that tells them apart, its position from 1 where not.
pub fn names(items: &[Value]) -> Vec<String> {
    let called: Vec<_> = items.iter().map(|item| identity(item).map(word)).collect();
    let mut times = BTreeMap::new();
    for name in called.iter().flatten() {
        *times.entry(name.clone()).or_insert(0_usize) += 1;
    }
    let known = |name: &String| times[name] == 1 && name.len() <= LONGEST;
    called
        .into_iter()
        .enumerate()
        .map(|(at, name)| name.filter(known).unwrap_or_else(|| (at + 1).to_string()))
        .collect()
}

/// Longer names are no help: the position is shorter. In bytes.
const LONGEST: usize = 60;

/// As it can be typed without quotes.
fn word(text: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() || "._:@%+=-".contains(c) { c } else { '-' };
    text.chars().map(plain).collect()
}

fn part(value: &'static Value, steps: Vec<Step>, names: Vec<String>, address: String) -> Part {
    let parts = match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, field)| {
                let address = below(&address, name);
                part(field, with(&steps, Step::Field(name)), with(&names, name.clone()), address)
            })
            .collect(),
        Value::Array(items) => {
            let list = names.last().map_or("", String::as_str);
            let kind = list.strip_suffix('s').unwrap_or(list);
            let above = address.rsplit_once('/').map_or("", |(above, _)| above);
            self::names(items)
                .into_iter()
                .zip(items)
                .enumerate()
                .map(|(at, (name, item))| {
                    let address = item_address(&names, above, kind, &name);
                    part(item, with(&steps, Step::Item(at)), with(&names, name), address)
                })
                .collect()
        }
        _ => Vec::new(),
    };
    Part { address, steps, names, value, parts }
}

fn item_address(names: &[String], above: &str, kind: &str, name: &str) -> String {
    match names.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["services", service, "edges"] => format!("edge/{service}->{name}"),
        ["services", service, "ports"] => format!("port/{service}.{name}"),
        _ => below(above, &format!("{kind}/{name}")),
    }
}

fn below(above: &str, name: &str) -> String {
    if above.is_empty() { name.to_owned() } else { format!("{above}/{name}") }
}

fn with<T: Clone>(all: &[T], one: T) -> Vec<T> {
    all.iter().cloned().chain([one]).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::{Part, names};

    #[test]
    fn each_value_has_one_address() {
        let data = Box::leak(Box::new(serde_json::to_value(second_platform::platform()).unwrap()));
        let root = Part::root(data);
        let all: Vec<_> = root.walk().map(|part| part.address.as_str()).collect();
        let set: BTreeSet<_> = all.iter().copied().collect();
        assert_eq!(all.len(), set.len());
        for expected in [
            "services",
            "service/store",
            "service/portal/resources/memory_mib",
            "service/flow-engine/secret/model-key",
            "edge/flow-engine->store.queries",
            "edge/portal->internet",
            "port/flow-engine.control/number",
            "secret/model-key",
            "gate/berths",
            "smoke/check/store",
            "service/portal/image/pinned/digest",
            "queue/retry_limit",
        ] {
            assert!(set.contains(expected), "{expected}");
        }
    }

    #[test]
    fn elements_are_named_by_what_distinguishes_them() {
        let items = json!([{ "name": "a b" }, { "to": { "port": "x.y" } }, "q", "q", [], ""]);
        assert_eq!(names(items.as_array().unwrap()), ["a-b", "x.y", "3", "4", "5", "6"]);
    }
}
