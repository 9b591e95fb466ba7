//! The plan that looks through built images with other people's scanners, and what they say. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use super::engine::Engine;
use super::locks::BuiltImage;
use crate::tools::Invocation;
use runner::plan::action::{Action, Exec, Native};
use runner::plan::argument::Arg;
use runner::plan::step::{OnFailure, Plan, Step, StepId};

/// The native actions of the plan.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "name", content = "parameters", rename_all = "kebab-case")]
pub enum ScanImages {
    InstallScanners,
    ClearFolder {
        folder: PathBuf,
    },
    UnpackLayers {
        archive: PathBuf,
        folder: PathBuf,
    },
    /// Puts out the base as [`BASE`] and what dpkg records as [`RECORDS`].
    ListPackages {
        archive: PathBuf,
        layers: PathBuf,
    },
}

impl Native for ScanImages {}

/// Files beyond this many bytes are not looked through for secrets: they are programs and databases.
pub const LARGEST_TEXT: u64 = 2 * 1024 * 1024;

pub const BASE: &str = "base";
pub const RECORDS: &str = "records";
pub const UPDATES: &str = "pending Debian security updates";
const SECURITY_UPDATES: &str = include_str!("security_updates.sh");

/// How the scanners are started.
#[derive(Debug)]
pub struct Scanners {
    pub hadolint: Invocation,
    pub gitleaks: Invocation,
    pub syft: Invocation,
    /// Absolute path, when it is there with a database.
    pub grype: Option<PathBuf>,
}

/// Where things of one image are put.
#[derive(Debug, Clone)]
pub struct Places {
    pub folder: PathBuf,
    pub archive: PathBuf,
    pub layers: PathBuf,
    pub secrets: PathBuf,
    pub sbom: PathBuf,
    pub vulnerabilities: PathBuf,
}

pub fn places(folder: &Path, target: &str) -> Places {
    let folder = folder.join("scan").join(target);
    Places {
        archive: folder.join("image.tar"),
        layers: folder.join("layers"),
        secrets: folder.join("gitleaks.json"),
        sbom: folder.join("sbom.cdx.json"),
        vulnerabilities: folder.join("vulnerabilities.json"),
        folder,
    }
}

/// The step that lints a Dockerfile: its output `stdout` is hadolint's report.
pub fn lint_step(dockerfile: &str) -> StepId {
    let name: String = dockerfile
        .to_lowercase()
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' })
        .collect();
    format!("lint-{name}").into()
}

pub fn plan(
    engine: &Engine,
    scanners: &Scanners,
    root: &Path,
    folder: &Path,
    images: &[BuiltImage],
) -> Plan<ScanImages> {
    let mut steps = vec![Step {
        time_limit_ms: 1_800_000,
        ..Step::new("tools", "install the scanners", Action::Native(ScanImages::InstallScanners))
    }];
    let dockerfiles: BTreeSet<&str> = images.iter().map(|image| image.dockerfile.as_str()).collect();
    for dockerfile in dockerfiles {
        let file = root.join(dockerfile).display().to_string();
        // No ignores: neither from a configuration file nor from comments.
        let options = [
            "--no-fail",
            "--no-color",
            "--format",
            "json",
            "--disable-ignore-pragma",
            "--config",
            "/dev/null",
            &file,
        ];
        steps.push(Step {
            needs: vec!["tools".into()],
            ..Step::new(
                lint_step(dockerfile),
                format!("lint {dockerfile}"),
                Action::Exec(Exec {
                    capture_stdout: true,
                    ..run(&scanners.hadolint, &options, BTreeMap::new())
                }),
            )
        });
    }
    for image in images {
        steps.extend(image_steps(engine, scanners, folder, image));
    }
    Plan {
        intent: "scan images".into(),
        target: super::bases::TARGET.into(),
        on_failure: OnFailure::Keep,
        steps,
    }
}

fn image_steps(
    engine: &Engine,
    scanners: &Scanners,
    folder: &Path,
    image: &BuiltImage,
) -> Vec<Step<ScanImages>> {
    let (target, places) = (&image.target, places(folder, &image.target));
    let text = |path: &Path| path.display().to_string();
    let id = |part: &str| StepId(format!("{part}-{target}"));
    let mut steps = vec![
        Step::new(
            id("clear"),
            format!("prepare the folder for {target}"),
            Action::Native(ScanImages::ClearFolder { folder: places.folder.clone() }),
        ),
        Step {
            needs: vec![id("clear")],
            ..Step::new(
                id("save"),
                format!("save {target}"),
                Action::Exec(engine.exec(["image", "save", "--output", &text(&places.archive), &image.tag])),
            )
        },
        Step {
            needs: vec![id("save")],
            ..Step::new(
                id("unpack"),
                format!("unpack the layers of {target}"),
                Action::Native(ScanImages::UnpackLayers {
                    archive: places.archive.clone(),
                    folder: places.layers.clone(),
                }),
            )
        },
        Step {
            needs: vec!["tools".into(), id("unpack")],
            ..Step::new(
                id("secrets"),
                format!("look for secrets in {target}"),
                Action::Exec(run(
                    &scanners.gitleaks,
                    &[
                        "dir",
                        "--no-banner",
                        "--no-color",
                        "--redact=100",
                        "--exit-code=0",
                        "--report-format=json",
                        "--report-path",
                        &text(&places.secrets),
                        &text(&places.layers),
                    ],
                    BTreeMap::new(),
                )),
            )
        },
        Step {
            needs: vec!["tools".into(), id("save")],
            ..Step::new(
                id("sbom"),
                format!("list the contents of {target}"),
                Action::Exec(run(
                    &scanners.syft,
                    &[
                        "scan",
                        &format!("docker-archive:{}", text(&places.archive)),
                        "--output",
                        &format!("cyclonedx-json={}", text(&places.sbom)),
                    ],
                    [("SYFT_CHECK_FOR_APP_UPDATE".to_owned(), Arg::from("false"))].into(),
                )),
            )
        },
    ];
    let output = |key: &str| Arg::output(id("packages"), key);
    steps.push(Step {
        needs: vec![id("unpack")],
        ..Step::new(
            id("packages"),
            format!("list the Debian packages of {target}"),
            Action::Native(ScanImages::ListPackages {
                archive: places.archive.clone(),
                layers: places.layers.clone(),
            }),
        )
    });
    let run_in_base = ["run", "--rm", "--interactive", "--user", "0", "--entrypoint", "sh"].map(Arg::from);
    let script = ["-c", SECURITY_UPDATES].map(Arg::from);
    steps.push(Step {
        needs: vec![id("packages")],
        ..Step::new(
            id("updates"),
            format!("ask Debian for security updates of {target}"),
            Action::Exec(Exec {
                args: [&run_in_base[..], &[output(BASE)], &script].concat(),
                stdin: Some(output(RECORDS)),
                capture_stdout: true,
                ..engine.exec([] as [&str; 0])
            }),
        )
    });
    if let Some(grype) = &scanners.grype {
        steps.push(Step {
            needs: vec![id("sbom")],
            ..Step::new(
                id("vulnerabilities"),
                format!("look for known vulnerabilities in {target}"),
                Action::Exec(Exec {
                    program: text(grype),
                    args: [
                        "--output",
                        "json",
                        "--file",
                        &text(&places.vulnerabilities),
                        &format!("sbom:{}", text(&places.sbom)),
                    ]
                    .map(Arg::from)
                    .into(),
                    env: [
                        ("GRYPE_CHECK_FOR_APP_UPDATE".to_owned(), Arg::from("false")),
                        ("GRYPE_DB_AUTO_UPDATE".to_owned(), Arg::from("false")),
                    ]
                    .into(),
                    ..Exec::default()
                }),
            )
        });
    }
    steps
}

fn run(invocation: &Invocation, options: &[&str], env: BTreeMap<String, Arg>) -> Exec {
    let words = invocation.args.iter().map(|word| word.to_string_lossy().into_owned());
    Exec {
        program: invocation.program.display().to_string(),
        args: words.chain(options.iter().map(|option| (*option).to_owned())).map(Arg::from).collect(),
        env,
        ..Exec::default()
    }
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Passed,
    Failed,
    NotRun,
}

/// One check of one image or file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    pub subject: String,
    pub check: String,
    pub verdict: Verdict,
    /// How many were looked at, why it was not run.
    pub note: String,
    pub findings: Vec<String>,
}

impl Row {
    /// Passed without findings, failed with some.
    pub fn of(subject: &str, check: &str, note: String, findings: Vec<String>) -> Self {
        let verdict = if findings.is_empty() { Verdict::Passed } else { Verdict::Failed };
        Self { subject: subject.to_owned(), check: check.to_owned(), verdict, note, findings }
    }

    pub fn not_run(subject: &str, check: &str, why: &str) -> Self {
        Self {
            subject: subject.to_owned(),
            check: check.to_owned(),
            verdict: Verdict::NotRun,
            note: why.to_owned(),
            findings: Vec::new(),
        }
    }
}

/// hadolint's report as findings.
pub fn lint_findings(report: &Value) -> Vec<String> {
    list(report)
        .iter()
        .map(|found| format!("line {}: {} {}", found["line"], text(found, "code"), text(found, "message")))
        .collect()
}

/// gitleaks' report as findings; the value of a secret is not in it. `layers` is the folder that was looked through.
pub fn secret_findings(report: &Value, layers: &Path) -> Vec<String> {
    list(report)
        .iter()
        .map(|found| {
            let file = text(found, "File");
            let file = file.strip_prefix(&format!("{}/", layers.display())).unwrap_or(file);
            format!("{file}:{}: {}", found["StartLine"], text(found, "RuleID"))
        })
        .collect()
}

/// How many packages an SBOM lists.
pub fn packages(sbom: &Value) -> usize {
    list(&sbom["components"]).iter().filter(|component| text(component, "type") != "file").count()
}

/// Every package record in the layers' dpkg databases, the topmost layer's for each package: whole databases, and the files
/// of images without a package manager. The lowest layer comes first.
pub fn package_records(databases: &[String]) -> String {
    let mut records = BTreeMap::new();
    for record in databases.iter().flat_map(|text| text.split("\n\n")) {
        if let Some(name) = record.lines().find_map(|line| line.strip_prefix("Package: ")) {
            records.insert(name, record.trim());
        }
    }
    records.values().map(|record| format!("{record}\n\n")).collect()
}

/// What [`SECURITY_UPDATES`] printed, as a row.
pub fn updates_row(subject: &str, printed: &str) -> Row {
    let (first, found) = printed.split_once('\n').unwrap_or((printed, ""));
    match first.strip_prefix("asked ") {
        Some(suite) => {
            Row::of(subject, UPDATES, format!("in {suite}"), found.lines().map(str::to_owned).collect())
        }
        None => Row::not_run(subject, UPDATES, if first.is_empty() { "apt said nothing" } else { first }),
    }
}

/// grype's report: those of high and critical severity that a newer version mends.
pub fn vulnerability_findings(report: &Value) -> Vec<String> {
    list(&report["matches"])
        .iter()
        .filter(|found| matches!(found["vulnerability"]["severity"].as_str(), Some("High" | "Critical")))
        .filter(|found| found["vulnerability"]["fix"]["state"] == "fixed")
        .map(|found| {
            let (of, package) = (&found["vulnerability"], &found["artifact"]);
            let fixed: Vec<_> = list(&of["fix"]["versions"]).iter().filter_map(Value::as_str).collect();
            format!(
                "{} {} in {} {}; fixed in {}",
                text(of, "severity"),
                text(of, "id"),
                text(package, "name"),
                text(package, "version"),
                fixed.join(", ")
            )
        })
        .collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reports_become_findings() {
        let lint = json!([{ "code": "DL3008", "column": 1, "file": "-", "level": "warning", "line": 3, "message": "Pin versions" }]);
        assert_eq!(lint_findings(&lint), ["line 3: DL3008 Pin versions"]);
        let secrets = json!([{ "RuleID": "private-key", "StartLine": 1, "File": "/s/layers/2/app/key.pem", "Secret": "REDACTED" }]);
        assert_eq!(secret_findings(&secrets, Path::new("/s/layers")), ["2/app/key.pem:1: private-key"]);
        assert_eq!(packages(&json!({ "components": [{ "type": "library" }, { "type": "file" }] })), 1);
        let matched = |severity: &str, state: &str| {
            json!({
                "vulnerability": { "id": "CVE-1", "severity": severity, "fix": { "state": state, "versions": ["2"] } },
                "artifact": { "name": "zlib", "version": "1" }
            })
        };
        let report = json!({ "matches": [matched("High", "fixed"), matched("High", "wont-fix"), matched("Low", "fixed")] });
        assert_eq!(vulnerability_findings(&report), ["High CVE-1 in zlib 1; fixed in 2"]);
    }

    #[test]
    fn the_topmost_record_of_a_package_counts() {
        let record = |name: &str, version: &str| format!("Package: {name}\nVersion: {version}\n");
        let whole = format!("{}\n{}\n", record("libc6", "1"), record("zlib1g", "1"));
        let records = package_records(&[whole, record("libc6", "2")]);
        assert_eq!(records, format!("{}\n{}\n", record("libc6", "2"), record("zlib1g", "1")));
        assert_eq!(package_records(&[]), "");
    }

    #[test]
    fn only_an_archive_that_was_asked_can_have_no_updates() {
        let row = |printed: &str| updates_row("image", printed);
        assert_eq!(row("asked bookworm-security").verdict, Verdict::Passed);
        let found = row("asked bookworm-security\nzlib1g/oldstable-security 2 amd64 [upgradable from: 1]");
        assert_eq!((found.verdict, found.findings.len()), (Verdict::Failed, 1));
        for printed in ["", "could not ask: E: no address", "\nzlib1g"] {
            assert_eq!(row(printed).verdict, Verdict::NotRun, "{printed}");
        }
    }

    #[test]
    fn a_dockerfile_names_its_step() {
        assert_eq!(lint_step("ops/docker/prod/Dockerfile").0, "lint-ops-docker-prod-dockerfile");
    }
}
