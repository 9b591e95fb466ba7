//! Kills, a full disk, and two at once.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::fixture::{Key, Repository, files, noise, text};

/// In the order of the plan.
const STEPS: [&str; 7] = ["clear", "operator", "sboms", "bundle", "evidence", "statements", "place"];

/// What a release is when it is whole, without what differs between two signatures.
fn whole(repository: &Repository) -> Vec<(String, Vec<u8>)> {
    let mut files = files(&repository.made());
    files.retain(|(name, _)| name != "SHA256SUMS.minisig");
    files
}

#[test]
fn a_kill_at_any_step_leaves_the_old_release_or_the_new_one_and_a_rerun_makes_it() {
    let operator = noise(20_000_000);
    let reference = Repository::with_operator(&operator);
    assert!(reference.package(&["--unsigned"]).output().unwrap().status.success());
    let new = whole(&reference);
    let mut died_early = 0;
    for step in STEPS {
        let repository = reference.cloned("r");
        // An older release is in the way.
        let older = Repository::new();
        fs::create_dir_all(repository.path("target")).unwrap();
        assert!(older.package(&["--unsigned"]).output().unwrap().status.success());
        fs::rename(older.made(), repository.made()).unwrap();
        let old = whole(&repository);

        let mut child =
            repository.package(&["--unsigned"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // The log of a step is there as soon as it has begun.
        let log = repository.path(".flowship/release-package/log").join(format!("{step}.log"));
        while !log.exists() && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        let killed = child.wait().unwrap().signal() == Some(9);
        let found = whole(&repository);
        assert!(found == old || found == new, "killed at {step}: a half release");
        died_early += usize::from(killed && found == old);

        let again = repository.package(&["--unsigned"]).output().unwrap();
        assert!(again.status.success(), "after a kill at {step}: {}", text(&again));
        assert!(whole(&repository) == new, "after a kill at {step}: other bytes");
        let left: Vec<_> = fs::read_dir(repository.path("target/release-workshop")).unwrap().collect();
        assert!(left.is_empty(), "after a kill at {step}: {left:?}");
    }
    assert!(died_early >= 4, "only {died_early} kills came before the end: they prove little");
}

#[test]
fn a_full_disk_is_a_failure_and_leaves_no_half_release() {
    let repository = Repository::with_operator(&noise(3_000_000));
    let package = repository.package(&["--unsigned"]);
    // A limit on the size of files says no as a full disk does, and needs no root. 512-byte units.
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
    let mut first =
        repository.package(&["--unsigned"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
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
    let mut child =
        repository.package(&["--unsigned"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let log = repository.path(".flowship/release-package/log/bundle.log");
    while !log.exists() && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    let pid = rustix::process::Pid::from_raw(child.id() as i32).unwrap();
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    child.wait().unwrap();
    repository.write("docs/guide.md", "# Another\n");
    repository.commit("Change");
    let repository = repository.packaged(&key);
    let again = repository.cloned("again").packaged(&key);
    assert!(whole(&repository) == whole(&again));
}
