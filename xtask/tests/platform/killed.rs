//! `kill -9` of a run that has a platform of its own: the next command, whichever it is, ends and removes what is left,
//! and nothing else.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use serde_json::json;

use crate::background::Background;
use crate::checkout::{Checkout, Ended};
use crate::processes::{Pid, running_in};
use crate::until;

/// A private platform that comes up, with its temporary files where the test sees them.
fn private(checkout: &Checkout) -> Background {
    fs::create_dir_all(checkout.path("tmp")).unwrap();
    let mut command = checkout.command(&["smoke", "--private"]);
    command.env("TMPDIR", checkout.path("tmp"));
    Background::start(command)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Processes, data, secrets, records and temporary files.
#[track_caller]
fn nothing_is_left(checkout: &Checkout, ended: &Ended) {
    checkout.nothing_runs();
    assert_eq!(names(&checkout.path("tmp")), [""; 0], "{ended:#?}");
    let left = names(&checkout.path(".flowship"));
    let kept = ["audit.jsonl", "node-compile-cache"];
    assert!(left.iter().all(|name| kept.contains(&name.as_str())), "{left:?} {ended:#?}");
}

fn runs(checkout: &Checkout, what: &str) -> Option<()> {
    checkout.processes().iter().any(|process| process.contains(what)).then_some(())
}

#[test]
fn the_next_command_ends_and_removes_what_it_left() {
    type Moment = fn(&Checkout, &mut Background);
    let moments: [(&str, Moment, &[&str]); 5] = [
        (
            "it has hardly begun",
            |checkout, _| {
                until("registered", || (!names(&checkout.path(".flowship/runs")).is_empty()).then_some(()))
            },
            &["environment", "list"],
        ),
        (
            "the supervisor comes up",
            |checkout, _| until("supervisor", || runs(checkout, "supervise --state")),
            &["check", "flows"],
        ),
        (
            "PostgreSQL is initialised",
            |checkout, _| until("initdb", || runs(checkout, "initdb")),
            &["status"],
        ),
        (
            "PostgreSQL runs",
            |_, private| {
                private.await_line(0, &["postgres is healthy"]);
            },
            &["smoke", "--url", "http://127.0.0.1:1", "--token-file", "none"],
        ),
        (
            "it is asked",
            |_, private| {
                private.await_line(0, &["node-red-a is healthy"]);
            },
            &["reset", "--yes"],
        ),
    ];
    let checkout = Checkout::new();
    for (moment, reached, next) in moments {
        let mut killed = private(&checkout);
        reached(&checkout, &mut killed);
        killed.pid().signal(Signal::KILL);
        assert_eq!(killed.code(), None, "{moment}: {:#?}", killed.printed());
        let ended = checkout.run(next);
        ended.says(&["`cargo xtask", "smoke --private` (process ", "was killed; what it left is gone"]);
        nothing_is_left(&checkout, &ended);
    }
}

#[test]
fn it_and_its_supervisor_are_killed_and_the_checkout_is_moved() {
    let mut checkout = Checkout::new();
    let mut killed = private(&checkout);
    killed.await_line(0, &["postgres is healthy"]);
    let supervisor =
        checkout.processes().into_iter().find(|line| line.contains("supervise --state")).unwrap();
    killed.pid().signal(Signal::KILL);
    Pid(supervisor.split(' ').next().unwrap().parse().unwrap()).kill();
    assert_eq!(killed.code(), None);
    let before = checkout.root();
    assert!(running_in(&before).iter().any(|line| line.contains("postgres")), "{:#?}", running_in(&before));
    checkout.move_to("elsewhere");
    let ended = checkout.run(&["status"]);
    ended.says(&["what it left is gone"]);
    assert_eq!(running_in(&before), [""; 0]);
    // The record names its temporary folder where it was.
    fs::remove_dir_all(checkout.path("tmp")).unwrap();
    nothing_is_left(&checkout, &ended);
}

#[test]
fn a_run_that_goes_on_is_left_alone() {
    let checkout = Checkout::new();
    let mut going_on = private(&checkout);
    going_on.await_line(0, &["start llm"]);
    for command in [&["status"][..], &["reset", "--yes"]] {
        let ended = checkout.run(command);
        assert!(!ended.errors.contains("killed"), "{ended:#?}");
    }
    assert_eq!(going_on.code(), Some(0), "{:#?}", going_on.printed());
    nothing_is_left(&checkout, &checkout.run(&["status"]));
}

/// A record that lies about its process, or about its folder, ends and removes nothing of another's.
#[test]
fn a_stranger_is_never_ended_and_nothing_of_his_removed() {
    let checkout = Checkout::new();
    let mut stranger = Command::new("sleep").arg("600").spawn().unwrap();
    let stat = fs::read_to_string(format!("/proc/{}/stat", stranger.id())).unwrap();
    let ticks: u64 = stat.rsplit_once(") ").unwrap().1.split(' ').nth(19).unwrap().parse().unwrap();
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let precious = checkout.path("precious");
    let write = |ticks: u64, temporary: Option<PathBuf>| {
        let process = json!({ "pid": stranger.id(), "start_ticks": ticks, "boot": boot.trim() });
        let record =
            json!({ "process": process, "command": "smoke", "target": null, "temporary": temporary });
        fs::create_dir_all(checkout.path(".flowship/runs")).unwrap();
        fs::create_dir_all(&precious).unwrap();
        let name = format!(".flowship/runs/{}-{ticks}.json", stranger.id());
        fs::write(checkout.path(&name), record.to_string()).unwrap();
        checkout.path(&name)
    };
    // The id is used again: another process started earlier under it.
    let record = write(ticks - 1, None);
    checkout.run(&["status"]).says(&["(process ", "was killed; what it left is gone: 0 processes"]);
    assert!(!record.exists());

    let record = write(ticks - 1, Some(precious.clone()));
    let ended = checkout.run(&["reset", "--yes"]);
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    ended.says(&["warning: ", "not the temporary folder of process"]);
    assert!(record.exists() && precious.exists());
    fs::remove_file(&record).unwrap();

    let link = checkout.path(&format!("flowship-{}-{}", stranger.id(), ticks - 1));
    std::os::unix::fs::symlink(&precious, &link).unwrap();
    let record = write(ticks - 1, Some(link));
    checkout.run(&["status"]).says(&["expected a folder of this user"]);
    assert!(precious.exists());
    fs::remove_file(&record).unwrap();

    // This very process: it goes on.
    let record = write(ticks, Some(precious.clone()));
    let ended = checkout.run(&["status"]);
    assert!(record.exists() && !ended.errors.contains("warning"), "{ended:#?}");
    fs::remove_file(&record).unwrap();

    for (what, text) in [("no record", "{}"), ("cut off", "{\"process\":")] {
        fs::write(&record, text).unwrap();
        let ended = checkout.run(&["status"]);
        ended.says(&["warning: ", ".json: expected the record of a run"]);
        assert!(record.exists(), "{what}");
    }
    fs::remove_file(&record).unwrap();
    assert!(Command::new("mkfifo").arg(&record).status().unwrap().success());
    checkout.run(&["status"]).says(&["warning: ", "expected the record of a run"]);
    fs::remove_file(&record).unwrap();

    assert!(stranger.try_wait().unwrap().is_none());
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[test]
fn another_users_run_is_reported_and_left_alone() {
    if !rustix::process::geteuid().is_root() {
        return; // Nobody else's processes can be had.
    }
    const NOBODY: &str = "65534";
    let checkout = Checkout::new();
    let mut gone = Command::new("true").spawn().unwrap();
    gone.wait().unwrap();
    let process = json!({ "pid": gone.id(), "start_ticks": 1, "boot": "another" });
    let record = json!({ "process": process, "command": "smoke", "target": null, "temporary": null });
    fs::create_dir_all(checkout.path(".flowship/runs")).unwrap();
    let path = checkout.path(&format!(".flowship/runs/{}-1.json", gone.id()));
    fs::write(&path, record.to_string()).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().uid(), 0);
    for folder in [checkout.root(), checkout.root().parent().unwrap().to_owned()] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let program = checkout.path("xtask");
    fs::copy(env!("CARGO_BIN_EXE_xtask"), &program).unwrap();
    let output = Command::new("setpriv")
        .args([&format!("--reuid={NOBODY}"), &format!("--regid={NOBODY}"), "--clear-groups"])
        .arg(&program)
        .arg("--root")
        .arg(checkout.root())
        .arg("status")
        .output()
        .unwrap();
    Ended::of(&output)
        .says(&["of the user with the id 0 was killed", "run any command as that user, or as root"]);
    assert!(path.exists());
    checkout.run(&["status"]).says(&["what it left is gone"]);
    assert!(!path.exists());
}

/// What a killed rehearsal has is the engine's; here a program in the place of its client notes what it is asked.
#[test]
fn the_containers_and_secrets_of_a_killed_rehearsal_go() {
    let checkout = Checkout::new();
    let asked = checkout.path("asked");
    let client = format!(
        "#!/bin/sh\necho \"$*\" >>{asked}\ncase $1 in\n--version) echo 'Docker version 20.10.1, build x' ;;\n\
         info) printf '20.10.1\\toverlay2\\n' ;;\nbuildx) exit 1 ;;\ncompose) test \"$2\" = version || ! test -e {broken} ;;\nesac\n",
        asked = asked.display(),
        broken = checkout.path("broken").display()
    );
    fs::create_dir(checkout.path("bin")).unwrap();
    fs::write(checkout.path("bin/docker"), client).unwrap();
    fs::set_permissions(checkout.path("bin/docker"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", checkout.path("bin").display(), std::env::var("PATH").unwrap());
    let run =
        |arguments: &[&str]| Ended::of(&checkout.command(arguments).env("PATH", &path).output().unwrap());
    let mut gone = Command::new("true").spawn().unwrap();
    gone.wait().unwrap();
    let leave = |target: Option<&str>| {
        let process = json!({ "pid": gone.id(), "start_ticks": 1, "boot": "another" });
        let record =
            json!({ "process": process, "command": "rehearse", "target": target, "temporary": null });
        for folder in [".flowship/rehearsal/secrets", "rendered/rehearsal"] {
            fs::create_dir_all(checkout.path(folder)).unwrap();
        }
        let name = format!(".flowship/runs/{}-1.json", gone.id());
        if target.is_some() {
            fs::create_dir(checkout.path(".flowship/runs")).unwrap();
            fs::write(checkout.path(&name), record.to_string()).unwrap();
        }
    };
    let removed = || {
        let lines = fs::read_to_string(&asked).unwrap();
        let downs: Vec<_> = lines.lines().filter(|line| line.contains(" down ")).map(str::to_owned).collect();
        assert_eq!(downs.len(), 2, "{lines}");
        for (line, ending) in downs.iter().zip(["-but-one", ""]) {
            let words: Vec<_> = line.split(' ').collect();
            assert!(words[2].contains("-rehearsal-") && words[2].ends_with(ending), "{line}");
            assert_eq!(words[3..], ["down", "--remove-orphans", "--volumes"]);
        }
        for folder in [".flowship/rehearsal", ".flowship/runs", "rendered/rehearsal"] {
            assert!(!checkout.path(folder).exists(), "{folder}");
        }
        fs::remove_file(&asked).unwrap();
    };
    leave(Some("rehearsal"));
    fs::write(checkout.path("broken"), "").unwrap();
    let ended = run(&["reset", "--yes"]);
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    ended.says(&["`rehearse` (process ", "was killed, and what it left cannot be removed"]);
    assert!(checkout.path(".flowship/rehearsal/secrets").exists());
    fs::remove_file(checkout.path("broken")).unwrap();
    fs::remove_file(&asked).unwrap();
    run(&["environment", "list"]).says(&["`rehearse` (process ", "what it left is gone"]);
    removed();
    // One that was kept on purpose stays until somebody resets.
    leave(None);
    run(&["environment", "list"]);
    assert!(checkout.path(".flowship/rehearsal/secrets").exists());
    assert_eq!(run(&["reset", "--yes"]).code, Some(0));
    removed();
}

#[test]
fn reset_removes_the_logs_of_a_private_platform_that_failed() {
    let checkout = Checkout::new();
    let migration = names(&checkout.path("flows/migrations")).into_iter().next().unwrap();
    checkout.write(&format!("flows/migrations/{migration}"), "-- migrate:up\nnonsense;\n");
    let failed = checkout.run(&["smoke", "--private"]);
    assert_eq!(failed.code, Some(1), "{failed:#?}");
    failed.says(&["its logs are kept in", ".flowship/smoke-failed"]);
    checkout.nothing_runs();
    let mut kept = names(&checkout.path(".flowship/smoke-failed"));
    kept.sort();
    assert_eq!(kept, ["log", "services"], "no data, no secrets");
    checkout.done(&["reset", "--yes"]).says(&["removed", "smoke-failed"]);
    assert!(!checkout.path(".flowship/smoke-failed").exists());
}

#[test]
fn a_platform_ends_when_its_checkout_is_removed() {
    let checkout = Checkout::new();
    checkout.up();
    let root = checkout.root();
    assert!(!running_in(&root).is_empty());
    // What is written meanwhile may come back while the tree is removed.
    until("the checkout is gone", || {
        let _ = fs::remove_dir_all(&root);
        (!root.exists()).then_some(())
    });
    until("nothing runs", || running_in(&root).is_empty().then_some(()));
    // For the end of the test, which takes the platform down.
    fs::create_dir_all(checkout.path("ops/environments")).unwrap();
}
