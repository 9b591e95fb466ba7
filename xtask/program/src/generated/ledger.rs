//! The ledger of generated files: which this tree's last generation owned, and with what contents.
//!
//! It tells a stale file from a hand-edited one, and finds files that no family makes any more. The format is that
//! of `sha256sum`, so that `sha256sum -c ops/generated.sha256` judges it too.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use artifacts::Artifact;
use foundation::digest::sha256;
use foundation::files::SKIPPED;

pub const PATH: &str = "ops/generated.sha256";

/// Path below the root -> lower-case hexadecimal SHA-256 of the contents.
pub type Ledger = BTreeMap<String, String>;

/// Lines that are none of `sha256sum`'s, or whose path leads out of the tree or to what is no source, are left out: a
/// broken ledger costs only the distinction it makes.
pub fn parse(text: &str) -> Ledger {
    text.lines()
        .filter_map(|line| line.split_once("  "))
        .filter(|(hash, path)| hash.len() == 64 && is_source(path))
        .map(|(hash, path)| (path.to_owned(), hash.to_owned()))
        .collect()
}

fn is_source(path: &str) -> bool {
    let source = |part| match part {
        Component::Normal(name) => !SKIPPED.iter().any(|skipped| name.eq_ignore_ascii_case(skipped)),
        _ => false,
    };
    !path.is_empty() && Path::new(path).components().all(source)
}

pub fn write(ledger: &Ledger) -> String {
    ledger.iter().map(|(path, hash)| format!("{hash}  {path}\n")).collect()
}

/// The ledger as an artifact like any other, after these artifacts were written.
pub fn artifact(artifacts: &[Artifact], kept: &Ledger) -> Artifact {
    let mut ledger = kept.clone();
    ledger.extend(artifacts.iter().map(|artifact| (artifact.path.clone(), sha256(&artifact.contents))));
    Artifact::file(PATH, write(&ledger))
}
