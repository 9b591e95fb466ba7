//! The whole way with the real program, built twice: too long for every run (`cargo test -p xtask --test releases -- --ignored`).

use std::path::Path;
use std::process::{Command, Stdio};

use super::fixture::{FOLDER, Key, text};
use super::operating::Machine;

#[test]
#[ignore = "slow: `cargo xtask ci slow-tests` runs it"]
fn the_real_program_is_the_same_wherever_it_is_built_and_serves_a_machine_without_cargo() {
    let key = Key::new();
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("checkout");
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let clone = Command::new("git").args(["clone", "--quiet"]).args([here, &root]).status().unwrap();
    assert!(clone.success());
    let xtask = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.args(arguments).current_dir(&root).stdin(Stdio::null()).output().unwrap()
    };
    let secret = key.secret.to_str().unwrap();
    let package = xtask(&["release", "package", "--images", "none", "--key", secret]);
    assert!(package.status.success(), "{}", text(&package));

    let version = env!("CARGO_PKG_VERSION");
    let made = root.join(FOLDER);
    let machine = {
        let bundle = made.join(format!("flowship-{version}-bundle.tar.gz"));
        Machine::of(&bundle, &format!("flowship-{version}"), &["python3"]).with_system()
    };
    let linked = Command::new("ldd").arg(&machine.program).output().unwrap();
    assert!(
        text(&linked).contains("statically linked") || text(&linked).contains("not a dynamic"),
        "{}",
        text(&linked)
    );
    let doctor = machine.run(&["doctor"]);
    assert!(doctor.status.success(), "{}", text(&doctor));
    let smoke = machine.run(&["smoke", "--private"]);
    assert!(smoke.status.success(), "{}", text(&smoke));

    let public = key.public.to_str().unwrap();
    let verify = machine.run(&["release", "verify", made.to_str().unwrap(), "--public-key", public]);
    assert!(verify.status.success(), "{}", text(&verify));
    let again = xtask(&["release", "verify", "--public-key", public, "--rebuild"]);
    assert!(again.status.success(), "{}", text(&again));
    assert!(text(&again).contains("✓ rebuild: the same bytes"), "{}", text(&again));
}
