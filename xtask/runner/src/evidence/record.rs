//! The record of something that passed. Data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The version of the form below. Records of another one are not read.
pub const SCHEMA: u32 = 3;

/// A pass and what it rests on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// [`SCHEMA`].
    pub schema: u32,
    pub kind: Kind,
    /// Of the gate, the rehearsal or the drill.
    pub name: String,
    /// The commit that was checked out; none where there is no git repository, or no commit yet.
    pub commit: Option<String>,
    /// Whether the tree was the commit's, without uncommitted or untracked files.
    pub clean: bool,
    /// Lower-case hexadecimal SHA-256 of the files that it reads: their paths, modes and contents.
    pub inputs_sha256: String,
    /// Of what was carried out: programs with their locks, arguments, what their output must show.
    pub definition_sha256: String,
    /// Of those variables of the environment that the programs heed.
    pub environment_sha256: String,
    /// Versions of the programs, by name.
    pub tools: BTreeMap<String, String>,
    /// Lower-case hexadecimal SHA-256 of the file of each program that ran, by name.
    pub programs: BTreeMap<String, String>,
    pub arguments: Vec<Ran>,
    /// What the programs left as figures, by name; see `FLOWSHIP_OUTPUT`.
    pub figures: BTreeMap<String, Figure>,
    /// The test that plants a fault and sees this gate fail, as `FILE::NAME`.
    pub negative_control: Option<String>,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// Of all its programs together.
    pub duration_ms: u64,
    /// How many tests passed, where it runs tests.
    pub tests: Option<u64>,
    /// How many tests were ignored, where it counts them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignored: Option<u64>,
    /// The last run that found everything above unchanged, and so did not run the gate again.
    pub confirmed: Option<Confirmation>,
}

/// What it is that passed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A quality gate of `cargo xtask ci`.
    #[default]
    Gate,
    /// A stack brought up and taken down to see that what is promised holds.
    Rehearsal,
    /// A fault caused on something that runs.
    Drill,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::Gate, Self::Rehearsal, Self::Drill];

    /// As records name it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Gate => "gate",
            Self::Rehearsal => "rehearsal",
            Self::Drill => "drill",
        }
    }
}

/// One program as it was called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ran {
    /// Name in the catalogue of programs, or `xtask`.
    pub program: String,
    pub arguments: Vec<String>,
    /// The working folder, below the root.
    pub folder: String,
}

/// A number, or words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Figure {
    Number(f64),
    Text(String),
}

/// Another tree for which the record holds too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confirmation {
    pub commit: Option<String>,
    pub clean: bool,
    /// RFC 3339, UTC.
    pub at: String,
}

impl Record {
    /// Whether exactly this commit, with nothing uncommitted, passed the gate: it ran there, or nothing that it depends
    /// on differed there.
    #[must_use]
    pub fn holds_for(&self, commit: &str) -> bool {
        let holds = |clean: bool, of: &Option<String>| clean && of.as_deref() == Some(commit);
        holds(self.clean, &self.commit)
            || self.confirmed.as_ref().is_some_and(|seen| holds(seen.clean, &seen.commit))
    }

    /// Whether the gate would pass again, so that it need not run.
    #[must_use]
    pub fn rests_on_the_same(&self, other: &Self) -> bool {
        self.schema == other.schema
            && (self.kind, &self.name) == (other.kind, &other.name)
            && self.inputs_sha256 == other.inputs_sha256
            && self.definition_sha256 == other.definition_sha256
            && self.environment_sha256 == other.environment_sha256
            && self.tools == other.tools
            && self.arguments == other.arguments
    }
}

impl Figure {
    /// As a program left it: a number where it is one.
    #[must_use]
    pub fn read(text: &str) -> Self {
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Self::Number(number),
            _ => Self::Text(text.to_owned()),
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn record(gate: &str) -> Record {
        Record {
            schema: SCHEMA,
            kind: Kind::Gate,
            name: gate.to_owned(),
            commit: Some("a".repeat(40)),
            clean: true,
            inputs_sha256: "1".repeat(64),
            definition_sha256: "2".repeat(64),
            environment_sha256: "3".repeat(64),
            tools: BTreeMap::from([("cargo".to_owned(), "1.95.0".to_owned())]),
            programs: BTreeMap::from([("cargo".to_owned(), "4".repeat(64))]),
            arguments: vec![Ran {
                program: "cargo".to_owned(),
                arguments: vec!["test".to_owned()],
                folder: ".".to_owned(),
            }],
            figures: BTreeMap::from([("coverage".to_owned(), Figure::Number(81.5))]),
            negative_control: Some("xtask/tests/gates.rs::it_fails".to_owned()),
            started_at: "2026-11-24T21:59:54Z".to_owned(),
            duration_ms: 1200,
            tests: Some(3),
            ignored: Some(1),
            confirmed: None,
        }
    }

    #[test]
    fn a_record_holds_for_its_commit_and_for_the_one_it_was_confirmed_at() {
        let (first, second) = ("a".repeat(40), "b".repeat(40));
        let mut record = record("tests");
        assert!(record.holds_for(&first) && !record.holds_for(&second));
        record.confirmed =
            Some(Confirmation { commit: Some(second.clone()), clean: true, at: String::new() });
        assert!(record.holds_for(&first) && record.holds_for(&second));
        record.clean = false;
        record.confirmed =
            Some(Confirmation { commit: Some(second.clone()), clean: false, at: String::new() });
        assert!(!record.holds_for(&first) && !record.holds_for(&second), "a dirty tree is no commit");
    }

    #[test]
    fn a_pass_depends_on_each_of_its_inputs() {
        let one = record("tests");
        let later = Record { commit: None, clean: false, duration_ms: 9, tests: None, ..one.clone() };
        assert!(one.rests_on_the_same(&later));
        let changes: [fn(&mut Record); 8] = [
            |record| record.kind = Kind::Drill,
            |record| record.schema += 1,
            |record| record.name.push('x'),
            |record| record.inputs_sha256.push('x'),
            |record| record.definition_sha256.push('x'),
            |record| record.environment_sha256.push('x'),
            |record| drop(record.tools.insert("rustc".to_owned(), "1".to_owned())),
            |record| record.arguments[0].arguments.push("--release".to_owned()),
        ];
        for change in changes {
            let mut other = one.clone();
            change(&mut other);
            assert!(!one.rests_on_the_same(&other), "{other:?}");
        }
    }

    #[test]
    fn figures_are_numbers_where_they_can_be() {
        assert_eq!(Figure::read("81.5"), Figure::Number(81.5));
        for text in ["", "12 of 13", "NaN", "inf"] {
            assert_eq!(Figure::read(text), Figure::Text(text.to_owned()));
        }
    }
}
