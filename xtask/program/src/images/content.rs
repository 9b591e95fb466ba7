//! What a container of an image sees, and a digest of it by which two builds can be compared.
//!
//! **Content digest.** The SHA-256 of every path of the merged file system (kind, permission bits, owner, contents,
//! link target, device numbers, extended attributes) and of the configuration that a container gets (see
//! [`CONFIGURATION`]). What differs between two builds of the same inputs is normalised, that is left out: see
//! [`NOT_COUNTED`].

use std::collections::BTreeMap;
use std::io::Read;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::archive::{Archive, SavedImage, plain};
use foundation::digest::{self, Hashed, Hasher};

/// The parts of the configuration that count.
pub const CONFIGURATION: &[&str] = &[
    "User",
    "ExposedPorts",
    "Env",
    "Entrypoint",
    "Cmd",
    "Volumes",
    "WorkingDir",
    "Labels",
    "StopSignal",
    "Healthcheck",
    "Shell",
    "OnBuild",
];

/// What the content digest leaves out, for whoever reads a verdict on it.
pub const NOT_COUNTED: &str = "the times of files, the order and the framing of archive entries, names of owners (numbers count), how \
    the files are spread over layers and how layers are packed, deleted files of lower layers, the image's own times, its \
    history, its build cache records, the label org.opencontainers.image.created";

/// The time of the build, as a label.
const CREATED: &str = "org.opencontainers.image.created";

/// The files of an image, by path without the leading slash.
pub type Tree = BTreeMap<String, Node>;

/// One path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub kind: Kind,
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
    /// By name, such as `security.capability`.
    pub attributes: BTreeMap<String, Vec<u8>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    Folder,
    File { size: u64, sha256: String },
    Link(String),
    Device { character: bool, major: u32, minor: u32 },
    Pipe,
}

/// The merged file system of an image.
///
/// # Errors
/// A layer cannot be read.
pub fn tree(archive: &Archive, image: &SavedImage) -> Result<Tree> {
    let mut tree = Tree::new();
    for name in &image.layers {
        apply(&mut tree, archive.layer(name)?).with_context(|| format!("layer {name}"))?;
    }
    Ok(tree)
}

/// Bytes of all files.
pub fn bytes(tree: &Tree) -> u64 {
    tree.values().map(|node| if let Kind::File { size, .. } = node.kind { size } else { 0 }).sum()
}

/// Puts a layer on top: whiteouts remove what is below.
fn apply(tree: &mut Tree, layer: impl Read) -> Result<()> {
    let mut added: Vec<(String, Node)> = Vec::new();
    // Of this layer, for hard links.
    let mut files: BTreeMap<String, Kind> = BTreeMap::new();
    let mut archive = tar::Archive::new(layer);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = plain(&entry.path()?.to_string_lossy());
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
        if name == ".wh..wh..opq" {
            remove_below(tree, folder);
            continue;
        }
        if let Some(gone) = name.strip_prefix(".wh.") {
            let gone = if folder.is_empty() { gone.to_owned() } else { format!("{folder}/{gone}") };
            remove_below(tree, &gone);
            tree.remove(&gone);
            continue;
        }
        let attributes = attributes(&mut entry)?;
        let header = entry.header();
        let (mode, uid, gid) = (header.mode()? & 0o7777, header.uid()?, header.gid()?);
        // Only entries of devices have these fields for sure.
        let device = |character| -> Result<Kind> {
            let (major, minor) = (header.device_major()?.unwrap_or(0), header.device_minor()?.unwrap_or(0));
            Ok(Kind::Device { character, major, minor })
        };
        let of = |link: Option<std::borrow::Cow<'_, std::path::Path>>| {
            link.map(|link| link.to_string_lossy().into_owned()).unwrap_or_default()
        };
        let kind = match header.entry_type() {
            tar::EntryType::Directory => Kind::Folder,
            tar::EntryType::Symlink => Kind::Link(of(entry.link_name()?)),
            tar::EntryType::Link => {
                let to = plain(&of(entry.link_name()?));
                let below = || tree.get(&to).map(|node| node.kind.clone());
                files
                    .get(&to)
                    .cloned()
                    .or_else(below)
                    .with_context(|| format!("{path}: links to a missing {to}"))?
            }
            tar::EntryType::Char => device(true)?,
            tar::EntryType::Block => device(false)?,
            tar::EntryType::Fifo => Kind::Pipe,
            _ => {
                let Hashed { sha256, bytes: size } = digest::copy(&mut entry, std::io::sink())?;
                Kind::File { size, sha256 }
            }
        };
        if path.is_empty() {
            continue;
        }
        files.insert(path.clone(), kind.clone());
        added.push((path, Node { kind, mode, uid, gid, attributes }));
    }
    // Whiteouts of a layer speak of the layers below it only, wherever in the layer they stand.
    for (path, node) in added {
        if node.kind != Kind::Folder {
            remove_below(tree, &path);
        }
        tree.insert(path, node);
    }
    Ok(())
}

fn remove_below(tree: &mut Tree, folder: &str) {
    let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
    let below: Vec<String> = tree
        .range(prefix.clone()..)
        .map(|(path, _)| path)
        .take_while(|path| path.starts_with(&prefix))
        .cloned()
        .collect();
    for path in below {
        tree.remove(&path);
    }
}

fn attributes<R: Read>(entry: &mut tar::Entry<'_, R>) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut found = BTreeMap::new();
    if let Some(extensions) = entry.pax_extensions()? {
        for extension in extensions {
            let extension = extension?;
            if let Some(name) = extension.key()?.strip_prefix("SCHILY.xattr.") {
                found.insert(name.to_owned(), extension.value_bytes().to_owned());
            }
        }
    }
    Ok(found)
}

/// The part of an image's configuration that a container gets.
pub fn configuration(config: &Value) -> Value {
    let given = config.get("config").cloned().unwrap_or_default();
    let mut kept = serde_json::Map::new();
    for name in CONFIGURATION {
        let Some(value) = given.get(name).filter(|value| !empty(value)) else { continue };
        let mut value = value.clone();
        if let Some(labels) = value.as_object_mut() {
            labels.remove(CREATED);
            labels.sort_keys();
        }
        kept.insert((*name).to_owned(), value);
    }
    for name in ["architecture", "os"] {
        kept.insert(name.to_owned(), config.get(name).cloned().unwrap_or_default());
    }
    Value::Object(kept)
}

fn empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(values) => values.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// `sha256:` and the content digest.
pub fn digest(tree: &Tree, config: &Value) -> String {
    let mut hash = Hasher::default();
    hash.part(configuration(config).to_string());
    for (path, node) in tree {
        hash.part(path);
        hash.part(format!("{:?} {:o} {} {}", node.kind, node.mode, node.uid, node.gid));
        for (name, value) in &node.attributes {
            hash.part(name);
            hash.part(value);
        }
    }
    format!("sha256:{}", hash.finish())
}

/// Paths at which two trees differ, and how: for people who look for what is not reproducible.
pub fn differences(one: &Tree, other: &Tree) -> Vec<String> {
    let paths: std::collections::BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    paths
        .into_iter()
        .filter_map(|path| match (one.get(path), other.get(path)) {
            (Some(left), Some(right)) if left == right => None,
            (Some(left), Some(right)) if left.kind != right.kind => Some(format!("{path}: contents differ")),
            (Some(_), Some(_)) => Some(format!("{path}: mode, owner or attributes differ")),
            (Some(_), None) => Some(format!("{path}: only in the first")),
            (None, _) => Some(format!("{path}: only in the second")),
        })
        .collect()
}

/// What two configurations give a container that differs, each with both values.
pub fn configuration_differences(one: &Value, other: &Value) -> Vec<String> {
    let (one, other) = (configuration(one), configuration(other));
    let mut differences = Vec::new();
    for name in CONFIGURATION.iter().copied().chain(["architecture", "os"]) {
        let (left, right) = (&one[name], &other[name]);
        match (left, right) {
            (Value::Object(left), Value::Object(right)) => {
                let keys: std::collections::BTreeSet<&String> = left.keys().chain(right.keys()).collect();
                let differing = keys.into_iter().filter(|key| left.get(*key) != right.get(*key));
                differences.extend(
                    differing.map(|key| told(&format!("{name} {key}"), left.get(key), right.get(key))),
                );
            }
            _ if left != right => differences.push(told(name, Some(left), Some(right))),
            _ => {}
        }
    }
    differences
}

fn told(name: &str, one: Option<&Value>, other: Option<&Value>) -> String {
    let word = |value: Option<&Value>| match value {
        None | Some(Value::Null) => "nothing".to_owned(),
        Some(value) => value.to_string(),
    };
    format!("configuration: {name}: {} in the first, {} in the second", word(one), word(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(entries: &[(&str, &str, u32, u64)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, contents, mode, mtime) in entries {
            let mut header = tar::Header::new_ustar();
            header.set_size(contents.len() as u64);
            header.set_mode(*mode);
            header.set_mtime(*mtime);
            header.set_uid(0);
            header.set_gid(0);
            if path.ends_with('/') {
                header.set_entry_type(tar::EntryType::Directory);
            }
            builder.append_data(&mut header, path, contents.as_bytes()).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn merged(layers: &[&[(&str, &str, u32, u64)]]) -> Tree {
        let mut tree = Tree::new();
        for entries in layers {
            apply(&mut tree, &layer(entries)[..]).unwrap();
        }
        tree
    }

    #[test]
    fn whiteouts_remove_what_is_below_and_nothing_of_their_own_layer() {
        let below: &[_] =
            &[("a/", "", 0o755, 1), ("a/one", "1", 0o644, 1), ("a/two", "2", 0o644, 1), ("b", "b", 0o644, 1)];
        let names = |tree: &Tree| tree.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&merged(&[below, &[("a/.wh.one", "", 0o644, 1)]])), ["a", "a/two", "b"]);
        let opaque: &[_] = &[("a/new", "n", 0o644, 1), ("a/.wh..wh..opq", "", 0o644, 1)];
        assert_eq!(names(&merged(&[below, opaque])), ["a", "a/new", "b"]);
        assert_eq!(names(&merged(&[below, &[("a", "now a file", 0o644, 1)]])), ["a", "b"]);
        assert_eq!(names(&merged(&[below, &[(".wh.a", "", 0o644, 1)]])), ["b"]);
    }

    #[test]
    fn the_digest_ignores_times_and_layers_and_nothing_else() {
        let config: Value = serde_json::json!({
            "os": "linux", "created": "2026", "history": [1],
            "config": { "User": "1000", "Env": ["A=1"], "Labels": { CREATED: "2026", "b": "1" } }
        });
        let other: Value = serde_json::json!({
            "history": [2], "created": "2027", "os": "linux",
            "config": { "Labels": { "b": "1", CREATED: "2027" }, "User": "1000", "Env": ["A=1"], "Cmd": null }
        });
        let one = digest(&merged(&[&[("a", "1", 0o644, 1), ("b", "2", 0o644, 1)]]), &config);
        let spread: &[&[_]] = &[&[("b", "old", 0o600, 7)], &[("b", "2", 0o644, 9)], &[("a", "1", 0o644, 5)]];
        assert_eq!(one, digest(&merged(spread), &other));
        for changed in [("a", "2", 0o644, 1), ("a", "1", 0o755, 1), ("c", "1", 0o644, 1)] {
            assert_ne!(one, digest(&merged(&[&[changed, ("b", "2", 0o644, 1)]]), &config), "{changed:?}");
        }
        let root = serde_json::json!({ "os": "linux", "config": { "User": "0", "Env": ["A=1"], "Labels": { "b": "1" } } });
        assert_ne!(one, digest(&merged(spread), &root));
    }

    #[test]
    fn differences_name_the_part_of_the_configuration() {
        let one = serde_json::json!({ "os": "linux", "created": "2026", "config": { "User": "1", "Labels": { "a": "1", "b": "2" } } });
        let other = serde_json::json!({ "os": "linux", "created": "2027", "config": { "Cmd": ["x"], "User": "1", "Labels": { "a": "1", "b": "3" } } });
        assert_eq!(configuration_differences(&one, &one), [""; 0]);
        assert_eq!(
            configuration_differences(&one, &other),
            [
                "configuration: Cmd: nothing in the first, [\"x\"] in the second",
                "configuration: Labels b: \"2\" in the first, \"3\" in the second"
            ]
        );
    }

    #[test]
    fn differences_name_the_path() {
        let one = merged(&[&[("a", "1", 0o644, 1), ("b", "2", 0o644, 1), ("c", "3", 0o644, 1)]]);
        let other = merged(&[&[("a", "x", 0o644, 1), ("b", "2", 0o755, 1), ("d", "3", 0o644, 1)]]);
        assert_eq!(
            differences(&one, &other),
            [
                "a: contents differ",
                "b: mode, owner or attributes differ",
                "c: only in the first",
                "d: only in the second"
            ]
        );
    }
}
