//! What lies in the folder of a release.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value;
use vocabulary::problem::Problem;

use super::row::Place;
use super::tree::{RELEASE, Tree};

/// The list of digests, as `sha256sum` writes it.
pub const SUMS: &str = "SHA256SUMS";

/// Names of files in the folder, without what lies deeper.
pub fn names(tree: &Tree) -> impl Iterator<Item = &str> {
    tree.paths().filter_map(|path| path.strip_prefix(RELEASE)).filter(|name| !name.contains('/'))
}

pub fn place(name: &str) -> Place {
    Place { file: Rc::from(format!("{RELEASE}{name}")), line: 1 }
}

/// Digest by name, as [`SUMS`] has them.
pub fn sums(tree: &Tree) -> BTreeMap<String, String> {
    let text = tree.text(&format!("{RELEASE}{SUMS}")).unwrap_or_default();
    let lines = text.lines().filter_map(|line| line.split_once("  "));
    lines.map(|(digest, name)| (name.trim_start_matches("./").to_owned(), digest.to_owned())).collect()
}

/// The JSON files for which `wanted` says yes, by name, and why others are none.
pub fn documents(tree: &Tree, wanted: fn(&Value) -> bool) -> (Vec<(String, Value)>, Vec<Problem>) {
    let mut found = Vec::new();
    let mut broken = Vec::new();
    for name in names(tree).filter(|name| name.ends_with(".json") || name.ends_with(".jsonl")) {
        match tree.json(&format!("{RELEASE}{name}")) {
            Some(Ok(value)) if wanted(&value) => found.push((name.to_owned(), value)),
            Some(Err(finding)) => broken.push(finding),
            _ => {}
        }
    }
    (found, broken)
}

/// Whether it is something that is run or unpacked, not a text about it.
pub fn is_archive(name: &str) -> bool {
    [".tar.gz", ".tgz", ".tar", ".tar.zst", ".zip"].iter().any(|ending| name.ends_with(ending))
}
