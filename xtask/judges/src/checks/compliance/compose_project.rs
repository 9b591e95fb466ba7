//! Compose projects as Compose puts them together: included files, an override beside, files laid over others, services
//! that extend others.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use vocabulary::problem::Problem;

use super::interpolation::{GIVEN, settled};
use super::row::Place;
use super::tree::Tree;
use super::yaml::{self, Entry, Node, Value};

/// All projects of the tree.
#[derive(Debug, Default)]
pub struct Composed {
    pub projects: Vec<Project>,
    pub broken: Vec<Problem>,
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

/// The files of the tree, each read once.
struct Files<'a> {
    tree: &'a Tree,
    read: BTreeMap<String, Option<Node>>,
    broken: Vec<Problem>,
}

/// So many files that include each other, or services that extend each other, are followed.
const LONGEST: usize = 100;

impl Files<'_> {
    /// The first document of a file; none when there is no such file, or it cannot be read.
    fn get(&mut self, path: &str) -> Option<Node> {
        if let Some(read) = self.read.get(path) {
            return read.clone();
        }
        let text = self.tree.text(path);
        let read = text.and_then(|text| match yaml::read(path, &text) {
            Ok(documents) => documents.into_iter().next(),
            Err(finding) => {
                self.broken.push(finding);
                None
            }
        });
        self.read.insert(path.to_owned(), read.clone());
        read
    }

    /// The same for a file that another names; what cannot be judged is a finding there.
    fn named(&mut self, place: &Place, name: &str) -> Option<(String, Node)> {
        let settled = settled(name);
        let path = joined(folder(&place.file), &settled);
        let elsewhere = settled.is_empty()
            || settled.contains(GIVEN)
            || settled.contains("://")
            || settled.starts_with(['/', '~'])
            || settled.starts_with("git@")
            || settled.starts_with("oci:")
            || path.starts_with("..");
        if elsewhere || self.tree.bytes(&path).is_none() {
            self.broken.push(
                Problem::new(place, format!("{name} cannot be judged: it is not in the repository"))
                    .remedy("put the file into the repository, and name it by its path"),
            );
            return None;
        }
        Some((path.clone(), self.get(&path)?))
    }

    /// A file over all that it includes, at any depth; each counts once.
    fn whole(&mut self, path: &str, seen: &mut BTreeSet<String>) -> Option<Node> {
        let own = self.get(path)?;
        seen.insert(path.to_owned());
        let mut whole = Node { value: Value::Map(vec![]), ..own.clone() };
        for (place, name) in includes(&own) {
            let Some((part, _)) = self.named(&place, &name) else { continue };
            if seen.contains(&part) {
                continue;
            }
            if seen.len() >= LONGEST {
                let what = format!("more than {LONGEST} files include each other");
                self.broken.push(Problem::new(&place, what).remedy("include fewer"));
                continue;
            }
            if let Some(part) = self.whole(&part, seen) {
                whole = laid_over(whole, &part);
            }
        }
        Some(laid_over(whole, &own))
    }

    /// With every service over the one that it extends.
    fn extended(&mut self, mut whole: Node) -> Node {
        let before = whole.clone();
        let services = whole.entries_mut().iter_mut().filter(|entry| entry.key == "services");
        for service in services.flat_map(|entry| entry.value.entries_mut()) {
            let mut seen = BTreeSet::from([(service.place.file.to_string(), service.key.clone())]);
            service.value = self.over_its_base(&before, service.value.clone(), &mut seen);
        }
        whole
    }

    fn over_its_base(
        &mut self,
        project: &Node,
        service: Node,
        seen: &mut BTreeSet<(String, String)>,
    ) -> Node {
        let Some(extends) = service.get("extends") else { return service };
        let name = extends.text().or(extends.text_at("service")).unwrap_or_default().to_owned();
        let (path, within) = match extends.text_at("file") {
            None => (extends.place.file.to_string(), Some(project.clone())),
            Some(file) => match self.named(&extends.place, file) {
                Some((path, within)) => (path, Some(within)),
                None => return service,
            },
        };
        let base = within.as_ref().and_then(|within| within.at(&["services", &name]));
        let Some(base) = base.filter(|_| seen.insert((path, name.clone())) && seen.len() <= LONGEST) else {
            self.broken.push(
                Problem::new(
                    &extends.place,
                    format!("the service {name:?} that it extends does not exist, or extends it in turn"),
                )
                .remedy("name a service that exists"),
            );
            return service;
        };
        let within = within.clone().unwrap_or_else(|| project.clone());
        let base = self.over_its_base(&within, base.clone(), seen);
        laid_over(base, &service)
    }
}

/// A file that is included by another is part of that one. A file with a service that has neither image nor build
/// cannot run by itself: it is laid over each file of its folder that can.
pub fn read(tree: &Tree) -> Composed {
    let mut files = Files { tree, read: BTreeMap::new(), broken: Vec::new() };
    let paths: Vec<Rc<str>> = tree.paths().filter(|path| is_compose(path)).cloned().collect();
    let mut included = BTreeSet::new();
    let mut wholes = Vec::new();
    for path in &paths {
        let mut seen = BTreeSet::new();
        if let Some(whole) = files.whole(path, &mut seen) {
            seen.remove(&**path);
            included.extend(seen);
            wholes.push((path.clone(), whole));
        }
    }
    let overrides: Vec<(Rc<str>, Node)> =
        wholes.iter().filter(|(path, _)| is_override(path)).cloned().collect();
    let mut overlays = Vec::new();
    let mut bases = Vec::new();
    for (path, mut whole) in wholes {
        if included.contains(&*path) || is_override(&path) {
            continue;
        }
        let is_first = ["compose", "docker-compose"].contains(&stem(&path));
        for (_, over) in overrides.iter().filter(|(over, _)| is_first && folder(over) == folder(&path)) {
            whole = laid_over(whole, over);
        }
        let project = Project { whole: files.extended(whole) };
        let runs = |service: &Node| service.get("image").is_some() || service.get("build").is_some();
        if project.services().all(|(_, service)| runs(service)) {
            bases.push((path, project));
        } else {
            overlays.push((path, project));
        }
    }
    let mut composed = Composed::default();
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
    files.broken.sort();
    files.broken.dedup();
    composed.broken = files.broken;
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

/// The files that a file includes, each with the place where it is named.
fn includes(whole: &Node) -> Vec<(Place, String)> {
    let parts = whole.get("include").map_or(&[][..], Node::items);
    let paths = parts.iter().map(|part| part.get("path").unwrap_or(part));
    paths
        .flat_map(|path| path.texts().into_iter().map(|text| (path.place.clone(), text.to_owned())))
        .collect()
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
