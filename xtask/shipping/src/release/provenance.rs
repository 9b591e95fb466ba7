//! How the release came about, as an in-toto Statement v1 with the predicate of SLSA provenance v1.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::archive::{Contents, Node, Tree};
use super::description::Release;
use super::sums::Sums;
use foundation::digest;

/// Its name.
pub const FILE: &str = "provenance.json";
/// What the parameters below mean.
pub const BUILD_TYPE: &str = "urn:flowship:build:release-package:1";

const STATEMENT: &str = "https://in-toto.io/Statement/v1";
const PREDICATE: &str = "https://slsa.dev/provenance/v1";

/// Files of the commit that decide what is built beside its own sources.
pub const MATERIALS: &[&str] = &[
    "Cargo.lock",
    "rust-toolchain.toml",
    "flows/package-lock.json",
    "ops/docker/prod/dbmate/package-lock.json",
    "ops/ci/requirements.txt",
];

/// The statement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Statement {
    #[serde(rename = "_type")]
    pub kind: String,
    pub subject: Vec<Subject>,
    pub predicate_type: String,
    pub predicate: Predicate,
}

/// A file that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    pub name: String,
    pub digest: BTreeMap<String, String>,
}

/// How.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Predicate {
    pub build_definition: Definition,
    pub run_details: Value,
}

/// Of what, and with what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Definition {
    pub build_type: String,
    pub external_parameters: Value,
    pub internal_parameters: Value,
    pub resolved_dependencies: Vec<Material>,
}

/// Something it was made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Material {
    pub name: String,
    pub digest: BTreeMap<String, String>,
}

/// What the statement is about.
pub struct Build<'a> {
    pub release: &'a Release,
    /// A URI.
    pub builder: &'a str,
    pub images: bool,
    pub subjects: &'a Sums,
    pub materials: Vec<Material>,
}

/// The lock files among the commit's files.
pub fn materials(files: &Tree) -> Vec<Material> {
    let lock = |(path, node): (&String, &Node)| match node {
        Node::File { contents: Contents::Bytes(bytes), .. } => {
            Some(Material { name: path.clone(), digest: sha256(&digest::sha256(bytes)) })
        }
        _ => None,
    };
    files.iter().filter_map(lock).collect()
}

/// Without times and without an id of the run: the same build makes the same statement.
pub fn statement(build: &Build) -> Statement {
    let Release { version, commit, target, tools, .. } = build.release;
    let source = Material {
        name: "source".to_owned(),
        digest: BTreeMap::from([("gitCommit".to_owned(), commit.clone())]),
    };
    Statement {
        kind: STATEMENT.to_owned(),
        subject: build
            .subjects
            .iter()
            .map(|(name, sum)| Subject { name: name.clone(), digest: sha256(sum) })
            .collect(),
        predicate_type: PREDICATE.to_owned(),
        predicate: Predicate {
            build_definition: Definition {
                build_type: BUILD_TYPE.to_owned(),
                external_parameters: json!({
                    "commit": commit,
                    "version": version,
                    "images": if build.images { "all" } else { "none" },
                }),
                internal_parameters: json!({ "target": target, "tools": tools }),
                resolved_dependencies: [source].into_iter().chain(build.materials.iter().cloned()).collect(),
            },
            run_details: json!({ "builder": { "id": build.builder } }),
        },
    }
}

impl Statement {
    /// Who built it.
    pub fn builder(&self) -> Option<&str> {
        self.predicate.run_details["builder"]["id"].as_str()
    }

    /// What of it does not fit the release and its sums.
    pub fn problems(&self, release: &Release, sums: &Sums) -> Vec<String> {
        let mut problems = Vec::new();
        let mut expect = |what: &str, found: &str, expected: &str| {
            if found != expected {
                problems.push(format!("{FILE}: {what} is {found:?}; expected {expected:?}"));
            }
        };
        let definition = &self.predicate.build_definition;
        expect("_type", &self.kind, STATEMENT);
        expect("predicateType", &self.predicate_type, PREDICATE);
        expect("buildType", &definition.build_type, BUILD_TYPE);
        let source = definition
            .resolved_dependencies
            .iter()
            .find_map(|material| material.digest.get("gitCommit"))
            .map_or("", String::as_str);
        expect("the commit", source, &release.commit);
        let mut subjects = Sums::new();
        for subject in &self.subject {
            let sum = subject.digest.get("sha256").cloned().unwrap_or_default();
            if subjects.insert(subject.name.clone(), sum).is_some() {
                problems.push(format!("{FILE}: the subject {} is listed twice", subject.name));
            }
        }
        for (name, sum) in sums.iter().filter(|(name, _)| *name != FILE) {
            match subjects.remove(name) {
                None => problems.push(format!("{FILE}: no subject is {name}")),
                Some(stated) if stated != *sum => {
                    problems.push(format!("{FILE}: its digest of {name} differs from the checksums"));
                }
                Some(_) => {}
            }
        }
        problems.extend(
            subjects.keys().map(|name| format!("{FILE}: its subject {name} is not part of the release")),
        );
        problems
    }
}

fn sha256(sum: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("sha256".to_owned(), sum.to_owned())])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::manifest::tests::manifest;

    #[test]
    fn it_names_what_does_not_fit() {
        let release = manifest().release;
        let sums = Sums::from([("a".to_owned(), "1".repeat(64)), ("b".to_owned(), "2".repeat(64))]);
        let build = Build {
            release: &release,
            builder: "urn:x",
            images: false,
            subjects: &sums,
            materials: Vec::new(),
        };
        let good = statement(&build);
        assert_eq!(good.problems(&release, &sums), [""; 0]);
        assert_eq!(good.builder(), Some("urn:x"));
        let text = serde_json::to_string(&good).unwrap();
        assert_eq!(serde_json::from_str::<Statement>(&text).unwrap(), good);
        assert!(text.starts_with(
            r#"{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"a","digest":{"sha256":"#
        ));

        let mut other = sums.clone();
        other.insert("a".to_owned(), "3".repeat(64));
        other.insert("c".to_owned(), "3".repeat(64));
        other.remove("b");
        let commit = Release { commit: "d".repeat(40), ..release };
        let problems = good.problems(&commit, &other).join("\n");
        for part in
            ["the commit is", "its digest of a differs", "no subject is c", "its subject b is not part"]
        {
            assert!(problems.contains(part), "{part}: {problems}");
        }
    }
}
