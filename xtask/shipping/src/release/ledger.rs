//! The ledger of evidence: every gate, rehearsal and drill that this commit passed, with what the pass rests on. What is not proven for
//! exactly this commit is left out, and named.

use serde::{Deserialize, Serialize};

use runner::evidence::{Kind, Record};

/// Its name.
pub const FILE: &str = "evidence.json";
/// The version of its form.
pub const SCHEMA: u32 = 2;

/// What is proven of a commit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    /// [`SCHEMA`].
    pub schema: u32,
    pub commit: String,
    /// By kind and name.
    pub records: Vec<Record>,
    pub left_out: Vec<LeftOut>,
}

/// A record that proves nothing of this commit, or what has none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftOut {
    pub kind: Kind,
    pub name: String,
    pub why: String,
}

/// Of the records that are here, and of all that could have one.
pub fn collect(records: Vec<Record>, wanted: &[(Kind, &str)], commit: &str) -> Ledger {
    let has = |one: &(Kind, &str)| records.iter().any(|record| (record.kind, record.name.as_str()) == *one);
    let absent = wanted.iter().filter(|one| !has(one));
    let mut left_out: Vec<_> = absent
        .map(|(kind, name)| LeftOut {
            kind: *kind,
            name: (*name).to_owned(),
            why: "there is no record of a pass".to_owned(),
        })
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
            left_out.push(LeftOut { kind: record.kind, name: record.name, why });
        }
    }
    proven.sort_by(|left, right| (left.kind, &left.name).cmp(&(right.kind, &right.name)));
    left_out.sort_by(|left, right| (left.kind, &left.name).cmp(&(right.kind, &right.name)));
    Ledger { schema: SCHEMA, commit: commit.to_owned(), records: proven, left_out }
}

impl Ledger {
    /// Whether everything that could be proven is.
    pub fn is_whole(&self) -> bool {
        self.left_out.is_empty() && !self.records.is_empty()
    }

    /// How much is proven, and what is not.
    pub fn summary(&self) -> String {
        let proven = format!("{} passed on this commit", self.records.len());
        let names: Vec<_> =
            self.left_out.iter().map(|one| format!("{} {}", one.kind.word(), one.name)).collect();
        if names.is_empty() { proven } else { format!("{proven}; NOT PROVEN: {}", names.join(", ")) }
    }

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
                let Record { kind, name, .. } = record;
                problems.push(format!(
                    "{FILE}: its record of the {} {name} proves nothing about this commit",
                    kind.word()
                ));
            }
            let same = |earlier: &Record| (earlier.kind, &earlier.name) == (record.kind, &record.name);
            if self.records[..at].iter().any(same) {
                problems.push(format!("{FILE}: the {} {} is listed twice", record.kind.word(), record.name));
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(gate: &str) -> Record {
        Record {
            schema: runner::evidence::record::SCHEMA,
            name: gate.to_owned(),
            commit: Some("a".repeat(40)),
            clean: true,
            ..Record::default()
        }
    }

    #[test]
    fn what_is_not_proven_of_this_commit_is_left_out_and_named() {
        let commit = "a".repeat(40);
        let rehearsal = Record { kind: Kind::Rehearsal, ..record("compose") };
        let dirty = Record { clean: false, ..record("format") };
        let other = Record { commit: Some("b".repeat(40)), ..record("flows") };
        let nowhere = Record { commit: None, ..record("node") };
        let wanted = [(Kind::Gate, "tests"), (Kind::Gate, "clippy"), (Kind::Rehearsal, "compose")];
        let ledger = collect(vec![rehearsal, nowhere, dirty, other, record("tests")], &wanted, &commit);
        let names = |kind: Kind| {
            let of_kind = ledger.records.iter().filter(move |record| record.kind == kind);
            of_kind.map(|record| record.name.as_str()).collect::<Vec<_>>()
        };
        assert_eq!((names(Kind::Gate), names(Kind::Rehearsal)), (vec!["tests"], vec!["compose"]));
        let whys: Vec<_> = ledger.left_out.iter().map(|one| (one.name.as_str(), one.why.as_str())).collect();
        assert_eq!(whys.len(), 4);
        for (index, (name, part)) in [
            ("clippy", "no record"),
            ("flows", "another commit"),
            ("format", "not committed"),
            ("node", "outside a commit"),
        ]
        .into_iter()
        .enumerate()
        {
            assert!(whys[index].0 == name && whys[index].1.contains(part), "{whys:?}");
        }
        assert!(ledger.problems(&commit).is_empty());
        let summary = ledger.summary();
        assert!(
            summary.starts_with("2 passed on this commit; NOT PROVEN: gate clippy, gate flows"),
            "{summary}"
        );
        let whole = Ledger { left_out: Vec::new(), ..ledger };
        assert_eq!(whole.summary(), "2 passed on this commit");
    }

    #[test]
    fn a_ledger_that_proves_something_else_has_problems() {
        let commit = "a".repeat(40);
        let twice = collect(vec![record("tests"), record("tests")], &[], &commit);
        let other = "b".repeat(40);
        let ledger = Ledger { schema: SCHEMA + 1, ..twice };
        let problems = ledger.problems(&other).join("\n");
        for part in [
            "its schema is",
            "it is of the commit",
            "the gate tests proves nothing",
            "the gate tests is listed twice",
        ] {
            assert!(problems.contains(part), "{part}: {problems}");
        }
    }
}
