//! The ledger of evidence: every gate that this commit passed, with what the pass rests on. What is not proven for
//! exactly this commit is left out, and named.

use serde::{Deserialize, Serialize};

use crate::evidence::Record;

/// Its name.
pub const FILE: &str = "evidence.json";
/// The version of its form.
pub const SCHEMA: u32 = 1;

/// What is proven of a commit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    /// [`SCHEMA`].
    pub schema: u32,
    pub commit: String,
    /// By the gate's name.
    pub records: Vec<Record>,
    pub left_out: Vec<LeftOut>,
}

/// A record that proves nothing of this commit, or a gate without one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftOut {
    pub gate: String,
    pub why: String,
}

/// Of the records that are here and the gates that there are.
pub fn collect(records: Vec<Record>, gates: &[&str], commit: &str) -> Ledger {
    let absent = gates.iter().filter(|gate| !records.iter().any(|record| record.gate == **gate));
    let mut left_out: Vec<_> = absent
        .map(|gate| LeftOut { gate: (*gate).to_owned(), why: "no record of a pass is here".to_owned() })
        .collect();
    let mut proven = Vec::new();
    for record in records {
        if record.holds_for(commit) {
            proven.push(record);
        } else {
            let why = match &record.commit {
                Some(of) if of == commit => {
                    "it passed in a tree with changes that were not committed".to_owned()
                }
                Some(of) => format!("it passed on another commit, {of}"),
                None => "it passed outside a commit".to_owned(),
            };
            left_out.push(LeftOut { gate: record.gate, why });
        }
    }
    proven.sort_by(|left, right| left.gate.cmp(&right.gate));
    left_out.sort_by(|left, right| left.gate.cmp(&right.gate));
    Ledger { schema: SCHEMA, commit: commit.to_owned(), records: proven, left_out }
}

impl Ledger {
    /// What is wrong with it as the ledger of a commit.
    pub fn problems(&self, commit: &str) -> Vec<String> {
        let mut problems = Vec::new();
        if self.schema != SCHEMA {
            problems.push(format!("{FILE}: its schema is {}, this program reads {SCHEMA}", self.schema));
        }
        if self.commit != commit {
            problems.push(format!("{FILE}: it is of the commit {}, the release of {commit}", self.commit));
        }
        for (at, record) in self.records.iter().enumerate() {
            if !record.holds_for(commit) {
                problems.push(format!("{FILE}: its record of {} proves nothing of this commit", record.gate));
            }
            if self.records[..at].iter().any(|earlier| earlier.gate == record.gate) {
                problems.push(format!("{FILE}: {} is there twice", record.gate));
            }
        }
        problems
    }
}
