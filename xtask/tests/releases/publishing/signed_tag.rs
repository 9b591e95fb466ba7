//! `release publish --sign-tag`, with git set up to sign and not.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::publish::is_public;
use super::workshop::{Ended, Workshop};

const PUBLISH: [&str; 4] = ["release", "publish", "--execute", "--sign-tag"];

/// An SSH key pair in a folder that is there; the secret one's file.
fn key(folder: &Path, name: &str) -> PathBuf {
    let file = folder.join(name);
    let mut keygen = Command::new("ssh-keygen");
    keygen.args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"]).arg(&file);
    assert!(keygen.status().expect("ssh-keygen cannot be run: install openssh-client").success());
    file
}

/// The key pairs of a test, and its checkout set up to sign with the first.
struct Keys {
    ours: PathBuf,
    others: PathBuf,
}

impl Keys {
    fn of(workshop: &Workshop) -> Self {
        let folder = workshop.root().with_file_name("tag-keys");
        fs::create_dir(&folder).unwrap();
        let keys = Self { ours: key(&folder, "ours"), others: key(&folder, "others") };
        workshop.git(&["config", "gpg.format", "ssh"]);
        workshop.git(&["config", "user.signingKey", keys.ours.to_str().unwrap()]);
        keys
    }
}

/// Whether git, in a fresh clone of the remote, finds the tag signed by the holder of `key`.
fn is_signed_by(workshop: &Workshop, key: &Path) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let remote = workshop.root().with_file_name("remote.git");
    let clone = folder.path().join("clone");
    workshop.git(&["clone", "--quiet", remote.to_str().unwrap(), clone.to_str().unwrap()]);
    let public = fs::read_to_string(key.with_extension("pub")).unwrap();
    let allowed = folder.path().join("allowed-signers");
    fs::write(&allowed, format!("a@example.org {public}")).unwrap();
    let allowed = format!("gpg.ssh.allowedSignersFile={}", allowed.display());
    let mut verify = Command::new("git");
    verify.args(["-c", &allowed, "verify-tag", "v0.1.0"]).current_dir(clone);
    verify.env("GIT_CONFIG_GLOBAL", "/dev/null").output().unwrap().status.success()
}

#[test]
fn a_tag_is_signed_as_git_is_set_up_to_and_whoever_clones_it_can_tell() {
    let workshop = Workshop::packaged();
    let keys = Keys::of(&workshop);
    workshop.done(&PUBLISH);
    is_public(&workshop);
    assert!(is_signed_by(&workshop, &keys.ours));
    assert!(!is_signed_by(&workshop, &keys.others));
    workshop.done(&PUBLISH).says(&["public: "]);
}

#[test]
fn without_the_option_no_tag_is_signed() {
    let workshop = Workshop::packaged();
    let keys = Keys::of(&workshop);
    workshop.done(&PUBLISH[..3]);
    is_public(&workshop);
    assert!(!is_signed_by(&workshop, &keys.ours));
}

#[test]
fn if_git_cannot_sign_that_is_reported_before_anything_is_done() {
    let workshop = Workshop::packaged();
    workshop.stand_in("git");
    // Whatever keys of GnuPG the user has.
    let home = workshop.root().with_file_name("gnupg");
    fs::create_dir(&home).unwrap();
    let refused = |part: &str| {
        let objects = workshop.git(&["count-objects"]);
        let output = workshop.command(&PUBLISH).env("GNUPGHOME", &home).output().unwrap();
        let ended = Ended::of(&output);
        assert_eq!(ended.code, Some(1), "{ended:#?}");
        ended.says(&[
            "--sign-tag: git cannot sign",
            part,
            "git config user.signingKey KEY",
            "nothing was done",
        ]);
        assert_eq!(workshop.git(&["tag"]), "");
        assert_eq!(workshop.git(&["count-objects"]), objects, "the trial leaves something");
        assert_eq!(workshop.state()["releases"], serde_json::json!([]));
    };
    refused("gpg failed to sign the data");
    let keys = Keys::of(&workshop);
    fs::remove_file(keys.ours).unwrap();
    refused("tag-keys/ours");
    assert!(!workshop.calls().iter().any(|call| ["git-tag", "git-push", "create"].contains(&call.as_str())));
}
