//! A platform with other names, no tools and one service more comes up from the program that it is put together with.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::checkout::Checkout;

/// `xtask/examples/second_platform.rs`, which cargo builds with all tests, but not with these alone.
fn program() -> PathBuf {
    let build = ["build", "--quiet", "--package", "xtask", "--example", "second_platform"];
    let status = Command::new(env!("CARGO")).args(build).current_dir(env!("CARGO_MANIFEST_DIR")).status();
    assert!(status.unwrap().success(), "cargo {build:?}");
    Path::new(env!("CARGO_BIN_EXE_xtask")).with_file_name("examples").join("second_platform")
}

#[test]
fn it_generates_its_files_comes_up_and_passes_its_smoke() {
    let checkout = Checkout::with(program());
    let dev = checkout.read("ops/environments/dev.toml");
    checkout.write("ops/environments/dev.toml", &format!("{dev}\n[sizes]\nflow-engine.replicas = 2\n"));
    checkout.done(&["generate"]);
    checkout.done(&["generate", "--check"]);
    checkout.up();
    let status = checkout.status();
    let mut services: Vec<_> =
        status.as_array().unwrap().iter().map(|service| service["name"].as_str().unwrap()).collect();
    services.sort_unstable();
    assert_eq!(services, ["flow-engine-a", "flow-engine-b", "ledger", "oracle", "store"], "{status:#}");
    assert_eq!(checkout.failed_checks(), [""; 0]);
    checkout.done(&["reset", "--yes"]);
    checkout.nothing_runs();
}
