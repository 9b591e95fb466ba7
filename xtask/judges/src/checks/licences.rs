//! Whether the licences of what is built and shipped are allowed, by the packages' own words. Pure.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use spdx::{Expression, LicenseReq, Licensee, ParseMode};
use vocabulary::problem::{Place, Problem};

use foundation::shorten::shorten;

/// What is allowed.
pub const POLICY: &str = "ops/ci/licences.toml";

/// Which packages go by a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Crate,
    Npm,
    Go,
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Crate => "crate",
            Self::Npm => "npm package",
            Self::Go => "Go module",
        })
    }
}

/// A package, and what it says of its licence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    pub kind: Kind,
    pub name: String,
    pub version: String,
    /// An SPDX expression, when it states any.
    pub licence: Option<String>,
    /// The lock file that brings it, and the line, from 1.
    pub file: String,
    pub line: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    allow: Vec<String>,
    #[serde(default)]
    exception: Vec<Exception>,
    #[serde(default)]
    stated: Vec<Stated>,
}

/// A licence that one package may have and others may not.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    pub kind: Kind,
    pub name: String,
    pub licence: String,
    pub reason: String,
}

/// The licence of a package whose own metadata tell none, as a person read it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stated {
    pub kind: Kind,
    pub name: String,
    /// Exactly: another version is read again.
    pub version: String,
    pub licence: String,
    /// Where in the package it stands.
    pub source: String,
}

/// [`POLICY`], understood.
#[derive(Debug)]
pub struct Policy {
    allow: Vec<Licensee>,
    exceptions: Vec<(Exception, Licensee)>,
    stated: Vec<Stated>,
}

impl Policy {
    /// # Errors
    /// What is wrong with the text: where, and what was expected.
    pub fn read(text: &str) -> Result<Self, String> {
        let Written { allow, exception, stated } = toml::from_str(text).map_err(|error| error.to_string())?;
        let licensee = |text: &str| {
            Licensee::parse(text)
                .map_err(|error| format!("\"{text}\" is no licence of the SPDX list: {}", error.reason))
        };
        let said = |what: &str, name: &str| {
            if what.split_whitespace().count() < 3 {
                return Err(format!("{name}: give a reason in words, not \"{what}\""));
            }
            Ok(())
        };
        for one in &exception {
            said(&one.reason, &one.name)?;
        }
        for one in &stated {
            said(&one.source, &one.name)?;
        }
        Ok(Self {
            allow: allow.iter().map(|text| licensee(text)).collect::<Result<_, _>>()?,
            exceptions: exception
                .into_iter()
                .map(|one| licensee(&one.licence).map(|licence| (one, licence)))
                .collect::<Result<_, _>>()?,
            stated,
        })
    }
}

pub fn judge(packages: &[Package], policy: &Policy) -> Vec<Problem> {
    let mut findings = Vec::new();
    let mut used_exceptions = vec![false; policy.exceptions.len()];
    let mut used_statements = vec![false; policy.stated.len()];
    for package in packages {
        let stated = policy.stated.iter().position(|one| {
            (one.kind, &one.name, &one.version) == (package.kind, &package.name, &package.version)
        });
        let (licence, by_person) = match (&package.licence, stated) {
            (Some(own), _) => (own, false),
            (None, Some(at)) => {
                used_statements[at] = true;
                (&policy.stated[at].licence, true)
            }
            (None, None) => {
                findings.push(finding(package, "licence-missing", "it states no licence"));
                continue;
            }
        };
        let mode = if by_person { ParseMode::STRICT } else { ParseMode::LAX };
        let expression = match Expression::parse_mode(licence, mode) {
            Ok(expression) => expression,
            Err(error) => {
                let what = format!("\"{licence}\" is no SPDX expression: {}", error.reason);
                findings.push(finding(package, "licence-not-understood", &what));
                continue;
            }
        };
        let allowed = |requirement: &LicenseReq| policy.allow.iter().any(|one| one.satisfies(requirement));
        if expression.evaluate(allowed) {
            continue;
        }
        let mut excepted = |requirement: &LicenseReq| {
            let matching = policy.exceptions.iter().position(|(one, licence)| {
                (one.kind, &one.name) == (package.kind, &package.name) && licence.satisfies(requirement)
            });
            if let Some(at) = matching {
                used_exceptions[at] = true;
            }
            matching.is_some()
        };
        if !expression.evaluate(|requirement| allowed(requirement) || excepted(requirement)) {
            let what = format!("its licence is {licence}");
            findings.push(finding(package, "licence-not-allowed", &what));
        }
    }
    let unused = |what: String| Problem::new(Place::line(POLICY, 1), what).rule("unused");
    for ((one, _), used) in policy.exceptions.iter().zip(used_exceptions) {
        if !used {
            findings.push(unused(format!(
                "no {} {} needs the exception for {}",
                one.kind, one.name, one.licence
            )));
        }
    }
    for (one, used) in policy.stated.iter().zip(used_statements) {
        if !used {
            findings.push(unused(format!(
                "no {} {} {} needs its licence stated",
                one.kind, one.name, one.version
            )));
        }
    }
    findings
}

fn finding(package: &Package, rule: &str, what: &str) -> Problem {
    let subject = format!("{} {} {}", package.kind, package.name, package.version);
    Problem::new(Place::line(&*package.file, package.line).of(subject), shorten(what)).rule(rule)
}

/// The crates of `cargo metadata`, each at its place in the lock file.
///
/// # Errors
/// The text is no such metadata, or lacks a crate of the lock file.
pub fn crates(metadata: &[u8], lock: &str, file: &str) -> Result<Vec<Package>, String> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Described>,
    }
    #[derive(Deserialize)]
    struct Described {
        name: String,
        version: String,
        license: Option<String>,
    }
    let Metadata { packages } = serde_json::from_slice(metadata).map_err(|error| error.to_string())?;
    let lines: Vec<&str> = lock.lines().collect();
    let locked = lines.windows(2).enumerate().filter_map(|(at, pair)| {
        let name = pair[0].strip_prefix("name = \"")?.strip_suffix('"')?;
        let version = pair[1].strip_prefix("version = \"")?.strip_suffix('"')?;
        Some((name, version, at + 1))
    });
    locked
        .map(|(name, version, line)| {
            let described = packages.iter().find(|one| one.name == name && one.version == version);
            let described = described.ok_or_else(|| format!("cargo tells nothing of {name} {version}"))?;
            Ok(Package {
                kind: Kind::Crate,
                name: name.to_owned(),
                version: version.to_owned(),
                licence: described.license.clone(),
                file: file.to_owned(),
                line,
            })
        })
        .collect()
}

/// The packages that a `package-lock.json` brings to production, each with its folder below the project's.
///
/// # Errors
/// The text is no lock of version 2 or 3.
pub fn npm_packages(lock: &str, file: &str) -> Result<Vec<(String, Package)>, String> {
    let value: Value = serde_json::from_str(lock).map_err(|error| error.to_string())?;
    let packages =
        value["packages"].as_object().ok_or("it has no \"packages\": expected lockfileVersion 3")?;
    let lines: Vec<&str> = lock.lines().collect();
    let mut found = Vec::new();
    for (folder, one) in packages {
        if one["dev"] == true || one["link"] == true {
            continue;
        }
        let named = folder.rsplit_once("node_modules/").map(|(_, name)| name);
        let name = one["name"].as_str().or(named).unwrap_or(file);
        let key = format!("\"{folder}\": {{");
        let line = lines.iter().position(|line| line.trim() == key).map_or(1, |at| at + 1);
        found.push((
            folder.clone(),
            Package {
                kind: Kind::Npm,
                name: name.to_owned(),
                version: one["version"].as_str().unwrap_or_default().to_owned(),
                licence: licence_of_manifest(one),
                file: file.to_owned(),
                line,
            },
        ));
    }
    Ok(found)
}

/// What a `package.json`, or a package's entry in a lock, states; old packages list several, of which one may choose.
pub fn licence_of_manifest(manifest: &Value) -> Option<String> {
    let one = |value: &Value| value.as_str().or_else(|| value["type"].as_str()).map(str::to_owned);
    one(&manifest["license"]).filter(|text| !text.trim().is_empty()).or_else(|| {
        let several: Option<Vec<String>> = manifest["licenses"].as_array()?.iter().map(one).collect();
        several.filter(|list| !list.is_empty()).map(|list| list.join(" OR "))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn package(name: &str, licence: Option<&str>) -> Package {
        Package {
            kind: Kind::Crate,
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            licence: licence.map(str::to_owned),
            file: "Cargo.lock".to_owned(),
            line: 7,
        }
    }

    fn rules(packages: &[Package], policy: &str) -> Vec<String> {
        let policy = Policy::read(policy).unwrap();
        judge(packages, &policy).iter().map(|finding| finding.rule.clone()).collect()
    }

    const ALLOW: &str = "allow = [\"MIT\", \"Apache-2.0\", \"Apache-2.0 WITH LLVM-exception\"]\n";

    #[test]
    fn an_expression_is_allowed_when_a_choice_of_it_is() {
        for good in ["MIT", "MIT OR GPL-3.0-only", "MIT/Apache-2.0", "Apache-2.0 WITH LLVM-exception OR MIT"]
        {
            assert_eq!(rules(&[package("a", Some(good))], ALLOW), [""; 0], "{good}");
        }
        for bad in ["GPL-3.0-only", "MIT AND GPL-2.0-or-later", "AGPL-3.0", "LGPL-2.1+", "MPL-2.0"] {
            assert_eq!(rules(&[package("a", Some(bad))], ALLOW), ["licence-not-allowed"], "{bad}");
        }
        for unclear in ["", "SEE LICENSE IN LICENSE", "UNLICENSED", "Beerware-ish"] {
            assert_eq!(rules(&[package("a", Some(unclear))], ALLOW), ["licence-not-understood"], "{unclear}");
        }
        assert_eq!(rules(&[package("a", None)], ALLOW), ["licence-missing"]);
    }

    #[test]
    fn exceptions_and_statements_are_about_one_package_and_must_be_used() {
        let policy = format!(
            "{ALLOW}[[exception]]\nkind = \"crate\"\nname = \"a\"\nlicence = \"MPL-2.0\"\nreason = \"it is data only\"\n\
             [[stated]]\nkind = \"crate\"\nname = \"b\"\nversion = \"1.0.0\"\nlicence = \"MIT\"\nsource = \"its LICENSE file \
             says\"\n"
        );
        let used = [package("a", Some("MPL-2.0")), package("b", None)];
        assert_eq!(rules(&used, &policy), [""; 0]);
        let other = [package("c", Some("MPL-2.0")), package("d", None)];
        assert_eq!(rules(&other, &policy), ["licence-not-allowed", "licence-missing", "unused", "unused"]);
    }

    #[test]
    fn a_policy_that_says_too_little_is_refused() {
        for (text, part) in [
            ("", "allow"),
            ("allow = [\"MITT\"]", "\"MITT\" is no licence"),
            ("allow = []\nmore = 1", "unknown field"),
            (
                "allow = []\n[[exception]]\nkind = \"npm\"\nname = \"a\"\nlicence = \"MIT\"\nreason = \"ok\"",
                "give a reason",
            ),
        ] {
            let told = Policy::read(text).unwrap_err();
            assert!(told.contains(part), "{told}");
        }
    }

    #[test]
    fn crates_are_those_of_the_lock() {
        let lock = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\n";
        let metadata =
            json!({ "packages": [{ "name": "a", "version": "1.0.0", "license": "MIT" }] }).to_string();
        let found = crates(metadata.as_bytes(), lock, "Cargo.lock").unwrap();
        assert_eq!(found, [Package { line: 4, ..package("a", Some("MIT")) }]);
        let more = format!("{lock}\n[[package]]\nname = \"b\"\nversion = \"2.0.0\"\n");
        assert_eq!(
            crates(metadata.as_bytes(), &more, "Cargo.lock").unwrap_err(),
            "cargo tells nothing of b 2.0.0"
        );
    }

    #[test]
    fn npm_packages_of_production_are_read_with_what_they_state() {
        let lock = json!({ "packages": {
            "": { "name": "project", "version": "0.1.0", "license": "MIT" },
            "node_modules/a": { "version": "1.0.0", "license": "ISC" },
            "node_modules/a/node_modules/@s/b": { "version": "2.0.0" },
            "node_modules/tester": { "version": "3.0.0", "dev": true, "license": "GPL-3.0-only" },
        }});
        let found = npm_packages(&serde_json::to_string_pretty(&lock).unwrap(), "l.json").unwrap();
        let names: Vec<_> =
            found.iter().map(|(_, one)| (one.name.as_str(), one.licence.as_deref())).collect();
        assert_eq!(names, [("project", Some("MIT")), ("a", Some("ISC")), ("@s/b", None)]);
        assert!(found[1].1.line > found[0].1.line && found[0].1.line > 1);
        assert!(npm_packages("{}", "l.json").is_err());
        for (manifest, expected) in [
            (json!({ "licenses": [{ "type": "MIT" }, { "type": "Apache-2.0" }] }), Some("MIT OR Apache-2.0")),
            (json!({ "license": { "type": "MIT" } }), Some("MIT")),
            (json!({ "licenses": [] }), None),
            (json!({ "license": " " }), None),
        ] {
            assert_eq!(licence_of_manifest(&manifest).as_deref(), expected);
        }
    }
}
