//! Records of what passed, as `cargo xtask ci` keeps them: `.flowship/ci/evidence/NAME.json`.

use serde_json::Value;

use super::row::{Finding, Place};
use super::tree::Tree;

/// Where they lie.
pub const FOLDER: &str = ".flowship/ci/evidence/";

/// One record.
pub struct Record {
    pub place: Place,
    /// The gate or drill that passed.
    pub name: String,
    value: Value,
}

impl Record {
    /// A number that the programs left.
    pub fn figure(&self, name: &str) -> Option<f64> {
        self.value["figures"][name].as_f64()
    }

    /// When it began; empty where the record does not say.
    pub fn started_at(&self) -> &str {
        self.value["started_at"].as_str().unwrap_or_default()
    }
}

/// The records, and why others are none.
pub fn records(tree: &Tree) -> (Vec<Record>, Vec<Finding>) {
    let mut records = Vec::new();
    let mut broken = Vec::new();
    for path in tree.paths().filter(|path| path.starts_with(FOLDER) && path.ends_with(".json")) {
        match tree.json(path) {
            Some(Ok(value)) => {
                let name = value["gate"].as_str().unwrap_or_default().to_owned();
                records.push(Record { place: Place { file: path.clone(), line: 1 }, name, value });
            }
            Some(Err(finding)) => broken.push(finding),
            None => {}
        }
    }
    (records, broken)
}
