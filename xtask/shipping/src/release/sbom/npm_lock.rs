//! Reads the packages of a `package-lock.json`, version 3.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

use super::{Component, Hash, Package, Scope};
use foundation::digest;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Lock {
    lockfile_version: u32,
    packages: BTreeMap<String, Locked>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Locked {
    name: Option<String>,
    version: Option<String>,
    resolved: Option<String>,
    integrity: Option<String>,
    link: bool,
    dev: bool,
    optional: bool,
    dev_optional: bool,
    dependencies: BTreeMap<String, String>,
    optional_dependencies: BTreeMap<String, String>,
}

const MODULES: &str = "node_modules/";

pub fn packages(path: &str, lock: &[u8]) -> Result<Vec<Package>> {
    let lock: Lock = serde_json::from_slice(lock).with_context(|| path.to_owned())?;
    if lock.lockfile_version != 3 {
        bail!(
            "{path}: lockfileVersion {}; expected 3: run `npm install --package-lock-only`",
            lock.lockfile_version
        );
    }
    let mut packages = Vec::new();
    for (place, locked) in lock.packages.iter().filter(|(place, locked)| !place.is_empty() && !locked.link) {
        let needs = locked.dependencies.keys().chain(locked.optional_dependencies.keys());
        let needs: BTreeSet<_> = needs.filter_map(|name| found(&lock, place, name)).collect();
        let hashes = match &locked.integrity {
            Some(integrity) => hashes(integrity).with_context(|| format!("{path}: {place}"))?,
            None => Vec::new(),
        };
        let scope = match (locked.dev, locked.optional || locked.dev_optional) {
            (true, _) => Scope::Excluded,
            (false, true) => Scope::Optional,
            (false, false) => Scope::Required,
        };
        let (name, version) = (name(place, locked).to_owned(), version(locked).to_owned());
        let purl = purl(&name, &version);
        let kind = "library".to_owned();
        packages.push(Package {
            component: Component { kind, reference: purl.clone(), name, version, scope, hashes, purl },
            needs,
        });
    }
    Ok(packages)
}

/// As Node.js looks: beside the package, then ever further up. A package that is not for any machine here is absent.
fn found(lock: &Lock, place: &str, name: &str) -> Option<String> {
    let mut folder = place;
    loop {
        let candidate =
            if folder.is_empty() { format!("{MODULES}{name}") } else { format!("{folder}/{MODULES}{name}") };
        if let Some(locked) = lock.packages.get(&candidate) {
            let (place, locked) = match locked.resolved.as_deref().filter(|_| locked.link) {
                Some(real) => (real.to_owned(), lock.packages.get(real)?),
                None => (candidate, locked),
            };
            return Some(purl(self::name(&place, locked), version(locked)));
        }
        if folder.is_empty() {
            return None;
        }
        folder = folder.rfind(MODULES).map_or("", |at| folder[..at].trim_end_matches('/'));
    }
}

/// An alias has the name of the package it stands for beside it.
fn name<'a>(place: &'a str, locked: &'a Locked) -> &'a str {
    locked.name.as_deref().unwrap_or_else(|| place.rsplit(MODULES).next().unwrap_or(place))
}

/// Packages of the repository itself may have none.
fn version(locked: &Locked) -> &str {
    locked.version.as_deref().unwrap_or("0.0.0")
}

fn purl(name: &str, version: &str) -> String {
    format!("pkg:npm/{}@{}", name.replacen('@', "%40", 1), version.replace('+', "%2B"))
}

/// Of a subresource integrity: `sha512-BASE64`, perhaps several.
fn hashes(integrity: &str) -> Result<Vec<Hash>> {
    integrity
        .split_whitespace()
        .map(|one| {
            let (kind, digest) = one.split_once('-').with_context(|| format!("integrity {one:?}"))?;
            let alg = match kind {
                "sha512" => "SHA-512",
                "sha384" => "SHA-384",
                "sha256" => "SHA-256",
                "sha1" => "SHA-1",
                other => bail!("an integrity of the kind {other:?} is not known"),
            };
            let bytes = BASE64_STANDARD.decode(digest).with_context(|| format!("integrity {one:?}"))?;
            Ok(Hash { alg: alg.to_owned(), content: digest::hex(&bytes) })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_linked_and_development_packages_are_distinguished() {
        let lock = r#"{ "lockfileVersion": 3, "packages": {
            "": { "name": "root", "dependencies": { "a": "1", "ours": "*" } },
            "node_modules/a": { "version": "1.0.0", "dependencies": { "b": "1", "@s/c": "1" }, "integrity": "sha512-AAEC" },
            "node_modules/a/node_modules/b": { "version": "1.0.0", "dependencies": { "@s/c": "1", "ours": "*" } },
            "node_modules/b": { "version": "2.0.0", "dev": true },
            "node_modules/@s/c": { "version": "3.0.0", "optional": true },
            "node_modules/ours": { "resolved": "nodes", "link": true },
            "nodes": { "name": "ours", "version": "0.1.0" } } }"#;
        let packages = packages("x", lock.as_bytes()).unwrap();
        let seen: Vec<_> = packages
            .iter()
            .map(|package| {
                let needs: Vec<_> = package.needs.iter().map(String::as_str).collect();
                (package.component.purl.as_str(), package.component.scope, needs)
            })
            .collect();
        assert_eq!(
            seen,
            [
                ("pkg:npm/%40s/c@3.0.0", Scope::Optional, vec![]),
                ("pkg:npm/a@1.0.0", Scope::Required, vec!["pkg:npm/%40s/c@3.0.0", "pkg:npm/b@1.0.0"]),
                ("pkg:npm/b@1.0.0", Scope::Required, vec!["pkg:npm/%40s/c@3.0.0", "pkg:npm/ours@0.1.0"]),
                ("pkg:npm/b@2.0.0", Scope::Excluded, vec![]),
                ("pkg:npm/ours@0.1.0", Scope::Required, vec![]),
            ]
        );
        assert_eq!(packages[1].component.hashes[0].content, "000102");
    }

    #[test]
    fn an_older_lock_is_refused() {
        let error = packages("flows/package-lock.json", br#"{"lockfileVersion":2,"packages":{}}"#);
        assert!(error.err().unwrap().to_string().contains("flows/package-lock.json: lockfileVersion 2"));
    }
}
