//! Where no network is: a release is made, judged and built again, and the bytes are the same.

use std::process::{Command, Output};

use super::fixture::{Key, Repository, noise, text};
use super::made::Made;
use crate::namespaces::{Apart, shell};

/// Only runs the program when there is really no way out.
const OFFLINE: &str = r#"
    if grep -qv -e '|' -e '^ *lo:' /proc/net/dev; then echo "there is another interface than lo" >&2; exit 9; fi
    exec "$@"
"#;

/// Runs the command without a network, where this machine can do that.
fn offline(command: &Command) -> Option<Output> {
    let output = shell(Apart::Network, OFFLINE, command);
    if output.is_none() {
        eprintln!("this machine allows no network namespaces: nothing is tried without a network");
    }
    output
}

#[test]
fn a_release_is_made_judged_and_built_again_without_a_network() {
    let key = Key::new();
    let repository = Repository::with_operator(&noise(100_000)).packaged(&key);
    let elsewhere = repository.cloned("r");
    let Some(packaged) = offline(&elsewhere.package(&["--key", key.secret.to_str().unwrap()])) else {
        return;
    };
    assert!(packaged.status.success(), "{}", text(&packaged));
    let (with, without) = (Made::of(&repository), Made::of(&elsewhere));
    for file in ["manifest.json", "provenance.json", "SHA256SUMS"] {
        assert!(with.read(file) == without.read(file), "{file} differs");
    }
    let public = key.public.to_str().unwrap();
    let folder = without.folder.path().to_str().unwrap();
    let verify = ["release", "verify", folder, "--public-key", public];
    let verified = offline(&repository.xtask(&verify)).unwrap();
    assert!(verified.status.success(), "{}", text(&verified));
    let mut rebuild = repository.xtask(&verify);
    rebuild.arg("--rebuild").arg("--operator-binary").arg(repository.operator());
    let rebuilt = offline(&rebuild).unwrap();
    assert!(rebuilt.status.success(), "{}", text(&rebuilt));
    assert!(text(&rebuilt).contains("✓ rebuild: the same bytes"), "{}", text(&rebuilt));
}
