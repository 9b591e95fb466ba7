//! Two trees of data, compared value by value; elements of lists by their names where they have some. Pure.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::review::part::identity;

/// One step on the way to a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Segment {
    Field(String),
    Item(String),
}

impl Segment {
    pub fn name(&self) -> &str {
        match self {
            Segment::Field(name) | Segment::Item(name) => name,
        }
    }
}

/// One value that differs; null counts as absent.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    pub path: Vec<Segment>,
    pub before: Option<Value>,
    pub after: Option<Value>,
    /// The list has its elements in another order; both sides hold the names that they share.
    pub reordered: bool,
}

impl Difference {
    pub fn names(&self) -> Vec<&str> {
        self.path.iter().map(Segment::name).collect()
    }
}

/// All that differs, in the order of the later tree; what is gone comes after what remains.
pub fn differences(before: &Value, after: &Value) -> Vec<Difference> {
    below(Vec::new(), before, after)
}

/// The same for values that stand at a path.
pub fn below(path: Vec<Segment>, before: &Value, after: &Value) -> Vec<Difference> {
    match (before, after) {
        _ if before == after => vec![],
        (Value::Object(old), Value::Object(new)) if old.keys().any(|key| new.contains_key(key)) => {
            fields(&path, old, new)
        }
        (Value::Array(old), Value::Array(new)) => items(path, old, new),
        _ => vec![one(path, Some(before), Some(after))],
    }
}

fn one(path: Vec<Segment>, before: Option<&Value>, after: Option<&Value>) -> Difference {
    let present = |value: Option<&Value>| value.filter(|value| !value.is_null()).cloned();
    Difference { path, before: present(before), after: present(after), reordered: false }
}

fn pair(path: Vec<Segment>, before: Option<&Value>, after: Option<&Value>) -> Vec<Difference> {
    match (before, after) {
        (Some(before), Some(after)) => below(path, before, after),
        (before, after) => vec![one(path, before, after)],
    }
}

fn fields(path: &[Segment], old: &Map<String, Value>, new: &Map<String, Value>) -> Vec<Difference> {
    let gone = old.keys().filter(|name| !new.contains_key(*name));
    let step = |name: &String| with(path, Segment::Field(name.clone()));
    new.keys().chain(gone).flat_map(|name| pair(step(name), old.get(name), new.get(name))).collect()
}

fn items(path: Vec<Segment>, old: &[Value], new: &[Value]) -> Vec<Difference> {
    let (Some(old_names), Some(new_names)) = (own_names(old), own_names(new)) else {
        return by_position(path, old, new);
    };
    let find = |items: &'_ [Value], names: &[&str], name| {
        names.iter().position(|other| *other == name).map(|at| items[at].clone())
    };
    let gone = old_names.iter().filter(|name| !new_names.contains(name));
    let mut found: Vec<_> = new_names
        .iter()
        .chain(gone)
        .flat_map(|name| {
            let step = with(&path, Segment::Item((*name).to_owned()));
            pair(step, find(old, &old_names, *name).as_ref(), find(new, &new_names, *name).as_ref())
        })
        .collect();
    let shared = |names: &[&str], others: &[&str]| -> Vec<Value> {
        names.iter().filter(|name| others.contains(name)).map(|name| Value::from(*name)).collect()
    };
    let (before, after) = (shared(&old_names, &new_names), shared(&new_names, &old_names));
    if before != after {
        let (before, after) = (Some(before.into()), Some(after.into()));
        found.push(Difference { path, before, after, reordered: true });
    }
    found
}

/// What the elements are called, when that tells them apart.
fn own_names(items: &[Value]) -> Option<Vec<&str>> {
    let names: Option<Vec<_>> = items.iter().map(identity).collect();
    names.filter(|names| BTreeSet::from_iter(names).len() == names.len())
}

fn by_position(path: Vec<Segment>, old: &[Value], new: &[Value]) -> Vec<Difference> {
    (0..old.len().max(new.len()))
        .flat_map(|at| pair(with(&path, Segment::Item((at + 1).to_string())), old.get(at), new.get(at)))
        .collect()
}

fn with(path: &[Segment], segment: Segment) -> Vec<Segment> {
    path.iter().cloned().chain([segment]).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::differences;

    #[test]
    fn finds_each_value_that_differs() {
        for (before, after, expected) in [
            (json!({ "a": 1 }), json!({ "a": 1 }), &[][..]),
            (json!({ "a": 1, "c": 1 }), json!({ "a": 2, "b": 3 }), &["a 1 2", "b - 3", "c 1 -"]),
            (json!({ "a": null, "b": 1 }), json!({ "a": 1, "b": 1 }), &["a - 1"]),
            (json!({ "i": { "x": 1 } }), json!({ "i": { "y": 1 } }), &["i {\"x\":1} {\"y\":1}"]),
            (json!({ "i": "x" }), json!({ "i": { "y": 1 } }), &["i \"x\" {\"y\":1}"]),
            (json!(["a", "b"]), json!(["b", "c"]), &["c - \"c\"", "a \"a\" -"]),
            (json!(["a", "b"]), json!(["b", "a"]), &[" [\"a\",\"b\"] [\"b\",\"a\"] reordered"]),
            (json!(["a", "a"]), json!(["a", "b", "a"]), &["2 \"a\" \"b\"", "3 - \"a\""]),
            (
                json!([{ "id": "x", "n": 1 }, { "id": "y", "n": 1 }]),
                json!([{ "id": "y", "n": 2 }]),
                &["y/n 1 2", "x {\"id\":\"x\",\"n\":1} -"],
            ),
            (json!([1, 2]), json!([1]), &["2 2 -"]),
        ] {
            let shown: Vec<_> = differences(&before, &after)
                .iter()
                .map(|one| {
                    let side = |value: &Option<serde_json::Value>| {
                        value.as_ref().map_or("-".to_owned(), ToString::to_string)
                    };
                    let order = if one.reordered { " reordered" } else { "" };
                    format!("{} {} {}{order}", one.names().join("/"), side(&one.before), side(&one.after))
                })
                .collect();
            assert_eq!(shown, expected, "{before} -> {after}");
        }
    }
}
