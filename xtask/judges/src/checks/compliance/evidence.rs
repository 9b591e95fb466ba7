//! Records of what passed, as they are kept: `.flowship/evidence/KIND/NAME.json`.

use serde_json::Value;
use vocabulary::problem::Problem;

use super::row::Place;
use super::tree::Tree;

/// Where they lie.
pub const FOLDER: &str = ".flowship/evidence/";

/// One record.
pub struct Record {
    pub place: Place,
    /// `gate`, `rehearsal` or `drill`.
    pub kind: String,
    /// Which one passed.
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
pub fn records(tree: &Tree) -> (Vec<Record>, Vec<Problem>) {
    let mut records = Vec::new();
    let mut broken = Vec::new();
    for path in tree.paths().filter(|path| path.starts_with(FOLDER) && path.ends_with(".json")) {
        match tree.json(path) {
            Some(Ok(value)) => {
                let word = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
                let (kind, name) = (word("kind"), word("name"));
                records.push(Record { place: Place { file: path.clone(), line: 1 }, kind, name, value });
            }
            Some(Err(finding)) => broken.push(finding),
            None => {}
        }
    }
    (records, broken)
}
