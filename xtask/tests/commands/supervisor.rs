//! `xtask supervise` as the commands start it: detached from them, spoken to through its socket. What it does with its
//! services is tested beside its code; here is what only the real program can show.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn await_that(what: &str, mut holds: impl FnMut() -> bool) {
    let give_up = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < give_up, "{what}: did not come true");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn start(state: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["--root", "/", "supervise", "--state"])
        .arg(state)
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Says one line and gives the answer.
fn ask(state: &Path, line: &str) -> serde_json::Value {
    let stream = UnixStream::connect(state.join("ctl.sock")).unwrap();
    writeln!(&stream, "{line}").unwrap();
    let mut answer = String::new();
    BufReader::new(&stream).read_line(&mut answer).unwrap();
    serde_json::from_str(&answer).unwrap()
}

fn spec(folder: &Path, script: &str) -> String {
    let log = folder.join("a.log");
    format!(
        r#"{{"ask":"start","spec":{{"name":"a","argv":["sh","-c",{script:?}],"cwd":{folder:?},"log":{{"path":{log:?},"max_bytes":1000}}}}}}"#
    )
}

fn session(pid: u32) -> String {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(')').unwrap().1.split_whitespace().nth(3).unwrap().to_owned()
}

fn alive(pid: &serde_json::Value) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn it_has_a_session_of_its_own_and_ends_with_all_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let mut supervisor = Ended(start(&state));
    await_that("it listens", || UnixStream::connect(state.join("ctl.sock")).is_ok());
    let pid = supervisor.0.id();
    assert_eq!(ask(&state, r#"{"ask":"ping"}"#)["pong"]["pid"], pid);
    assert_eq!(session(pid), pid.to_string());
    let started = ask(&state, &spec(folder.path(), "exec sleep 1000"));
    let child = started["service"]["pid"].clone();
    assert!(alive(&child), "{started}");

    let second = start(&state).wait_with_output().unwrap();
    let said = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(said.contains(&format!("process {pid}, `xtask supervise`")), "{said}");

    assert_eq!(ask(&state, r#"{"ask":"shutdown"}"#), "done");
    assert_eq!(supervisor.0.wait().unwrap().code(), Some(0));
    assert!(!alive(&child));
}

#[test]
fn the_next_one_ends_what_a_killed_one_left() {
    let folder = tempfile::tempdir().unwrap();
    let state: PathBuf = folder.path().join("state");
    let mut first = Ended(start(&state));
    await_that("it listens", || UnixStream::connect(state.join("ctl.sock")).is_ok());
    let child = ask(&state, &spec(folder.path(), "exec sleep 1000"))["service"]["pid"].clone();
    first.0.kill().unwrap();
    first.0.wait().unwrap();
    assert!(alive(&child));
    let mut second = Ended(start(&state));
    await_that("it listens", || UnixStream::connect(state.join("ctl.sock")).is_ok());
    assert!(!alive(&child));
    assert_eq!(ask(&state, r#"{"ask":"shutdown"}"#), "done");
    let mut said = String::new();
    std::io::Read::read_to_string(second.0.stderr.as_mut().unwrap(), &mut said).unwrap();
    assert!(said.contains(&format!("stopped the processes that it left: a (process {child})")), "{said}");
}

#[test]
fn it_is_hidden_but_explained() {
    let help = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_xtask")).args(arguments).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(!help(&["--help"]).contains("supervise"));
    assert!(help(&["supervise", "--help"]).contains("--state <DIR>"));
}
