//! Known vulnerabilities of programs that are written in Go, by the database's files and govulncheck's report. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use vocabulary::problem::{Level, Place, Problem};

/// An advisory that is in every whole database, and a module that it is about.
pub const CONTROL_ADVISORY: &str = "GO-2020-0015";
pub const CONTROL_MODULE: &str = "golang.org/x/text@v0.3.2";

/// How much of a vulnerable module a program has in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reach {
    /// The module, without the vulnerable package.
    Module,
    /// The package; of a program without symbols nothing more can be known.
    Package,
    /// The vulnerable function.
    Symbol,
}

/// An advisory of the database, in the format of <https://ossf.github.io/osv-schema>, as far as its index needs it.
#[derive(Debug, Deserialize)]
pub struct Advisory {
    id: String,
    affected: Vec<Affected>,
}

#[derive(Debug, Deserialize)]
struct Affected {
    package: Named,
}

#[derive(Debug, Deserialize)]
struct Named {
    name: String,
}

/// A line of the database's `index/modules.json` (<https://go.dev/doc/security/vuln/database>).
#[derive(Debug, Serialize)]
pub struct Indexed {
    path: String,
    vulns: Vec<Reference>,
}

#[derive(Debug, Serialize)]
struct Reference {
    id: String,
    modified: String,
}

/// The index, by module, of a database of this time in RFC 3339.
pub fn index(advisories: &[Advisory], modified: &str) -> Vec<Indexed> {
    let mut modules: BTreeMap<&str, Vec<Reference>> = BTreeMap::new();
    for Advisory { id, affected } in advisories {
        let mut names: Vec<_> = affected.iter().map(|one| one.package.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let vulns = modules.entry(name).or_default();
            vulns.push(Reference { id: id.clone(), modified: modified.to_owned() });
        }
    }
    modules.into_iter().map(|(path, vulns)| Indexed { path: path.to_owned(), vulns }).collect()
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Message {
    #[serde(rename = "SBOM")]
    sbom: Option<Sbom>,
    osv: Option<Described>,
    finding: Option<Finding>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Sbom {
    modules: Vec<Value>,
}

#[derive(Debug, Deserialize)]
struct Described {
    id: String,
    #[serde(default)]
    summary: String,
}

#[derive(Debug, Deserialize)]
struct Finding {
    osv: String,
    #[serde(default)]
    fixed_version: String,
    trace: Vec<Frame>,
}

#[derive(Debug, Deserialize)]
struct Frame {
    module: String,
    #[serde(default)]
    version: String,
    package: Option<String>,
    function: Option<String>,
}

/// What `govulncheck -format json` reported.
#[derive(Debug)]
pub struct Report(Vec<Message>);

impl Report {
    /// # Errors
    /// The text is no report of govulncheck.
    pub fn read(report: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::Deserializer::from_slice(report).into_iter().collect::<Result<_, _>>().map(Self)
    }

    /// Whether it describes this advisory.
    pub fn describes(&self, id: &str) -> bool {
        self.0.iter().filter_map(|message| message.osv.as_ref()).any(|one| one.id == id)
    }

    /// How many modules it found in the program.
    pub fn modules(&self) -> usize {
        self.0.iter().filter_map(|message| message.sbom.as_ref()).map(|sbom| sbom.modules.len()).sum()
    }

    /// Every advisory about the program, at a place that names what locks it. Those that reach less than `fail_from` are
    /// warnings.
    pub fn findings(&self, place: &Place, program: &str, fail_from: Reach) -> Vec<Problem> {
        let mut farthest: BTreeMap<(&str, &str), (Reach, &Finding)> = BTreeMap::new();
        for finding in self.0.iter().filter_map(|message| message.finding.as_ref()) {
            let Some(frame) = finding.trace.first() else { continue };
            let reach = match (&frame.package, &frame.function) {
                (_, Some(_)) => Reach::Symbol,
                (Some(_), None) => Reach::Package,
                (None, None) => Reach::Module,
            };
            let known = farthest.entry((&finding.osv, &frame.module)).or_insert((reach, finding));
            if reach > known.0 {
                *known = (reach, finding);
            }
        }
        let of_one = |((id, module), (reach, finding)): ((&str, &str), (Reach, &Finding))| {
            let described = self.0.iter().filter_map(|message| message.osv.as_ref()).find(|one| one.id == id);
            let summary = described.map_or("", |one| one.summary.as_str());
            let mended = match finding.fixed_version.as_str() {
                "" => "no version fixes it".to_owned(),
                version => format!("fixed in {version}"),
            };
            let has = match reach {
                Reach::Module => "has the module, not the package",
                Reach::Package => "has the package",
                Reach::Symbol => "has the function",
            };
            let level = if reach >= fail_from { Level::Error } else { Level::Warning };
            let place = place.clone().of(format!("{module} {}", finding.trace[0].version));
            Problem::new(place, format!("{summary}; {mended}; {program} {has}")).rule(id).level(level)
        };
        farthest.into_iter().map(of_one).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn report() -> Report {
        let finding = |osv: &str, fixed: &str, frame: Value| json!({ "finding": { "osv": osv, "fixed_version": fixed, "trace": [frame] } });
        let messages = [
            json!({ "config": { "scanner_name": "govulncheck" } }),
            json!({ "SBOM": { "modules": [{ "path": "a" }, { "path": "b" }] } }),
            json!({ "osv": { "id": "GO-1", "summary": "S" } }),
            finding("GO-1", "v2", json!({ "module": "a", "version": "v1" })),
            finding(
                "GO-1",
                "v2",
                json!({ "module": "a", "version": "v1", "package": "a/p", "function": "F" }),
            ),
            finding("GO-1", "v2", json!({ "module": "a", "version": "v1", "package": "a/p" })),
            finding("GO-2", "", json!({ "module": "b", "version": "v1" })),
        ];
        Report::read(&serde_json::to_vec(&messages[0]).unwrap()).unwrap();
        let text: String = messages.iter().map(|one| format!("{one:#}\n")).collect();
        Report::read(text.as_bytes()).unwrap()
    }

    #[test]
    fn each_advisory_is_found_once_with_the_most_of_it_that_the_program_has() {
        let report = report();
        assert!(report.describes("GO-1") && !report.describes("GO-2"));
        assert_eq!(report.modules(), 2);
        let lines = |from| {
            let found = report.findings(&Place::line("lock", 3), "x", from);
            found.iter().map(Problem::to_string).collect::<Vec<_>>()
        };
        assert_eq!(
            lines(Reach::Package),
            [
                "lock:3: [GO-1] a v1: S; fixed in v2; x has the function",
                "lock:3: warning: [GO-2] b v1: ; no version fixes it; x has the module, not the package",
            ]
        );
        assert!(lines(Reach::Module).iter().all(|line| !line.contains("warning")));
        assert!(Report::read(b"govulncheck: no").is_err());
    }

    #[test]
    fn the_index_has_each_module_once() {
        let advisory = |id: &str, names: &[&str]| -> Advisory {
            let affected: Vec<_> = names.iter().map(|name| json!({ "package": { "name": name } })).collect();
            serde_json::from_value(json!({ "id": id, "affected": affected })).unwrap()
        };
        let index =
            index(&[advisory("GO-1", &["b", "a", "b"]), advisory("GO-2", &["b"])], "2026-01-01T00:00:00Z");
        let reference = |id: &str| json!({ "id": id, "modified": "2026-01-01T00:00:00Z" });
        assert_eq!(
            serde_json::to_value(index).unwrap(),
            json!([
                { "path": "a", "vulns": [reference("GO-1")] },
                { "path": "b", "vulns": [reference("GO-1"), reference("GO-2")] },
            ])
        );
    }
}
