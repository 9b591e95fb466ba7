//! The bills of materials of this project's own locks, judged by the schema that CycloneDX publishes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

use super::fixture::{Repository, noise, text};

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The pinned Node.js and the locked modules.
struct Judge {
    node: String,
    modules: String,
}

impl Judge {
    fn new() -> Self {
        let doctor = Command::new(env!("CARGO_BIN_EXE_xtask"))
            .args(["doctor", "--json", "--install", "node", "modules", "--root"])
            .arg(project())
            .output()
            .unwrap();
        let rows: Value = serde_json::from_slice(&doctor.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", text(&doctor)));
        let path = |program: &str| {
            let row = rows.as_array().unwrap().iter().find(|row| row["program"] == program).unwrap();
            row["path"]
                .as_str()
                .unwrap_or_else(|| panic!("{program} is not there: {}", text(&doctor)))
                .to_owned()
        };
        Self { node: path("node"), modules: path("modules") }
    }

    fn of(&self, file: &Path) -> Output {
        let script = project().join("xtask/tests/releases/packages/judge_sbom.mjs");
        Command::new(&self.node).arg(script).arg(&self.modules).arg(file).output().unwrap()
    }
}

/// The locks that are committed, in a release.
fn sboms() -> (Repository, [PathBuf; 2]) {
    let repository = Repository::with_operator(&noise(10));
    for lock in ["Cargo.lock", "flows/package-lock.json"] {
        repository.write(lock, &fs::read_to_string(project().join(lock)).unwrap());
    }
    repository.commit("Lock what is locked");
    let output = repository.package(&["--unsigned"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let files = ["rust", "npm"].map(|kind| repository.made().join(format!("flowship-1.2.3-{kind}.cdx.json")));
    (repository, files)
}

#[test]
fn they_are_what_cyclonedx_says_and_a_fault_would_be_found() {
    let judge = Judge::new();
    let (_repository, files) = sboms();
    type Fault = (fn(&mut Value), &'static str);
    let faults: [Fault; 6] = [
        (|bom| bom["components"][0]["type"] = json!("lib"), "/components/0/type "),
        (|bom| bom["components"][0]["hashes"][0]["alg"] = json!("SHA256"), "/components/0/hashes/0/alg "),
        (|bom| bom["components"][0]["version"] = json!(1), "/components/0/version "),
        (|bom| bom["metadata"]["timestamp"] = json!("yesterday"), "/metadata/timestamp "),
        (|bom| bom["sources"] = json!([]), "/ must NOT have additional properties"),
        (|bom| bom["components"].as_array_mut().unwrap().extend_from_within(..1), "duplicate items"),
    ];
    for file in files {
        let verdict = judge.of(&file);
        assert!(verdict.status.success(), "{}", text(&verdict));
        let bom: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        assert!(bom["components"].as_array().unwrap().len() > 100, "{} is of something else", file.display());
        for (plant, part) in faults {
            let mut bom = bom.clone();
            plant(&mut bom);
            fs::write(&file, bom.to_string()).unwrap();
            let verdict = judge.of(&file);
            assert_eq!(verdict.status.code(), Some(1), "{part}: {}", text(&verdict));
            assert!(text(&verdict).contains(part), "{part}: {}", text(&verdict));
        }
    }
}
