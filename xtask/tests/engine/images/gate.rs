//! The gates `engine` and `slow-engine`, on a tree whose tests they must judge.

use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
#[ignore = "needs a container engine: `cargo xtask ci engine`"]
fn the_gates_fail_on_a_failing_test_that_needs_an_engine() {
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
    let judge = |gate: &str, fast: &str, slow: &str| {
        let test = |name: &str, body: &str| format!("#[test]\n#[ignore = \"x\"]\nfn {name}() {{ {body} }}\n");
        write(
            "xtask/tests/engine.rs",
            &format!("{}mod slow {{\n{}}}\n", test("fast", fast), test("slow", slow)),
        );
        let mut ci = Command::new(env!("CARGO_BIN_EXE_xtask"));
        ci.args(["ci", gate, "--require-all", "--root"]).arg(tree.path());
        let output = ci.env_remove("CARGO_TARGET_DIR").output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let fails = "panic!(\"planted\")";
    for (gate, fast, slow, test) in
        [("engine", fails, "", "test fast"), ("slow-engine", "", fails, "test slow::slow")]
    {
        let (code, told) = judge(gate, slow, fast);
        assert_eq!(code, Some(0), "{gate}: {told}");
        let (code, told) = judge(gate, fast, slow);
        assert_eq!(code, Some(1), "{gate}: {told}");
        assert!(told.contains(&format!("{test} ... FAILED")), "{gate}: {told}");
    }
}
