//! What can lie in the place of a generated file or of its folder, and places that cannot be written.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use super::fixture::{MODEL, PORTS, SETTINGS, Tree, WORKFLOW, headlines, stderr, stdout, xtask};
use crate::namespaces::{Apart, shell};

/// Every way to call it.
const WAYS: [&[&str]; 4] = [&["--check"], &["--diff"], &[], &["--only", "reference"]];

fn take_away(tree: &Tree, name: &str) {
    let path = tree.path(name);
    if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
}

#[test]
fn no_link_is_followed_neither_to_read_nor_to_write() {
    let outside = tempfile::tempdir().unwrap();
    let copy = Tree { folder: tempfile::tempdir_in(outside.path()).unwrap() };
    assert_eq!(copy.generate(&[]).status.code(), Some(0));
    let before = copy.files();
    for link in [PORTS, "docs/reference", "docs"] {
        for to in [copy.path(link), Path::new("/nowhere/at/all").to_owned()] {
            let tree = Tree::new();
            take_away(&tree, link);
            symlink(&to, tree.path(link)).unwrap();
            let own = tree.files();
            for way in WAYS {
                let output = tree.generate(way);
                assert_eq!(output.status.code(), Some(2), "{link} {way:?}: {}", stdout(&output));
                let expected = format!(
                    "error: {} is a symbolic link to {}; links are not followed here: remove the link",
                    tree.path(link).display(),
                    to.display()
                );
                assert!(stderr(&output).starts_with(&expected), "{}", stderr(&output));
                assert_eq!(stdout(&output), "", "nothing is said to have happened");
            }
            assert_eq!(tree.files(), own);
            assert_eq!(copy.files(), before);
        }
    }
    // Within the tree it is no better: the file is then not what the platform says for its own place.
    let tree = Tree::new();
    fs::rename(tree.path(PORTS), tree.path("docs/reference/elsewhere.md")).unwrap();
    symlink("elsewhere.md", tree.path(PORTS)).unwrap();
    assert_eq!(tree.generate(&["--check"]).status.code(), Some(2));
}

#[test]
fn whatever_lies_in_the_place_of_a_file_is_named_at_once() {
    type Plant = fn(&Path);
    let plants: [(&str, Plant); 6] = [
        ("is a FIFO; expected a regular file", |path| {
            assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
        }),
        ("is a socket; expected a regular file", |path| {
            // A longer name than the system takes for sockets.
            let near = tempfile::tempdir().unwrap();
            UnixListener::bind(near.path().join("s")).unwrap();
            fs::rename(near.path().join("s"), path).unwrap();
        }),
        ("is a folder; expected a regular file", |path| fs::create_dir(path).unwrap()),
        ("is a symbolic link to /dev/zero", |path| symlink("/dev/zero", path).unwrap()),
        ("is a symbolic link to ports.md", |path| symlink("ports.md", path).unwrap()),
        ("is too large; the limit is 16 MiB", |path| {
            fs::File::create(path).unwrap().set_len(1 << 40).unwrap();
        }),
    ];
    for (expected, plant) in plants {
        let tree = Tree::new();
        tree.write(SETTINGS, "edited\n");
        for name in [PORTS, "ops/generated.sha256"] {
            take_away(&tree, name);
            plant(&tree.path(name));
        }
        for way in WAYS {
            let output = tree.generate(way);
            assert_eq!(output.status.code(), Some(2), "{expected}: {}", stderr(&output));
            for name in [PORTS, "ops/generated.sha256"] {
                let expected = format!("{} {expected}", tree.path(name).display());
                assert!(stderr(&output).contains(&expected), "{expected}\nin\n{}", stderr(&output));
            }
            assert_eq!(stdout(&output), "");
            assert_eq!(tree.text(SETTINGS), "edited\n");
        }
    }
    let tree = Tree::new();
    take_away(&tree, "docs/reference");
    tree.write("docs/reference", "a file in the place of a folder\n");
    let output = tree.generate(&[]);
    assert_eq!(output.status.code(), Some(2));
    let expected = format!("{} is not a folder; expected a folder", tree.path("docs/reference").display());
    assert!(stderr(&output).contains(&expected), "{}", stderr(&output));
}

/// A program that git tracks or the ledger lists is looked at without waiting for it, too.
#[test]
fn what_replaced_a_file_that_nobody_generates_any_more_is_let_alone() {
    let tree = Tree::new();
    for name in ["ops/one.yml", "ops/two.yml", "ops/three/x.yml"] {
        tree.generated_before(name, "a: 1\n");
        take_away(&tree, name);
    }
    assert!(Command::new("mkfifo").arg(tree.path("ops/one.yml")).status().unwrap().success());
    symlink("/etc/hostname", tree.path("ops/two.yml")).unwrap();
    fs::remove_dir(tree.path("ops/three")).unwrap();
    tree.write("ops/three", "mine\n");
    assert_eq!(headlines(&tree.generate(&[])), ["updated ops/generated.sha256"]);
    assert_eq!(tree.text("ops/three"), "mine\n");
    assert!(fs::symlink_metadata(tree.path("ops/two.yml")).unwrap().is_symlink());
    assert!(tree.path("ops/one.yml").exists());
    assert_eq!(tree.generate(&["--check"]).status.code(), Some(0));
}

#[test]
fn a_folder_that_cannot_be_written_is_named_and_nothing_has_changed_or_is_said_to_have() {
    let tree = Tree::new();
    tree.write(SETTINGS, "edited\n");
    tree.write(WORKFLOW, "edited\n");
    fs::remove_file(tree.path(MODEL)).unwrap();
    fs::remove_file(tree.path(PORTS)).unwrap();
    fs::remove_dir_all(tree.path("ops/secrets")).unwrap();
    let before = tree.files();
    let folder = tree.path("docs/reference");
    let command = xtask(tree.folder.path(), &[]);
    // For everybody but root a mode is enough.
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o555)).unwrap();
    let script =
        format!("mount --bind {0} {0} && mount -o remount,bind,ro {0} && exec \"$@\"", folder.display());
    let output = shell(Apart::Mounts, &script, &command);
    let plain = (!running_as_root()).then(|| tree.generate(&[]));
    let outputs: Vec<_> = output.into_iter().chain(plain).collect();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    for output in outputs {
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        for name in [MODEL, PORTS] {
            let expected = format!("{}: ", tree.path(name).display());
            assert!(stderr(&output).contains(&expected), "{expected}\nin\n{}", stderr(&output));
        }
        assert!(stderr(&output).ends_with("\nnothing has changed\n"), "{}", stderr(&output));
        assert!(!stderr(&output).contains("files changed"), "{}", stderr(&output));
        assert_eq!(stdout(&output), "");
        assert_eq!(tree.files(), before, "neither a half file nor a half generation");
        assert!(!tree.path("ops/secrets").exists(), "no folder is left either");
    }
}

fn running_as_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata("/proc/self").unwrap().uid() == 0
}

#[test]
fn when_one_file_cannot_be_replaced_only_what_has_changed_is_listed() {
    let tree = Tree::new();
    let wanted = tree.text(PORTS);
    tree.write(SETTINGS, "edited\n");
    tree.generated_before(PORTS, "an older table\n");
    tree.generated_before("docs/reference/gone.json", "{}\n");
    let ports = tree.path(PORTS);
    // What is mounted on cannot be renamed over.
    let script = format!("mount --bind {0} {0} && exec \"$@\"", ports.display());
    let Some(output) = shell(Apart::Mounts, &script, &xtask(tree.folder.path(), &[])) else { return };
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert_eq!(
        headlines(&output),
        [
            "hand-edited flows/settings.js",
            "removed docs/reference/gone.json",
            "overwrote hand edits in flows/settings.js",
        ]
    );
    let expected = format!("2 generated files changed\nerror: {}: ", ports.display());
    assert!(stderr(&output).starts_with(&expected), "{}", stderr(&output));
    assert_eq!(tree.text(PORTS), "an older table\n");
    // Nobody has edited it, and the next run mends it.
    assert!(headlines(&tree.generate(&["--check"])).contains(&format!("stale {PORTS}")));
    assert_eq!(tree.generate(&[]).status.code(), Some(0));
    assert_eq!(tree.text(PORTS), wanted);
    assert_eq!(tree.generate(&["--check"]).status.code(), Some(0));
}

/// A diff of two large files that have nothing in common would take minutes.
#[test]
fn a_large_hand_edit_is_shown_in_time() {
    let tree = Tree::new();
    let lines: String =
        (0..600_000_u32).map(|number| format!("{}\n", number.wrapping_mul(2_654_435_761))).collect();
    tree.write(MODEL, &lines);
    let output = tree.generate(&["--check"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).starts_with(&format!("hand-edited {MODEL}\n--- a/{MODEL}\n")));
}
