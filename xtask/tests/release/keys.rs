//! `release key`: what it makes signs and verifies, here and with minisign.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use crate::fixture::{Repository, text};
use crate::made::Made;

#[test]
fn new_keys_sign_and_verify_with_and_without_a_password() {
    let repository = Repository::new();
    let place = repository.folder.path();
    let password = place.join("password");
    fs::write(&password, "open sesame\n").unwrap();
    fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).unwrap();
    for (name, password) in [("bare", None), ("locked", Some(&password))] {
        let folder = place.join(name);
        let with = |command: &mut Command| {
            if let Some(password) = password {
                command.arg("--password-file").arg(password);
            }
            command.output().unwrap()
        };
        let made = with(repository.xtask(&["--json", "release", "key"]).arg(&folder));
        assert!(made.status.success(), "{}", text(&made));
        let told: serde_json::Value = serde_json::from_slice(&made.stdout).unwrap();
        let (secret, public) = (folder.join("release.key"), folder.join("release.pub"));
        assert_eq!(fs::metadata(&secret).unwrap().permissions().mode() & 0o777, 0o600);

        let package = with(repository.package(&["--key"]).arg(&secret));
        assert!(package.status.success(), "{}", text(&package));
        for key in [public.to_str().unwrap(), told["public_key"].as_str().unwrap()] {
            let output = Made::of(&repository).verify(&repository, &["--public-key", key]);
            assert!(output.status.success(), "{}", text(&output));
        }
        if which::which("minisign").is_ok() {
            let mut minisign = Command::new("minisign");
            minisign.args(["-V", "-m", "SHA256SUMS", "-p"]).arg(&public).current_dir(repository.made());
            let output = minisign.output().unwrap();
            assert!(output.status.success(), "{}", text(&output));
        }

        let before = fs::read(&secret).unwrap();
        let again = with(repository.xtask(&["release", "key"]).arg(&folder));
        assert_eq!(again.status.code(), Some(2), "{}", text(&again));
        assert!(text(&again).contains("release.key: is there already"), "{}", text(&again));
        assert_eq!(fs::read(&secret).unwrap(), before);
    }
    fs::set_permissions(&password, fs::Permissions::from_mode(0o644)).unwrap();
    let mut command = repository.xtask(&["release", "key"]);
    let output = command.arg(place.join("new")).arg("--password-file").arg(&password).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(!place.join("new").exists());
}
