//! Gates that are killed, that write without end, whose program is missing; runs that are killed.

use std::fs;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};

use super::fixture::{LIB, Tree, judged, read, until};

fn test_of(body: &str) -> String {
    format!("//! A fixture.\n\n#[test]\nfn planted() {{\n    {body}\n}}\n")
}

/// The processes whose parent is this one.
fn children_of(parent: u32) -> Vec<i32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let parent_of = |pid: &i32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse::<u32>().ok()
    };
    pids.filter(|pid| parent_of(pid) == Some(parent)).collect()
}

#[test]
fn a_gate_whose_program_is_killed_has_failed_and_is_named() {
    let tree = Tree::new();
    tree.write(LIB, &test_of("std::thread::sleep(std::time::Duration::from_secs(600));"));
    let run = tree.ci(&["tests", "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // cargo is the gate's program; once it runs the test, nothing more is to come.
    let log = tree.path(".flowship/ci/log/tests.log");
    until("the test runs", || {
        let text = fs::read_to_string(&log).ok()?;
        text.contains("running 1 test").then_some(())
    });
    let gate = children_of(run.id());
    assert_eq!(gate.len(), 1, "the gate's program and no other");
    kill_process(Pid::from_raw(gate[0]).unwrap(), Signal::KILL).unwrap();
    let judged = read(&run.wait_with_output().unwrap());
    assert_eq!(judged.code, Some(1));
    assert!(judged.error("tests").ends_with("cargo: killed by SIGKILL"), "{}", judged.error("tests"));
    assert!(judged.shown.contains("✗ tests"), "{}", judged.shown);
    assert!(!tree.path(".flowship/evidence/gate/tests.json").exists());
}

#[test]
fn a_gate_that_prints_without_end_fills_no_memory_and_its_last_lines_are_shown() {
    let tree = Tree::new();
    tree.write(
        LIB,
        &test_of(
            "use std::io::Write as _;\n    let mut out = std::io::stderr().lock();\n    let line = [b'x'; 999];\n    \
             for _ in 0..100_000 {\n        out.write_all(&line).unwrap();\n        out.write_all(b\"\\n\").unwrap();\n    \
             }\n    panic!(\"the last words\");",
        ),
    );
    let mut run =
        tree.ci(&["tests", "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let status = format!("/proc/{}/status", run.id());
    let mut peak_kib = 0_u64;
    until("it ends", || {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
        peak_kib = peak.and_then(|kib| kib.trim().parse().ok()).unwrap_or(0).max(peak_kib);
        run.try_wait().unwrap()
    });
    let judged = read(&run.wait_with_output().unwrap());
    assert_eq!(judged.results(), [("tests", "failed")]);
    assert!(judged.shown.contains("test result: FAILED"), "the end of the log is shown");
    assert!(judged.shown.len() < 64 * 1024, "and not all of it: {} bytes", judged.shown.len());
    let log = fs::metadata(judged.rows["tests"]["log"].as_str().unwrap()).unwrap().len();
    assert!(log > 99_000_000, "the log holds it: {log} bytes");
    assert!((1..60_000).contains(&peak_kib), "{peak_kib} KiB of memory");
}

#[test]
fn a_missing_program_is_named_with_what_to_do_and_the_others_are_judged_when_told_to() {
    let tree = Tree::new();
    let without_cargo = |arguments: &[&str]| {
        let bin = tree.path("target/bin");
        fs::create_dir_all(&bin).unwrap();
        for name in ["git", "sh", "python3"] {
            let real = which::which(name).unwrap();
            let _ = std::os::unix::fs::symlink(real, bin.join(name));
        }
        let mut command = tree.ci(arguments);
        command.env("PATH", &bin);
        command
    };
    let all = judged(without_cargo(&["format", "workflows"]));
    assert_eq!(all.results(), [("format", "failed"), ("workflows", "passed")], "{}", all.shown);
    for part in ["cargo is not on PATH", "rustup"] {
        assert!(all.error("format").contains(part), "{}", all.error("format"));
    }
    let stopped = read(&without_cargo(&["format", "workflows", "--json", "--fresh"]).output().unwrap());
    assert_eq!(stopped.code, Some(1));
    assert_eq!(stopped.results(), [("format", "failed"), ("workflows", "not-run")]);
}
