//! What a gate's pass rests on. Pure.

use std::collections::BTreeMap;

use serde_json::json;
use vocabulary::model::{Gate, Requirement};

use super::record::SCHEMA;
use super::tree::Tree;
use super::{Kind, Ran, Record};
use foundation::clock::now_ms;
use foundation::digest;

/// One program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// As people know it.
    pub version: String,
    /// Also tells two builds of one version apart.
    pub exact: String,
    /// Of the file of one of the user's own, in lower-case hexadecimal: only what is pinned has a lock that tells builds
    /// apart.
    pub sha256: Option<String>,
}

impl Version {
    /// Another each time: nothing rests on it.
    #[must_use]
    pub fn unknown() -> Self {
        Self { version: "unknown".to_owned(), exact: format!("unknown at {}", now_ms()), sha256: None }
    }
}

/// By the name that gates know a program by.
pub type Versions = BTreeMap<String, Version>;

/// Variables that change what the gates' programs do, by name or by how they begin.
const HEEDED: [&str; 34] = [
    "ACTIONLINT_",
    "BUILDX_",
    "CARGO_BUILD_",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_INCREMENTAL",
    "CARGO_NET_",
    "CARGO_PROFILE_",
    "CARGO_TARGET_",
    "CC",
    "CFLAGS",
    "CLIPPY_",
    "COMPOSE_",
    "DOCKER_",
    "FLOWSHIP_",
    "GITLEAKS_",
    "GIT_GRAFT_FILE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "HADOLINT_",
    "LANG",
    "LC_",
    "LLVM_",
    "NODE_",
    "NPM_CONFIG_",
    "PG",
    "PROPTEST_",
    "RUSTC",
    "RUSTDOC",
    "RUSTFLAGS",
    "RUST_",
    "TZ",
    "ZIZMOR_",
    "npm_config_",
];

/// Of those, what differs between two ways to start the same run: cargo sets them, and this program for its children.
const NOT_HEEDED: [&str; 6] = [
    "CARGO_TARGET_TMPDIR",
    "FLOWSHIP_CACHE",
    "FLOWSHIP_OUTPUT",
    "FLOWSHIP_RUN",
    "NODE_TEST_CONTEXT",
    "RUST_RECURSION_COUNT",
];

/// Digest of the variables that count.
pub fn environment(variables: impl Iterator<Item = (String, String)>) -> String {
    let heeded: BTreeMap<_, _> = variables
        .filter(|(name, _)| HEEDED.iter().any(|start| name.starts_with(start)))
        .filter(|(name, _)| !NOT_HEEDED.contains(&name.as_str()))
        .collect();
    of_definition(&json!(heeded))
}

/// The programs whose versions a pass rests on: those that the gate runs, those that these call, and those that it requires
/// of the machine with what they look at.
pub fn programs_of(gate: &Gate) -> Vec<&'static str> {
    let required = gate.requires.iter().flat_map(|one| match one {
        Requirement::LlvmTools => &["cargo", "cargo-llvm-cov", "llvm-cov", "llvm-profdata"][..],
        Requirement::Valgrind => &["cargo", "valgrind"],
        Requirement::Browser => &["chromium"],
        Requirement::NewerHaproxy => &["haproxy", "haproxy-next"],
        Requirement::ContainerEngine | Requirement::OwnEngine => &["docker"],
        // A user or an answer from outside is no version.
        Requirement::Root
        | Requirement::AdvisoryDatabase
        | Requirement::NpmAudits
        | Requirement::GoAdvisories => &[],
    });
    gate.programs().chain(required.copied()).collect()
}

/// What passes of this run rest on.
#[derive(Debug, Clone)]
pub struct Basis {
    pub tree: Tree,
    pub versions: Versions,
    /// See [`environment`].
    pub environment: String,
}

impl Basis {
    /// The record that the gate would have if it passed with nothing to tell: what it rests on, and no figures.
    pub fn expected(&self, gate: &Gate) -> Record {
        let names: Vec<_> = programs_of(gate)
            .into_iter()
            .flat_map(|name| [name].into_iter().chain((name == "cargo").then_some("rustc")))
            .collect();
        let used = || self.versions.iter().filter(|(name, _)| names.contains(&name.as_str()));
        let exact: BTreeMap<_, _> = used().map(|(name, version)| (name, &version.exact)).collect();
        Record {
            schema: SCHEMA,
            kind: Kind::Gate,
            name: gate.id.to_owned(),
            commit: self.tree.commit.clone(),
            clean: self.tree.clean,
            inputs_sha256: self.tree.digest(&gate.reads),
            definition_sha256: of_definition(
                &json!({ "commands": gate.commands, "reads": gate.reads, "programs": exact }),
            ),
            environment_sha256: self.environment.clone(),
            tools: used().map(|(name, version)| (name.clone(), version.version.clone())).collect(),
            arguments: gate
                .commands
                .iter()
                .map(|command| Ran {
                    program: command.program.to_owned(),
                    arguments: command.arguments.iter().map(|argument| (*argument).to_owned()).collect(),
                    folder: command.folder.to_owned(),
                })
                .collect(),
            programs: BTreeMap::new(),
            figures: BTreeMap::new(),
            negative_control: Some(gate.negative_control.to_owned()),
            started_at: String::new(),
            duration_ms: 0,
            tests: None,
            ignored: None,
            confirmed: None,
        }
    }
}

/// Lower-case hexadecimal SHA-256 of what was carried out.
pub fn of_definition(value: &serde_json::Value) -> String {
    digest::sha256(value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> String {
        environment(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn only_variables_that_change_a_gate_count() {
        let none = of(&[]);
        for (name, value) in [("HOME", "/root"), ("CARGO_PKG_NAME", "xtask"), ("RUSTUP_TOOLCHAIN", "stable")]
        {
            assert_eq!(of(&[(name, value)]), none, "{name}");
        }
        for name in NOT_HEEDED {
            assert_eq!(of(&[(name, "x")]), none, "{name}");
        }
        for (name, value) in [("RUSTFLAGS", "-Dwarnings"), ("NODE_OPTIONS", "--inspect"), ("TZ", "UTC")] {
            assert_ne!(of(&[(name, value)]), none, "{name}");
        }
        assert_eq!(of(&[("TZ", "UTC"), ("CC", "gcc")]), of(&[("CC", "gcc"), ("TZ", "UTC")]));
    }
}
