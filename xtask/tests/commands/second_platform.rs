//! The files of a second platform, which calls everything otherwise and has no tools, judged by the programs that read them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use artifacts::{FAMILIES, generate};

use super::containers::{program, shown};

/// A tree with the second platform's files and the scripts that they name.
fn tree() -> tempfile::TempDir {
    let tree = tempfile::tempdir().unwrap();
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut made = 0;
    let mut write = |path: &str, contents: &[u8]| {
        let to: PathBuf = tree.path().join(path);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::write(to, contents).unwrap();
        made += 1;
    };
    for artifact in generate(FAMILIES, &second_platform::platform()).unwrap() {
        write(&artifact.path, artifact.contents.as_bytes());
    }
    for path in [
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "SECURITY.md",
        "ops/environments/dev.toml",
        "ops/scripts/keep-packages.mjs",
        "ops/scripts/migrate.sh",
        "ops/scripts/minimal-root.sh",
        "ops/scripts/probe.bash",
    ] {
        write(path, &fs::read(repository.join(path)).unwrap());
    }
    assert!(made > 30, "{made}");
    tree
}

#[test]
#[ignore = "slow: `cargo xtask ci slow-tests` runs it"]
fn the_judges_accept_a_second_platform() {
    let tree = tree();
    let judge = |name: &str, folder: &str, arguments: &[&str]| {
        let output = Command::new(program(name))
            .current_dir(tree.path().join(folder))
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{name} {arguments:?}: {}", shown(&output));
    };
    judge(
        "hadolint",
        ".",
        &[
            "--disable-ignore-pragma",
            "--failure-threshold=style",
            "images/Dockerfile",
            "images/Dockerfile.dev",
        ],
    );
    judge("docker-compose", "ops/docker/dev", &["--env-file=../compose.env.example", "config", "--quiet"]);
    let production = ["--env-file=compose.env.example", "-f=prod/compose.prod.yaml"];
    judge("docker-compose", "ops/docker", &[&production[..], &["config", "--quiet"]].concat());
    let rehearsal = ["-f=prod/compose.rehearsal.yaml", "config", "--quiet"];
    judge("docker-compose", "ops/docker", &[&production[..], &rehearsal].concat());
    let workflows =
        ["ci", "release", "review", "security"].map(|name| format!(".github/workflows/{name}.yml"));
    judge("actionlint", ".", &workflows.each_ref().map(String::as_str));
}

#[test]
fn the_rows_of_compliance_hold_for_a_second_platform() {
    let tree = tree();
    let git = |arguments: &[&str]| {
        assert!(Command::new("git").current_dir(tree.path()).args(arguments).status().unwrap().success());
    };
    git(&["init", "--quiet"]);
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .arg("--root")
        .arg(tree.path())
        .args(["check", "compliance"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", shown(&output));
}
