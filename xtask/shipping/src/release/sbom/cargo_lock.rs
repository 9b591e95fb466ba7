//! Reads the packages of a `Cargo.lock`.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use super::{Component, Hash, Package, Scope};

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    source: Option<String>,
    checksum: Option<String>,
    #[serde(default)]
    dependencies: Vec<String>,
}

pub fn packages(lock: &[u8]) -> Result<Vec<Package>> {
    let text = std::str::from_utf8(lock).context("Cargo.lock")?;
    let lock: Lock = toml::from_str(text).context("Cargo.lock")?;
    let mut packages = Vec::new();
    for locked in &lock.package {
        // `NAME`, or `NAME VERSION` where there are several, or with the source after that.
        let needs = locked
            .dependencies
            .iter()
            .map(|dependency| {
                let mut words = dependency.split(' ');
                let (name, version) = (words.next().unwrap_or_default(), words.next());
                let found = lock.package.iter().find(|other| {
                    other.name == name && version.is_none_or(|version| other.version == version)
                });
                found.map(purl).with_context(|| {
                    format!("Cargo.lock: {} needs {dependency}, which is not locked", locked.name)
                })
            })
            .collect::<Result<BTreeSet<_>>>()?;
        let component = Component {
            kind: if locked.source.is_none() { "application" } else { "library" }.to_owned(),
            reference: purl(locked),
            name: locked.name.clone(),
            version: locked.version.clone(),
            scope: Scope::Required,
            hashes: locked
                .checksum
                .iter()
                .map(|sum| Hash { alg: "SHA-256".to_owned(), content: sum.clone() })
                .collect(),
            purl: purl(locked),
        };
        packages.push(Package { component, needs });
    }
    Ok(packages)
}

fn purl(locked: &Locked) -> String {
    // A plus begins build metadata, and is no plain character of a package URL.
    format!("pkg:cargo/{}@{}", locked.name, locked.version.replace('+', "%2B"))
}
