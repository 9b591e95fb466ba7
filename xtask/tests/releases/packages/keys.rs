//! `release key` and `release sign`: what they make verifies, here and with minisign.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use super::fixture::{BUNDLE, Key, Repository, text};
use super::made::Made;

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
        assert!(text(&again).contains("release.key already exists"), "{}", text(&again));
        assert_eq!(fs::read(&secret).unwrap(), before);
    }
    fs::set_permissions(&password, fs::Permissions::from_mode(0o644)).unwrap();
    let mut command = repository.xtask(&["release", "key"]);
    let output = command.arg(place.join("new")).arg("--password-file").arg(&password).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(!place.join("new").exists());
}

#[test]
fn a_release_is_signed_on_another_machine_than_it_is_made() {
    let repository = Repository::new();
    let key = Key::new();
    // A key of the surroundings is not used where none is asked for.
    let unsigned =
        repository.package(&["--unsigned"]).env("FLOWSHIP_SIGNING_KEY", &key.secret).output().unwrap();
    assert!(unsigned.status.success(), "{}", text(&unsigned));
    let made = Made::of(&repository);
    made.refused(&repository, &key, "the release is not signed");
    let sign = |made: &Made, key: &Key| {
        let mut command = repository.xtask(&["release", "sign", "--key"]);
        command.arg(&key.secret).arg(made.folder.path()).output().unwrap()
    };
    let good = |made: &Made| {
        let output = made.verify(&repository, &["--public-key", key.public.to_str().unwrap()]);
        assert!(output.status.success(), "{}", text(&output));
    };
    let signed = sign(&made, &key);
    assert!(signed.status.success(), "{}", text(&signed));
    good(&made);
    let signature = made.read("SHA256SUMS.minisig");
    let again = sign(&made, &key);
    assert!(again.status.success() && text(&again).contains("already"), "{}", text(&again));
    assert_eq!(made.read("SHA256SUMS.minisig"), signature);
    // What another key has signed gets the signature of this one.
    let other = Key::new();
    made.sign(&other);
    assert!(sign(&made, &key).status.success());
    good(&made);
    // While a new key takes over, both are believed; then the old one is not any more.
    let both = format!("{},{}", key.public.display(), other.public.display());
    for signer in [&key, &other] {
        made.sign(signer);
        let output = made.verify(&repository, &["--public-key", &both]);
        assert!(output.status.success(), "{}", text(&output));
    }
    made.refused(&repository, &key, "it is not what the owner of a trusted key signed");
    made.sign(&Key::new());
    let output = made.verify(&repository, &["--public-key", &both]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));

    let made = Made::of(&repository);
    let mut bytes = made.read(BUNDLE);
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    made.write(BUNDLE, bytes);
    let output = sign(&made, &key);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("do not use it"), "{}", text(&output));
    assert!(!made.path("SHA256SUMS.minisig").exists());

    // Nor does a key of the surroundings hinder a look at what nobody signed.
    let made = Made::of(&repository);
    let mut verify = repository.xtask(&["release", "verify", "--unsigned"]);
    let output = verify.arg(made.folder.path()).env("FLOWSHIP_PUBLIC_KEY", &other.public).output().unwrap();
    assert!(output.status.success() && text(&output).contains("NOT CHECKED"), "{}", text(&output));
}
