//! Kills, a full disk, and two at once.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::fixture::{Key, Repository, files, noise, text};
use super::made::Made;
use crate::namespaces::{Apart, shell};

/// In the order of the plan.
const STEPS: [&str; 8] = ["clear", "operator", "sboms", "bundle", "evidence", "statements", "sign", "place"];

/// What a release is when it is whole, without what differs between two signatures.
fn whole(repository: &Repository) -> Vec<(String, Vec<u8>)> {
    let mut files = files(&repository.made());
    files.retain(|(name, _)| name != "SHA256SUMS.minisig");
    files
}

#[test]
fn a_kill_at_any_step_leaves_the_old_release_or_the_new_one_and_a_rerun_makes_it() {
    let operator = noise(20_000_000);
    let key = Key::new();
    // What its password makes of it takes a while: time for a kill.
    let slow = Key::of(minisign::KeyPair::generate_encrypted_keypair(Some("x".to_owned())).unwrap());
    let password = slow.secret.with_extension("password");
    fs::write(&password, "x").unwrap();
    fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).unwrap();
    let reference = Repository::with_operator(&operator).packaged(&key);
    let new = whole(&reference);
    // An older release is in the way.
    let older = Repository::new().packaged(&key);
    let old = whole(&older);
    let mut died_early = 0;
    for step in STEPS {
        let repository = reference.cloned("r");
        fs::create_dir_all(repository.made()).unwrap();
        for (name, bytes) in files(&older.made()) {
            fs::write(repository.made().join(name), bytes).unwrap();
        }
        let package_with = |key: &Key| repository.package(&["--key", key.secret.to_str().unwrap()]);
        let signed =
            || Made::of(&repository).verify(&repository, &["--public-key", key.public.to_str().unwrap()]);

        let mut child = match step {
            "sign" => quietly(package_with(&slow).arg("--password-file").arg(&password)),
            _ => quietly(&mut package_with(&key)),
        };
        begun(&repository, step, &mut child);
        let killed = dies(child);
        let found = whole(&repository);
        assert!(found == old || found == new, "killed at {step}: a half release");
        assert!(step != "sign" || (killed && found == old), "no kill came in the middle of signing");
        assert!(signed().status.success(), "killed at {step}: {}", text(&signed()));
        died_early += usize::from(killed && found == old);

        let again = package_with(&key).output().unwrap();
        assert!(again.status.success(), "after a kill at {step}: {}", text(&again));
        assert!(whole(&repository) == new, "after a kill at {step}: other bytes");
        assert!(signed().status.success(), "after a kill at {step}: {}", text(&signed()));
        let left: Vec<_> = fs::read_dir(repository.path("target/release-workshop")).unwrap().collect();
        assert!(left.is_empty(), "after a kill at {step}: {left:?}");
    }
    assert!(died_early >= 4, "only {died_early} kills came before the end: they prove little");
}

fn quietly(command: &mut Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Waits until a step has begun, or all has ended: its log is there as soon as it begins.
fn begun(repository: &Repository, step: &str, child: &mut Child) {
    let log = repository.path(".flowship/release-package/log").join(format!("{step}.log"));
    while !log.exists() && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
}

/// Whether the kill came before its end.
fn dies(mut child: Child) -> bool {
    child.kill().unwrap();
    child.wait().unwrap().signal() == Some(9)
}

/// Makes `target/` a disk of its own with room for `$PAGES` pages, packages, makes room and packages again; keeps what
/// stands there each time.
const ON_A_FULL_DISK: &str = r#"
    mount -t tmpfs -o size=1m none target || exit 9
    head -c $(((256 - PAGES) * 4096)) /dev/zero > target/others || exit 9
    "$@"; echo "$?" > "$KEPT/code"
    find target -mindepth 1 > "$KEPT/full"
    rm target/others
    "$@" || exit 8
    cp -r target/release-artifacts target/release-workshop "$KEPT"
"#;

#[test]
fn a_full_disk_is_a_failure_wherever_it_comes_and_with_more_room_a_rerun_makes_the_release() {
    let reference = Repository::with_operator(&noise(30_000));
    assert!(reference.package(&["--unsigned"]).output().unwrap().status.success());
    let new = whole(&reference);
    let pages: usize = new.iter().map(|(_, bytes)| bytes.len().div_ceil(4096)).sum();
    let mut full_at = BTreeSet::new();
    for room in 1..=pages {
        let repository = reference.cloned("r");
        let kept = repository.folder.path().join("kept");
        for folder in [&kept, &repository.path("target")] {
            fs::create_dir(folder).unwrap();
        }
        let mut package = repository.package(&["--unsigned"]);
        package.env("PAGES", room.to_string()).env("KEPT", &kept);
        let Some(output) = shell(Apart::Mounts, ON_A_FULL_DISK, &package) else {
            return eprintln!(
                "this machine allows no mount of one's own: a full disk is played by a limit alone"
            );
        };
        let told = text(&output);
        assert!(output.status.success(), "{room} pages: {told}");
        if fs::read_to_string(kept.join("code")).unwrap() == "0\n" {
            assert_eq!(room, pages, "it fits into less than it is");
        } else {
            assert_eq!(fs::read_to_string(kept.join("code")).unwrap(), "1\n", "{room} pages: {told}");
            let line = told.lines().find(|line| line.contains("No space left on device"));
            let line = line.unwrap_or_else(|| panic!("{room} pages: {told}"));
            let file = new.iter().map(|(name, _)| name).find(|name| line.contains(&format!("/{name}: ")));
            full_at.insert(file.unwrap_or_else(|| panic!("{room} pages: no file is named: {told}")).clone());
            let full = fs::read_to_string(kept.join("full")).unwrap();
            assert!(!full.contains("release-artifacts"), "{room} pages: a half release: {full}");
        }
        assert!(files(&kept.join("release-artifacts")) == new, "{room} pages: other bytes");
        assert!(files(&kept.join("release-workshop")).is_empty(), "{room} pages: something is left");
    }
    assert!(full_at.len() >= 3, "it was full at {full_at:?} alone");
}

#[test]
fn a_limit_on_the_size_of_files_is_a_failure_and_leaves_no_half_release() {
    let repository = Repository::with_operator(&noise(3_000_000));
    let package = repository.package(&["--unsigned"]);
    // It says no as a full disk does, on every machine. 512-byte units.
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; ulimit -f 2000; exec \"$@\"", "sh"]).arg(package.get_program());
    command.args(package.get_args()).current_dir(&repository.root);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(
        text(&output).contains("cannot write") && text(&output).contains("bundle.tar.gz"),
        "{}",
        text(&output)
    );
    assert!(!repository.made().exists());
    let half = |name: &str| name.ends_with(".tar.gz");
    let workshop = walkdir::WalkDir::new(repository.path("target"));
    assert!(!workshop.into_iter().any(|entry| half(entry.unwrap().file_name().to_str().unwrap())));
    let again = repository.package(&["--unsigned"]).output().unwrap();
    assert!(again.status.success(), "{}", text(&again));
    assert!(repository.made().join("SHA256SUMS").exists());
}

#[test]
fn two_at_once_are_one_after_the_other_or_one_is_refused_with_the_name_of_the_other() {
    let repository = Repository::with_operator(&noise(20_000_000));
    let mut first = quietly(&mut repository.package(&["--unsigned"]));
    let lock = repository.path(".flowship/release-package/lock");
    let give_up = Instant::now() + Duration::from_secs(60);
    while fs::read_to_string(&lock).unwrap_or_default().is_empty() {
        assert!(
            Instant::now() < give_up && first.try_wait().unwrap().is_none(),
            "the first never took its lock"
        );
        std::thread::yield_now();
    }
    // Held there, or a busy machine might let it end before the second begins.
    let pid = rustix::process::Pid::from_raw(first.id() as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    let second = repository.package(&["--unsigned"]).output().unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::CONT).unwrap();
    assert!(first.wait().unwrap().success());
    assert_eq!(second.status.code(), Some(1), "{}", text(&second));
    let pid = format!("process {}", first.id());
    assert!(text(&second).contains("is held by") && text(&second).contains(&pid), "{}", text(&second));
}

#[test]
fn an_interrupt_ends_it_and_a_rerun_with_another_commit_takes_nothing_over() {
    let key = Key::new();
    let repository = Repository::with_operator(&noise(20_000_000));
    let mut child = quietly(&mut repository.package(&["--unsigned"]));
    begun(&repository, "bundle", &mut child);
    let pid = rustix::process::Pid::from_raw(child.id() as i32).unwrap();
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    child.wait().unwrap();
    repository.write("docs/guide.md", "# Another\n");
    repository.commit("Change");
    let repository = repository.packaged(&key);
    let again = repository.cloned("again").packaged(&key);
    assert!(whole(&repository) == whole(&again));
}
