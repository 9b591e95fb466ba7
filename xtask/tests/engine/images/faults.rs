//! What is wrong is said with what to do, before anything is changed. No engine is needed for any of these.

use super::fixture::{DOCKERFILE, Tree};

/// A client of the engine that does everything except what follows.
const HEALTHY: &str = r#"
case "$1" in
--version) echo 'Docker version 20.10.24, build 1'; exit 0 ;;
info) printf '20.10.24\toverlay2\n'; exit 0 ;;
buildx | compose) exit 1 ;;
image) echo 'Error: No such image: x' >&2; exit 1 ;;
esac
"#;

fn with_build(script: &str) -> Tree {
    let mut tree = Tree::new();
    tree.play_docker(&format!("{HEALTHY}\n{script}"));
    tree
}

#[test]
fn no_client() {
    let mut tree = Tree::new();
    tree.without_docker();
    tree.image(&["build"]).expect(1, &["no container engine", "no docker on PATH", "start-engine.sh"]);
    tree.image(&["list"]).expect(0, &["no container engine", "flowship/node-red:local", "not here"]);
}

#[test]
fn no_engine() {
    let mut tree = Tree::new();
    tree.play_docker(
        "case $1 in --version) echo 'Docker version 20.10.24, build 1' ;; \
         *) echo 'Cannot connect to the Docker daemon at unix:///x.' >&2; exit 1 ;; esac",
    );
    tree.image(&["build"])
        .expect(1, &["no container engine", "Cannot connect to the Docker daemon", "start-engine.sh"]);
    tree.image(&["bases", "--from-packages"]).expect(1, &["no container engine"]);
}

#[test]
fn a_client_without_buildkit() {
    let mut tree = Tree::new();
    tree.play_docker(&HEALTHY.replace("20.10.24", "28.2.2"));
    tree.image(&["build"]).expect(1, &["cannot build with BuildKit", "docker-buildx-plugin"]);
}

#[test]
fn no_dockerfile_and_unknown_targets_are_reported_at_once() {
    let tree = with_build("");
    std::fs::remove_file(tree.path(DOCKERFILE)).unwrap();
    tree.image(&["build", "--only", "nodered"])
        .expect(2, &[DOCKERFILE, "cargo xtask generate", "--only nodered", "node-red"]);
}

#[test]
fn a_target_without_a_stage_is_reported_and_refused_by_name() {
    let tree = with_build("");
    tree.image(&["build", "--dry-run"]).expect(0, &["not built", "barman", "--target node-red"]);
    tree.image(&["build", "--only", "barman"]).expect(2, &["no stage is called barman"]);
}

#[test]
fn all_missing_stand_ins_are_reported() {
    let tree = with_build("");
    tree.write(DOCKERFILE, "ARG A=node:24-bookworm-slim@sha256:aa\nARG B=postgres:18-bookworm@sha256:bb\nFROM alpine:3 AS node-red\n");
    let ran = tree
        .image(&["build", "--stand-ins"])
        .expect(2, &["ARG A=", "ARG B=", "FROM alpine:3", "image bases --from-packages"]);
    assert_eq!(ran.err.matches("there is no stand-in for it").count(), 2, "{ran:#?}");
}

#[test]
fn a_full_disk_and_a_base_that_cannot_be_pulled_are_explained() {
    for (said, expected) in [
        ("failed to copy files: no space left on device", "the disk is full"),
        ("failed to load metadata for docker.io/library/node:24", "a base image cannot be pulled"),
        ("x509: certificate signed by unknown authority", "a certificate is not trusted"),
    ] {
        let tree = with_build(&format!("echo '{said}' >&2; exit 1"));
        tree.image(&["build", "--only", "mcp-tools"]).expect(1, &[said, expected]);
    }
}

#[test]
fn a_bad_bundle_of_certificates_is_refused() {
    let tree = with_build("");
    tree.write("empty.pem", "nothing\n");
    tree.write("key.pem", "-----BEGIN CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n");
    for (file, said) in [
        ("none.pem", "expected a bundle"),
        ("empty.pem", "contains no certificate"),
        ("key.pem", "private key"),
    ] {
        let path = tree.path(file).display().to_string();
        tree.image(&["bases", "--from-packages", "--ca", &path]).expect(2, &[file, said]);
    }
    tree.image(&["bases", "--only", "nod"]).expect(2, &["--only nod", "node, postgres, haproxy"]);
}

#[test]
fn nothing_was_built() {
    let tree = with_build("");
    for command in ["scan", "save", "verify"] {
        tree.image(&[command]).expect(2, &["no image was built", "cargo xtask image build"]);
    }
}

#[test]
fn a_plan_can_be_seen_and_says_stand_in() {
    let tree = with_build("");
    let ran = tree.image(&["bases", "--from-packages", "--dry-run"]).expect(
        0,
        &["STAND-INS", "debootstrap --variant=minbase bookworm", "write the stand-ins' lock file"],
    );
    assert!(!tree.path(".flowship/images").exists(), "{ran:#?}");
    tree.image(&["bases"]).expect(0, &["node:24-bookworm-slim@sha256:", "no stand-in"]);
}
