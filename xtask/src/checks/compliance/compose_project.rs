//! Compose projects as Compose puts them together: included files, an override beside, files laid over others.

use std::rc::Rc;

use super::row::Finding;
use super::tree::Tree;
use super::yaml::{self, Entry, Node, Value};

/// All projects of the tree.
#[derive(Debug, Default)]
pub struct Composed {
    pub projects: Vec<Project>,
    pub broken: Vec<Finding>,
}

/// What one call of Compose would run.
#[derive(Debug)]
pub struct Project {
    pub whole: Node,
}

impl Project {
    pub fn services(&self) -> impl Iterator<Item = (&str, &Node)> {
        let services = self.whole.get("services").map_or(&[][..], Node::entries);
        services.iter().map(|entry| (entry.key.as_str(), &entry.value))
    }
}

impl Composed {
    pub fn services(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.projects.iter().flat_map(Project::services)
    }

    /// Whether a service, or the one that is built from this target, ends before its dependents begin.
    pub fn runs_once(&self, target: &str) -> bool {
        self.projects.iter().any(|project| {
            let names = project.services().filter(|(name, service)| {
                *name == target || service.at(&["build", "target"]).is_some_and(|built| built.is(target))
            });
            names.into_iter().any(|(name, _)| {
                project.services().any(|(_, other)| {
                    let condition = other.at(&["depends_on", name, "condition"]);
                    condition.is_some_and(|condition| condition.is("service_completed_successfully"))
                })
            })
        })
    }
}

struct Read {
    path: Rc<str>,
    whole: Node,
}

/// A file that is included by another is part of that one. A file with a service that has neither image nor build
/// cannot run by itself: it is laid over each file of its folder that can.
pub fn read(tree: &Tree) -> Composed {
    let mut composed = Composed::default();
    let mut files = Vec::new();
    for path in tree.paths().filter(|path| is_compose(path)) {
        match yaml::read(path, &tree.text(path).unwrap_or_default()) {
            Ok(documents) => {
                files.extend(documents.into_iter().next().map(|whole| Read { path: path.clone(), whole }));
            }
            Err(finding) => composed.broken.push(finding),
        }
    }
    let included: Vec<String> = files.iter().flat_map(includes).collect();
    let mut overlays = Vec::new();
    let mut bases = Vec::new();
    for file in &files {
        if included.iter().any(|path| **path == *file.path) || is_override(&file.path) {
            continue;
        }
        let mut whole = Node { value: Value::Map(vec![]), ..file.whole.clone() };
        for path in includes(file) {
            if let Some(part) = files.iter().find(|part| *part.path == *path) {
                whole = laid_over(whole, &part.whole);
            }
        }
        whole = laid_over(whole, &file.whole);
        let is_first = ["compose", "docker-compose"].contains(&stem(&file.path));
        let beside = files.iter().filter(|other| is_first && is_override(&other.path));
        for over in beside.filter(|other| folder(&other.path) == folder(&file.path)) {
            whole = laid_over(whole, &over.whole);
        }
        let project = Project { whole };
        let runs = |service: &Node| service.get("image").is_some() || service.get("build").is_some();
        if project.services().all(|(_, service)| runs(service)) {
            bases.push((file.path.clone(), project));
        } else {
            overlays.push((file.path.clone(), project));
        }
    }
    for (path, overlay) in overlays {
        let under: Vec<&Project> = bases
            .iter()
            .filter(|(base, _)| folder(base) == folder(&path))
            .map(|(_, project)| project)
            .collect();
        if under.is_empty() {
            composed.projects.push(Project { whole: overlay.whole });
            continue;
        }
        for base in under {
            composed.projects.push(Project { whole: laid_over(base.whole.clone(), &overlay.whole) });
        }
    }
    composed.projects.extend(bases.into_iter().map(|(_, project)| project));
    composed
}

fn is_compose(path: &str) -> bool {
    let named = stem(path).split('.').next().unwrap_or_default();
    (path.ends_with(".yml") || path.ends_with(".yaml")) && ["compose", "docker-compose"].contains(&named)
}

/// The file name without `.yml` or `.yaml`.
fn stem(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.strip_suffix(".yml").or(name.strip_suffix(".yaml")).unwrap_or(name)
}

fn is_override(path: &str) -> bool {
    ["compose.override", "docker-compose.override"].contains(&stem(path))
}

fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn includes(file: &Read) -> Vec<String> {
    let parts = file.whole.get("include").map_or(&[][..], Node::items);
    let paths = parts.iter().flat_map(|part| part.get("path").map_or_else(|| part.texts(), Node::texts));
    paths.map(|path| joined(folder(&file.path), path)).collect()
}

/// A path below the root, from a folder and a path that may climb.
pub fn joined(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Lists that a later file replaces; to all others it adds.
const REPLACED: &[&str] = &["command", "entrypoint", "test"];

fn laid_over(under: Node, over: &Node) -> Node {
    if over.tag.as_deref() == Some("!override") {
        return over.clone();
    }
    match (under.value, &over.value) {
        (Value::Map(mut entries), Value::Map(others)) => {
            for other in others {
                let at = entries.iter().position(|entry| entry.key == other.key);
                if other.value.tag.as_deref() == Some("!reset") {
                    at.map(|at| entries.remove(at));
                    continue;
                }
                match at {
                    Some(at) if REPLACED.contains(&other.key.as_str()) => entries[at] = other.clone(),
                    Some(at) => {
                        let entry = entries.remove(at);
                        let value = laid_over(entry.value, &other.value);
                        entries.insert(at, Entry { value, ..entry });
                    }
                    None => entries.push(other.clone()),
                }
            }
            Node { value: Value::Map(entries), place: under.place, tag: None }
        }
        (Value::List(mut items), Value::List(others)) => {
            items.extend_from_slice(others);
            Node { value: Value::List(items), place: under.place, tag: None }
        }
        // A list of `NAME=value` and a mapping say the same.
        (Value::List(items), Value::Map(_)) => {
            let under = Node { value: Value::Map(pairs(&items)), place: under.place, tag: None };
            laid_over(under, over)
        }
        (Value::Map(entries), Value::List(items)) => {
            let under = Node { value: Value::Map(entries), place: under.place, tag: None };
            laid_over(under, &Node { value: Value::Map(pairs(items)), ..over.clone() })
        }
        _ => over.clone(),
    }
}

fn pairs(items: &[Node]) -> Vec<Entry> {
    let texts = items.iter().filter_map(|item| Some((item, item.text()?)));
    texts
        .map(|(item, text)| {
            let (key, value) = text
                .split_once('=')
                .map_or((text, Value::Nothing), |(key, value)| (key, Value::Text(value.to_owned())));
            let place = item.place.clone();
            Entry { key: key.to_owned(), place: place.clone(), value: Node { place, tag: None, value } }
        })
        .collect()
}
