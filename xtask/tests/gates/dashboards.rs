//! `cargo xtask check dashboards`: Grafana's schema finds what Grafana would not read, also where it would only leave it out.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

const PAGE: &str = "ops/monitoring/dashboards/overview.json";

fn tree() -> TempDir {
    let tree = tempfile::tempdir().unwrap();
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let lock = "ops/ci/tools/dashboard-check";
    for folder in ["ops/environments", "ops/monitoring/dashboards", lock] {
        fs::create_dir_all(tree.path().join(folder)).unwrap();
    }
    for file in ["ops/ci/requirements.txt", PAGE] {
        fs::copy(repository.join(file), tree.path().join(file)).unwrap();
    }
    for entry in fs::read_dir(repository.join(lock)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), tree.path().join(lock).join(entry.file_name())).unwrap();
    }
    tree
}

fn check(tree: &TempDir) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.arg("--root").arg(tree.path()).args(["check", "dashboards"]).output().unwrap()
}

#[test]
fn what_grafana_would_not_read_is_found() {
    let tree = tree();
    let page = tree.path().join(PAGE);
    let good = fs::read_to_string(&page).unwrap();
    let output = check(&tree);
    assert!(output.status.success(), "{output:?}");
    for (right, wrong, told) in [
        ("\"legendFormat\"", "\"legendFormt\"", "unexpected field 'legendFormt'"),
        ("\"fillOpacity\"", "\"fillOpacty\"", "unexpected field 'fillOpacty'"),
        ("\"timeseries\"", "\"timeserie\"", "no panel of the type \"timeserie\""),
        ("\"unit\": \"short\"", "\"unit\": 5", "number"),
    ] {
        let faulty = good.replacen(right, wrong, 1);
        assert_ne!(faulty, good);
        fs::write(&page, faulty).unwrap();
        let output = check(&tree);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(said.contains("overview.json") && said.contains(told), "{told}: {said}");
    }
    fs::remove_file(&page).unwrap();
    let output = check(&tree);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && said.contains("generate"), "{output:?}");
}
