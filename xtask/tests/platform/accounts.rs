//! For root in a folder that others cannot enter every test here runs anyway; this is the normal user.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::checkout::{Ended, copy_tree};
use crate::processes::running_in;

/// An account that owns nothing else here.
const NOBODY: u32 = 65_534;

/// The checkout, the program and the home of a normal user. Dropping it takes the platform down.
struct Account {
    folder: TempDir,
}

impl Account {
    fn new() -> Self {
        let folder =
            tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir().unwrap();
        copy_tree(&folder.path().join("checkout"));
        fs::copy(env!("CARGO_BIN_EXE_xtask"), folder.path().join("xtask")).unwrap();
        share_tools(&folder.path().join("cache"));
        fs::create_dir(folder.path().join("home")).unwrap();
        for part in ["checkout", "home"] {
            for entry in walkdir::WalkDir::new(folder.path().join(part)) {
                chown(entry.unwrap().path(), Some(NOBODY), Some(NOBODY)).unwrap();
            }
        }
        Self { folder }
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        let mut command = Command::new("setpriv");
        command
            .args([format!("--reuid={NOBODY}"), format!("--regid={NOBODY}"), "--clear-groups".to_owned()])
            .arg(self.folder.path().join("xtask"))
            .args(arguments)
            .current_dir(self.folder.path().join("checkout"))
            .env("HOME", self.folder.path().join("home"))
            .env("FLOWSHIP_CACHE", self.folder.path().join("cache"));
        Ended::of(&command.output().unwrap())
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let down = self.run(&["down"]);
        if !std::thread::panicking() {
            assert_eq!(down.code, Some(0), "{down:#?}");
        }
    }
}

/// What root has installed, as links that others may read: nothing is fetched twice.
fn share_tools(place: &Path) {
    let tree = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let installed = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["--root", tree, "doctor", "--install", "node", "postgres", "dbmate", "modules"])
        .output()
        .unwrap();
    assert!(installed.status.success(), "{:#?}", Ended::of(&installed));
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let cache = variable("FLOWSHIP_CACHE")
        .or_else(|| Some(variable("XDG_CACHE_HOME")?.join("flowship")))
        .or_else(|| Some(variable("HOME")?.join(".cache/flowship")))
        .unwrap();
    fs::create_dir(place).unwrap();
    for shelf in ["tools", "npm"] {
        let copy =
            |how: &str| Command::new("cp").arg(how).arg(cache.join(shelf)).arg(place).status().unwrap();
        // Links cannot lead to another file system.
        if !copy("-al").success() {
            assert!(copy("-a").success());
        }
        chown(place.join(shelf), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    chown(place, Some(NOBODY), Some(NOBODY)).unwrap();
}

#[test]
fn a_normal_user_needs_nothing_of_root() {
    if !rustix::process::geteuid().is_root() {
        return; // Then every other test is this one.
    }
    let account = Account::new();
    let up = account.run(&["dev", "--detach"]);
    assert_eq!(up.code, Some(0), "{up:#?}");
    let smoke = account.run(&["smoke"]);
    assert_eq!(smoke.code, Some(0), "{smoke:#?}");
    assert!(smoke.out.contains(" checks passed"), "{smoke:#?}");
    let down = account.run(&["down"]);
    assert_eq!(down.code, Some(0), "{down:#?}");
    assert_eq!(running_in(account.folder.path()), [""; 0]);
}
