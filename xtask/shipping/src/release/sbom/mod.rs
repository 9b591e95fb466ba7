//! Bills of materials in CycloneDX 1.6, derived from lock files and equal to them.

mod cargo_lock;
mod npm_lock;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A bill: the part of CycloneDX that lock files can fill.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bom {
    pub bom_format: String,
    pub spec_version: String,
    pub version: u32,
    pub metadata: Value,
    /// Sorted by reference, each once.
    pub components: Vec<Component>,
    pub dependencies: Vec<Dependency>,
}

/// A package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Component {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(rename = "bom-ref")]
    pub reference: String,
    pub name: String,
    pub version: String,
    /// `required`; `optional`: only on some machines; `excluded`: for development, not shipped.
    pub scope: Scope,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hashes: Vec<Hash>,
    pub purl: String,
}

/// How much a component is needed, the most first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    Required,
    Optional,
    Excluded,
}

/// A digest of the package's archive.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hash {
    pub alg: String,
    pub content: String,
}

/// What a component needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Dependency {
    #[serde(rename = "ref")]
    pub reference: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,
}

/// What the bill is of.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    pub version: &'a str,
    pub commit: &'a str,
    /// When it was committed: RFC 3339, UTC.
    pub time: &'a str,
}

/// A package of a lock file.
struct Package {
    component: Component,
    /// References of other packages.
    needs: BTreeSet<String>,
}

/// Of a `Cargo.lock`.
///
/// # Errors
/// It is not understood.
pub fn rust(lock: &[u8], about: &About) -> Result<Bom> {
    Ok(bom("flowship-operator", cargo_lock::packages(lock)?, about))
}

/// Of all `package-lock.json`, each with its path.
///
/// # Errors
/// One is not understood.
pub fn npm(locks: &[(&str, &[u8])], about: &About) -> Result<Bom> {
    let mut packages = Vec::new();
    for (path, lock) in locks {
        packages.extend(npm_lock::packages(path, lock)?);
    }
    Ok(bom("flowship-flows", packages, about))
}

fn bom(name: &str, packages: Vec<Package>, about: &About) -> Bom {
    let mut merged: BTreeMap<String, Package> = BTreeMap::new();
    for package in packages {
        match merged.get_mut(&package.component.reference) {
            None => {
                merged.insert(package.component.reference.clone(), package);
            }
            Some(known) => {
                // The same package at several places: it is needed as much as where it is needed most.
                known.component.scope = known.component.scope.min(package.component.scope);
                known.component.hashes.extend(package.component.hashes);
                known.component.hashes.sort();
                known.component.hashes.dedup();
                known.needs.extend(package.needs);
            }
        }
    }
    Bom {
        bom_format: "CycloneDX".to_owned(),
        spec_version: "1.6".to_owned(),
        version: 1,
        metadata: json!({
            "timestamp": about.time,
            "component": {
                "type": "application",
                "bom-ref": name,
                "name": name,
                "version": about.version,
                "properties": [{ "name": "flowship:commit", "value": about.commit }],
            },
        }),
        dependencies: merged
            .values()
            .map(|package| Dependency {
                reference: package.component.reference.clone(),
                depends_on: package.needs.iter().cloned().collect(),
            })
            .collect(),
        components: merged.into_values().map(|package| package.component).collect(),
    }
}

impl Bom {
    /// Where it is not what the lock files say; `expected` is made of them.
    pub fn differences(&self, name: &str, expected: &Self) -> Vec<String> {
        if self == expected {
            return Vec::new();
        }
        let by_reference = |bom: &'_ Self| -> BTreeMap<String, Component> {
            bom.components.iter().map(|one| (one.reference.clone(), one.clone())).collect()
        };
        let (told, locked) = (by_reference(self), by_reference(expected));
        let mut problems: Vec<String> = Vec::new();
        for (reference, component) in &locked {
            match told.get(reference) {
                None => problems.push(format!("{name}: {reference} is locked, but not listed")),
                Some(other) if other != component => {
                    problems.push(format!("{name}: {reference} is listed differently than it is locked"));
                }
                Some(_) => {}
            }
        }
        let strange = told.keys().filter(|reference| !locked.contains_key(*reference));
        problems.extend(strange.map(|reference| format!("{name}: {reference} is listed, but not locked")));
        if problems.is_empty() {
            problems.push(format!("{name}: not the bill that the lock files of this release give"));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABOUT: About<'static> = About { version: "1.0.0", commit: "abc", time: "2026-01-01T00:00:00Z" };

    /// Every package of this repository's own locks, counted in another way.
    #[test]
    fn the_bills_list_what_is_locked_and_nothing_else() {
        let cargo = include_str!("../../../../../Cargo.lock");
        let bom = rust(cargo.as_bytes(), &ABOUT).unwrap();
        let listed: BTreeSet<_> =
            bom.components.iter().map(|one| (one.name.as_str(), one.version.as_str())).collect();
        let lines: Vec<_> = cargo.lines().collect();
        let field = |line: &'static str, name: &str| {
            line.strip_prefix(name).map(|value| value.trim_matches('"')).unwrap_or_else(|| panic!("{line}"))
        };
        let locked: BTreeSet<_> = (0..lines.len())
            .filter(|at| lines[*at] == "[[package]]")
            .map(|at| (field(lines[at + 1], "name = "), field(lines[at + 2], "version = ")))
            .collect();
        assert_eq!(listed, locked);
        assert!(bom.components.len() > 100);

        let flows = include_str!("../../../../../flows/package-lock.json");
        let bom = npm(&[("flows/package-lock.json", flows.as_bytes())], &ABOUT).unwrap();
        let listed: BTreeSet<_> =
            bom.components.iter().map(|one| (one.name.clone(), one.version.clone())).collect();
        let lock: Value = serde_json::from_str(flows).unwrap();
        let locked: BTreeSet<_> = lock["packages"]
            .as_object()
            .unwrap()
            .iter()
            .filter(|(path, package)| !path.is_empty() && package["link"] != true)
            .map(|(path, package)| {
                let name = path.rsplit("node_modules/").next().unwrap();
                let name = package["name"].as_str().unwrap_or(name);
                (name.to_owned(), package["version"].as_str().unwrap_or("0.0.0").to_owned())
            })
            .collect();
        assert_eq!(listed, locked);
        for bill in [&bom, &rust(cargo.as_bytes(), &ABOUT).unwrap()] {
            let known: BTreeSet<_> = bill.components.iter().map(|one| &one.reference).collect();
            assert_eq!(known.len(), bill.components.len());
            assert!(bill.dependencies.iter().flat_map(|one| &one.depends_on).all(|to| known.contains(to)));
        }
    }

    #[test]
    fn an_sbom_that_differs_from_the_lock_is_reported() {
        let lock = |packages: &str| format!("version = 4\n{packages}").into_bytes();
        let one =
            "[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"registry+x\"\nchecksum = \"00\"\n";
        let two = "[[package]]\nname = \"b\"\nversion = \"2.0.0\"\n";
        let both = rust(&lock(&format!("{one}{two}")), &ABOUT).unwrap();
        let only = rust(&lock(one), &ABOUT).unwrap();
        assert_eq!(both.differences("x", &both), [""; 0]);
        assert_eq!(only.differences("x", &both), ["x: pkg:cargo/b@2.0.0 is locked, but not listed"]);
        assert_eq!(both.differences("x", &only), ["x: pkg:cargo/b@2.0.0 is listed, but not locked"]);
        let mut other = both.clone();
        other.components[0].hashes[0].content = "11".to_owned();
        assert_eq!(
            other.differences("x", &both),
            ["x: pkg:cargo/a@1.0.0 is listed differently than it is locked"]
        );
        let later = rust(&lock(one), &About { time: "2027-01-01T00:00:00Z", ..ABOUT }).unwrap();
        assert_eq!(
            later.differences("x", &only),
            ["x: not the bill that the lock files of this release give"]
        );
    }
}
