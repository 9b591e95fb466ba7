//! `cargo xtask check dashboards`: Grafana's schema finds what Grafana would not read, also where it would only leave it
//! out, and pictures that show what the dashboards no longer are.

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
    fs::write(&page, good).unwrap();

    // Pictures: of another state of the dashboard, and of none.
    let pictures = tree.path().join("docs/pictures");
    fs::create_dir_all(&pictures).unwrap();
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let drawn = fs::read_to_string(repository.join("docs/pictures/overview.svg")).unwrap();
    let (_, mark) = drawn.split_once("<metadata>dashboard overview sha256 ").unwrap();
    for (name, mark, finding) in [
        ("overview.svg", &mark[..64], None),
        ("overview.svg", &"0".repeat(64), Some("draw ENV overview")),
        ("overvew.svg", &mark[..64], Some("there is no dashboard overvew")),
    ] {
        let picture = pictures.join(name);
        fs::write(&picture, format!("<svg><metadata>dashboard overview sha256 {mark}</metadata></svg>"))
            .unwrap();
        let output = check(&tree);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(i32::from(finding.is_some())), "{output:?}");
        assert!(finding.is_none_or(|finding| said.contains(finding)), "{said}");
        fs::remove_file(&picture).unwrap();
    }

    fs::remove_file(&page).unwrap();
    let output = check(&tree);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && said.contains("generate"), "{output:?}");
}
