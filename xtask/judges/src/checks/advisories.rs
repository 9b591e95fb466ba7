//! Known vulnerabilities of crates and npm packages, by the reports of cargo-audit and of npm, against what the
//! repository tolerates. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use vocabulary::problem::{Level, Place, Problem};

use super::go_vulnerabilities::Reach;
use super::licences::Kind;
use foundation::shorten::shorten;

/// What fails, and what is tolerated until when.
pub const POLICY: &str = "ops/ci/advisories.toml";

/// An advisory that is in every whole database: a scan that does not find it finds nothing.
pub const CONTROL_ADVISORY: &str = "RUSTSEC-2019-0009";

/// A lock file with a crate that it is about.
pub const CONTROL_LOCK: &str = "version = 3\n\n[[package]]\nname = \"smallvec\"\nversion = \"0.6.9\"\nsource = \
                                \"registry+https://github.com/rust-lang/crates.io-index\"\nchecksum = \
                                \"c4488ae950c49d403731982257768f48fada354a5203fe81f9bb6f43ca9002be\"\n";

/// The same for npm: a package in a version that every registry with advisories knows one against.
pub const CONTROL_NPM: &str = "minimist";
pub const CONTROL_NPM_MANIFEST: &str =
    r#"{ "name": "control", "version": "1.0.0", "private": true, "dependencies": { "minimist": "0.0.8" } }"#;
pub const CONTROL_NPM_LOCK: &str = r#"{
    "name": "control", "version": "1.0.0", "lockfileVersion": 3, "requires": true,
    "packages": {
        "": { "name": "control", "version": "1.0.0", "dependencies": { "minimist": "0.0.8" } },
        "node_modules/minimist": { "version": "0.0.8", "license": "MIT" }
    }
}"#;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    pub database: Ages,
    crates: Crates,
    npm: Npm,
    pub go: Go,
    #[serde(default, rename = "tolerate")]
    tolerated: Vec<Tolerance>,
}

/// Days since the newest advisory of a database.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Ages {
    /// From then on it is told.
    pub old_after_days: u64,
    /// From then on the judgement fails, as nothing is known of what was published since.
    pub useless_after_days: u64,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Weight {
    Fail,
    Tell,
}

impl Weight {
    fn level(self) -> Level {
        match self {
            Self::Fail => Level::Error,
            Self::Tell => Level::Warning,
        }
    }
}

/// How much weighs what is no vulnerability; one fails always.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Crates {
    unsound: Weight,
    unmaintained: Weight,
    yanked: Weight,
    notice: Weight,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Npm {
    /// The least severity that fails; what is below is told.
    fail_from: Severity,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Go {
    /// The least that fails; what is below is told.
    pub fail_from: Reach,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Severity {
    Info,
    Low,
    Moderate,
    High,
    Critical,
}

/// A finding that is known and borne for a time.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tolerance {
    pub kind: Kind,
    /// `RUSTSEC-...`, `GHSA-...`, `GO-...`, or `yanked`.
    pub id: String,
    pub package: String,
    /// The last day.
    pub until: toml::value::Datetime,
    pub reason: String,
}

impl Policy {
    /// # Errors
    /// What is wrong with the text: where, and what was expected.
    pub fn read(text: &str) -> Result<Self, String> {
        let policy: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        for one in &policy.tolerated {
            if one.reason.split_whitespace().count() < 3 {
                return Err(format!("{}: reason must say why it can be tolerated", one.id));
            }
            if one.until.date.is_none() || one.until.time.is_some() {
                return Err(format!("{}: until must be a day, such as 2027-01-31", one.id));
            }
        }
        Ok(policy)
    }
}

/// What cargo-audit reports.
#[derive(Deserialize)]
pub struct CargoReport {
    pub database: CargoDatabase,
    vulnerabilities: Vulnerabilities,
    #[serde(default)]
    warnings: BTreeMap<String, Vec<Reported>>,
    pub lockfile: Lockfile,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct CargoDatabase {
    pub advisory_count: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Lockfile {
    pub dependency_count: u64,
}

#[derive(Deserialize)]
struct Vulnerabilities {
    list: Vec<Reported>,
}

#[derive(Deserialize)]
struct Reported {
    /// None of a crate that was withdrawn.
    advisory: Option<Advisory>,
    versions: Option<Versions>,
    package: Locked,
}

#[derive(Deserialize)]
struct Advisory {
    id: String,
    title: String,
}

#[derive(Deserialize)]
struct Versions {
    patched: Vec<String>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
}

impl CargoReport {
    /// # Errors
    /// The text is no report of cargo-audit.
    pub fn read(report: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(report)
    }

    /// Whether it names this advisory as a vulnerability.
    pub fn names(&self, id: &str) -> bool {
        let of = |one: &Reported| one.advisory.as_ref().is_some_and(|advisory| advisory.id == id);
        self.vulnerabilities.list.iter().any(of)
    }

    /// Every finding, for a lock file of this text and name.
    pub fn findings(&self, policy: &Policy, lock: &str, file: &str) -> Vec<Problem> {
        let vulnerable = self.vulnerabilities.list.iter().map(|one| ("vulnerable", Weight::Fail, one));
        let warned = self.warnings.iter().flat_map(|(kind, list)| {
            let weight = match kind.as_str() {
                "unsound" => policy.crates.unsound,
                "unmaintained" => policy.crates.unmaintained,
                "yanked" => policy.crates.yanked,
                "notice" => policy.crates.notice,
                _ => Weight::Fail,
            };
            list.iter().map(move |one| (kind.as_str(), weight, one))
        });
        vulnerable.chain(warned).map(|(kind, weight, one)| of_crate(kind, weight, one, lock, file)).collect()
    }
}

fn of_crate(kind: &str, weight: Weight, one: &Reported, lock: &str, file: &str) -> Problem {
    let Locked { name, version } = &one.package;
    let patched = one.versions.as_ref().map(|versions| versions.patched.join(" or ")).unwrap_or_default();
    let mended =
        if patched.is_empty() { "no version fixes it".to_owned() } else { format!("fixed in {patched}") };
    let (id, what) = match &one.advisory {
        Some(Advisory { id, title }) => (id.clone(), format!("{kind}: {title}; {mended}")),
        None => (kind.to_owned(), "this version was withdrawn".to_owned()),
    };
    let start = format!("name = \"{name}\"\nversion = \"{version}\"");
    let line = lock.find(&start).map_or(1, |at| lock[..at].matches('\n').count() + 1);
    Problem::new(Place::line(file, line).of(format!("{name} {version}")), what).rule(id).level(weight.level())
}

/// Reads `npm audit --json`.
///
/// # Errors
/// In a few words, why it is no report: the registry's own answer where there is one.
pub fn npm_findings(report: &[u8], policy: &Policy, lock: &str, file: &str) -> Result<Vec<Problem>, String> {
    let value: Value =
        serde_json::from_slice(report).map_err(|error| format!("npm's report cannot be read: {error}"))?;
    let Some(vulnerable) = value["vulnerabilities"].as_object() else {
        let said =
            value["message"].as_str().or(value["error"]["summary"].as_str()).unwrap_or("it says nothing");
        return Err(format!("the registry does not answer audits: {said}"));
    };
    let mut findings = Vec::new();
    for (name, one) in vulnerable {
        // What is here only because it uses something vulnerable names that in words; the vulnerable itself in full.
        for advisory in one["via"].as_array().into_iter().flatten().filter(|via| via.is_object()) {
            let text = |key: &str| advisory[key].as_str().unwrap_or_default();
            let id = text("url").rsplit('/').next().filter(|id| !id.is_empty()).unwrap_or("unnamed");
            let severity: Severity =
                serde_json::from_value(advisory["severity"].clone()).unwrap_or(Severity::Critical);
            let key = format!("node_modules/{name}\": {{");
            let line = lock.lines().position(|line| line.trim_end().ends_with(&key)).map_or(1, |at| at + 1);
            let weight = if severity >= policy.npm.fail_from { Weight::Fail } else { Weight::Tell };
            let what = format!("{}: {}; versions {}", text("severity"), text("title"), text("range"));
            let place = Place::line(file, line).of(name);
            findings.push(Problem::new(place, what).rule(id).level(weight.level()));
        }
        let counted = one["via"].as_array().is_some_and(|via| !via.is_empty());
        if !counted {
            return Err(format!("npm's report names {name} without a reason"));
        }
    }
    Ok(findings)
}

/// Takes out what is tolerated today, adds tolerances that are about nothing. The day as `2026-11-24`.
pub fn judge(found: Vec<Problem>, policy: &Policy, kind: Kind, today: &str) -> Vec<Problem> {
    let tolerances: Vec<_> = policy.tolerated.iter().filter(|one| one.kind == kind).collect();
    let mut used = vec![false; tolerances.len()];
    let mut findings = Vec::new();
    for mut finding in found {
        let name = finding.place.subject.split(' ').next().unwrap_or_default();
        let about = |one: &&Tolerance| one.id == finding.rule && one.package == name;
        if let Some(at) = tolerances.iter().position(about) {
            used[at] = true;
            let until = tolerances[at].until.to_string();
            if today <= until.as_str() {
                continue;
            }
            finding.seen += &format!("; it was tolerated until {until}");
        }
        finding.seen = shorten(&finding.seen).into_owned();
        findings.push(finding);
    }
    for (one, _) in tolerances.iter().zip(&used).filter(|(_, used)| !**used) {
        let what = format!("no {} {} has {}: remove the tolerance", one.kind, one.package, one.id);
        let place = Place::line(POLICY, 1).of(&*one.package);
        findings.push(Problem::new(place, what).rule("unused-tolerance"));
    }
    findings
}

/// The day of an advisory of the RustSec database, from its text.
pub fn day(advisory: &str) -> Option<&str> {
    let line = advisory.lines().find_map(|line| line.trim().strip_prefix("date"))?;
    let day = line.trim_start().strip_prefix('=')?.trim().trim_matches('"');
    (day.len() == 10).then_some(day)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const POLICY: &str = "[database]\nold-after-days = 30\nuseless-after-days = 180\n[crates]\nunsound = \"fail\"\n\
                          unmaintained = \"tell\"\nyanked = \"fail\"\nnotice = \"tell\"\n[npm]\nfail-from = \"moderate\"\n[go]\nfail-from = \"package\"\n";
    const LOCK: &str = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\n";

    fn report() -> Vec<u8> {
        let package = json!({ "name": "a", "version": "1.0.0" });
        let one = |id: &str, patched: &[&str]| json!({ "advisory": { "id": id, "title": "T" }, "versions": { "patched": patched }, "package": package });
        json!({
            "database": { "advisory-count": 2 },
            "lockfile": { "dependency-count": 1 },
            "vulnerabilities": { "list": [one("RUSTSEC-1", &[">=1.1"])] },
            "warnings": {
                "unmaintained": [one("RUSTSEC-2", &[])],
                "yanked": [{ "advisory": null, "versions": null, "package": package }],
                "something-new": [one("RUSTSEC-3", &[])],
            },
        })
        .to_string()
        .into_bytes()
    }

    fn lines(policy: &str, today: &str) -> Vec<String> {
        let policy = Policy::read(policy).unwrap();
        let report = CargoReport::read(&report()).unwrap();
        assert!(report.names("RUSTSEC-1") && !report.names("RUSTSEC-2"));
        let found = report.findings(&policy, LOCK, "Cargo.lock");
        judge(found, &policy, Kind::Crate, today).iter().map(Problem::to_string).collect()
    }

    #[test]
    fn each_kind_weighs_what_the_policy_says_and_an_unknown_one_fails() {
        assert_eq!(
            lines(POLICY, "2026-11-24"),
            [
                "Cargo.lock:4: [RUSTSEC-1] a 1.0.0: vulnerable: T; fixed in >=1.1",
                "Cargo.lock:4: [RUSTSEC-3] a 1.0.0: something-new: T; no version fixes it",
                "Cargo.lock:4: warning: [RUSTSEC-2] a 1.0.0: unmaintained: T; no version fixes it",
                "Cargo.lock:4: [yanked] a 1.0.0: this version was withdrawn",
            ]
        );
    }

    #[test]
    fn a_tolerance_ends_on_its_day_and_must_be_used() {
        let with = |id: &str| {
            format!(
                "{POLICY}[[tolerate]]\nkind = \"crate\"\nid = \"{id}\"\npackage = \"a\"\nuntil = 2026-12-01\nreason = \"not \
                 reached from here\"\n"
            )
        };
        assert_eq!(lines(&with("RUSTSEC-1"), "2026-12-01").len(), 3);
        let after = lines(&with("RUSTSEC-1"), "2026-12-02");
        assert!(after[0].ends_with("it was tolerated until 2026-12-01"), "{after:?}");
        let unused = lines(&with("RUSTSEC-9"), "2026-11-24");
        assert_eq!(unused.len(), 5);
        assert!(unused[4].contains("no crate a has RUSTSEC-9"), "{unused:?}");
        let npm = with("RUSTSEC-9").replace("\"crate\"", "\"npm\"");
        assert_eq!(lines(&npm, "2026-11-24").len(), 4, "it is about the other check");
    }

    #[test]
    fn a_policy_that_says_too_little_is_refused() {
        let tolerance = |until: &str, reason: &str| {
            format!(
                "{POLICY}[[tolerate]]\nkind = \"npm\"\nid = \"G\"\npackage = \"a\"\nuntil = {until}\nreason = \"{reason}\"\n"
            )
        };
        for (text, part) in [
            (String::new(), "database"),
            (POLICY.replace("\"tell\"", "\"shrug\""), "shrug"),
            (tolerance("2026-12-01", "no"), "reason must say"),
            (tolerance("12:00:00", "not reached from here"), "until must be a day"),
        ] {
            let told = Policy::read(&text).unwrap_err();
            assert!(told.contains(part), "{told}");
        }
    }

    #[test]
    fn npm_reports_are_read_and_other_files_are_refused() {
        let policy = Policy::read(POLICY).unwrap();
        let via = |severity: &str| json!({ "title": "T", "url": "https://example.com/GHSA-x", "severity": severity, "range": "<2" });
        let report = json!({ "vulnerabilities": {
            "a": { "via": [via("moderate"), via("low")] },
            "b": { "via": ["a"] },
        }});
        let lock = "{\n  \"node_modules/a\": {\n";
        let found = npm_findings(report.to_string().as_bytes(), &policy, lock, "l.json").unwrap();
        let lines: Vec<_> = found.iter().map(Problem::to_string).collect();
        assert_eq!(
            lines,
            [
                "l.json:2: [GHSA-x] a: moderate: T; versions <2",
                "l.json:2: warning: [GHSA-x] a: low: T; versions <2"
            ]
        );
        for (report, part) in [
            (
                json!({ "message": "405 Method Not Allowed", "statusCode": 405 }),
                "does not answer audits: 405 Method",
            ),
            (json!({}), "it says nothing"),
            (json!({ "vulnerabilities": { "a": { "via": [] } } }), "without a reason"),
        ] {
            let told = npm_findings(report.to_string().as_bytes(), &policy, lock, "l.json").unwrap_err();
            assert!(told.contains(part), "{told}");
        }
        assert!(npm_findings(b"", &policy, lock, "l.json").is_err());
    }

    #[test]
    fn the_day_of_an_advisory_is_read() {
        let text = "```toml\n[advisory]\nid = \"RUSTSEC-2026-0001\"\npackage = \"a\"\ndate = \"2026-01-02\"\n```\n# T\n";
        assert_eq!(day(text), Some("2026-01-02"));
        assert_eq!(day("# T\n"), None);
    }
}
