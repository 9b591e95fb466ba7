//! The gate `engine`, on a tree whose tests it must judge.

use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
#[ignore = "needs a container engine: `cargo xtask ci engine`"]
fn the_gate_fails_on_a_failing_test_that_needs_an_engine() {
    let tree = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = tree.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let locked = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ops/ci/requirements.txt");
    write("ops/ci/requirements.txt", &fs::read_to_string(locked).unwrap());
    write(
        "Cargo.toml",
        "[workspace]\nresolver = \"3\"\nmembers = [\"xtask\"]\n\n[profile.dev]\ndebug = false\n",
    );
    write("Cargo.lock", "version = 4\n\n[[package]]\nname = \"xtask\"\nversion = \"0.1.0\"\n");
    write("xtask/Cargo.toml", "[package]\nname = \"xtask\"\nversion = \"0.1.0\"\nedition = \"2024\"\n");
    write("xtask/src/lib.rs", "//! A fixture.\n");
    let judge = |body: &str| {
        let test = |name: &str, body: &str| format!("#[test]\n#[ignore = \"x\"]\nfn {name}() {{ {body} }}\n");
        write("xtask/tests/engine.rs", &(test("good", "") + &test("judged", body)));
        let mut ci = Command::new(env!("CARGO_BIN_EXE_xtask"));
        ci.args(["ci", "engine", "--require-all", "--root"]).arg(tree.path());
        ci.env_remove("CARGO_TARGET_DIR").output().unwrap()
    };
    let good = judge("");
    let told = String::from_utf8_lossy(&good.stderr);
    assert!(good.status.success(), "{told}");
    let bad = judge("panic!(\"planted\")");
    let told = String::from_utf8_lossy(&bad.stderr);
    assert_eq!(bad.status.code(), Some(1), "{told}");
    assert!(told.contains("test judged ... FAILED"), "{told}");
}
