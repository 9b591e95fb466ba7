//! What is said of a deployed environment. Its state is written as a deploy leaves it, and a real supervisor runs what
//! stands in for its services.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

const SITE: &str = "tier = 'staging'\nengine = 'process'\ndomain = 'localhost'\n[llm]\n\
                    base_url = 'http://127.0.0.1:9/v1'\nmodel = 'm'\napi_key_file = '/key'\n";
const OLD: &str = "1.0.0-aaaaaaaaaaaa";
const NEW: &str = "1.1.0-bbbbbbbbbbbb";

struct Machine {
    root: tempfile::TempDir,
    state: PathBuf,
    supervisor: Option<Child>,
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(mut supervisor) = self.supervisor.take() {
            // It ends what it has started.
            rustix::process::kill_process(
                rustix::process::Pid::from_child(&supervisor),
                rustix::process::Signal::TERM,
            )
            .unwrap();
            supervisor.wait().unwrap();
        }
    }
}

impl Machine {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let state = root.path().join("state");
        fs::create_dir_all(root.path().join("ops/environments")).unwrap();
        fs::write(root.path().join("ops/environments/staging.toml"), SITE).unwrap();
        let machine = Self { root, state, supervisor: None };
        machine.write("environment.toml", SITE);
        machine
    }

    fn folder(&self) -> PathBuf {
        self.state.join("staging")
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.folder().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn history(&self, entries: &[(&str, &str, Option<&str>)]) {
        let line = |(to, result, why): &(&str, &str, Option<&str>)| {
            let mut entry = json!({
                "at": "2026-11-03T09:05:07Z", "who": "ada", "host": "laptop", "command": "flowship deploy staging",
                "change": "deploy", "to": to, "digest": "0".repeat(64), "result": result, "duration_ms": 1500,
            });
            if let Some(why) = why {
                entry["why"] = json!(why);
            }
            format!("{entry}\n")
        };
        self.write("history.jsonl", &entries.iter().map(line).collect::<String>());
    }

    fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.arg("--root").arg(self.root.path()).args(arguments).env("FLOWSHIP_STATE", &self.state);
        let Output { status, stdout, stderr } = command.output().unwrap();
        (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.run(&[arguments, &["--json"]].concat()).1).unwrap()
    }

    /// Starts a process for each service, from the folder of its release.
    fn supervise(&mut self, services: &[(&str, &str)]) {
        let state = self.folder().join("supervisor");
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.args(["--root", "/", "supervise", "--state"]).arg(&state);
        self.supervisor = Some(command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let socket = state.join("ctl.sock");
        await_that(|| std::os::unix::net::UnixStream::connect(&socket).is_ok());
        self.start(services);
    }

    fn start(&self, services: &[(&str, &str)]) {
        let socket = self.folder().join("supervisor/ctl.sock");
        for (name, release) in services {
            let tree = self.folder().join("releases").join(release).join("tree");
            fs::create_dir_all(&tree).unwrap();
            let log = self.folder().join("services").join(format!("{name}.log"));
            let spec = json!({
                "name": name, "argv": ["sh", "-c", format!("echo {name} started; exec sleep 1000")], "cwd": tree,
                "log": { "path": log, "max_bytes": 1000 },
            });
            ask(&socket, &json!({ "ask": "start", "spec": spec }));
        }
    }
}

/// The release as it is after its installation, with one file.
fn install(machine: &Machine, release: &str, text: &str) {
    let tree = std::collections::BTreeMap::from([("flows/a.js", sha256(text))]);
    machine.write(&format!("releases/{release}/tree/flows/a.js"), text);
    machine.write(&format!("releases/{release}/files/SHA256SUMS"), "");
    let record = json!({ "bundle": "0".repeat(64), "tree": tree });
    machine.write(&format!("releases/{release}/installed.json"), &record.to_string());
}

fn sha256(text: &str) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn ask(socket: &Path, request: &Value) {
    use std::io::{BufRead as _, BufReader, Write as _};
    let stream = std::os::unix::net::UnixStream::connect(socket).unwrap();
    writeln!(&stream, "{request}").unwrap();
    let mut answer = String::new();
    BufReader::new(&stream).read_line(&mut answer).unwrap();
    assert!(!answer.contains("error"), "{answer}");
}

fn await_that(mut holds: impl FnMut() -> bool) {
    let give_up = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < give_up);
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn status_says_what_runs_what_ran_before_and_why_a_deploy_failed() {
    let mut machine = Machine::new();
    machine.history(&[
        (OLD, "done", None),
        (NEW, "done", None),
        ("1.2.0-cccccccccccc", "rolled-back", Some("node-red-c passes its smoke: no answer")),
    ]);
    let (code, shown, error) = machine.run(&["status", "staging"]);
    assert_eq!(code, Some(2), "{shown}{error}");
    assert!(
        error.contains("no service of staging runs; start it with `cargo xtask start staging`"),
        "{error}"
    );
    assert!(shown.contains("rolled back, because: node-red-c passes its smoke: no answer"), "{shown}");

    machine.supervise(&[("node-red-a", NEW), ("node-red-b", NEW), ("postgres", OLD)]);
    let (code, shown, error) = machine.run(&["status", "staging"]);
    assert_eq!(code, Some(0), "{shown}{error}");
    let serving = shown.lines().find(|line| line.starts_with("node-red-a")).unwrap();
    assert!(serving.contains(NEW) && serving.contains("serving") && serving.contains("healthy"), "{serving}");
    let described = machine.json(&["status", "staging"]);
    assert_eq!(
        (&described["release"], &described["previous"], &described["deploy"]["state"]),
        (&json!(NEW), &json!(OLD), &json!("none"))
    );
    assert_eq!(described["services"].as_array().unwrap().len(), 3);

    let (code, logs, _) = machine.run(&["logs", "staging", "node-red-b"]);
    assert_eq!((code, logs.as_str()), (Some(0), "node-red-b started\n"));
    let (code, logs, _) = machine.run(&["logs", "staging"]);
    assert_eq!((code, logs.lines().count()), (Some(0), 3), "{logs}");
}

#[test]
fn an_interrupted_deploy_shows_by_two_releases_and_by_what_is_held() {
    let mut machine = Machine::new();
    machine.history(&[(OLD, "done", None)]);
    machine.write("held/node-red-c", NEW);
    machine.supervise(&[("node-red-a", OLD), ("node-red-b", OLD), ("node-red-c", NEW)]);
    let (code, shown, _) = machine.run(&["status", "staging"]);
    assert_eq!(code, Some(1), "{shown}");
    let line = shown.lines().find(|line| line.starts_with("INTERRUPTED")).unwrap();
    let expected = format!(
        "replicas run different releases: {OLD}, {NEW}; node-red-c is still held, but no deploy is running"
    );
    assert!(line.contains(&expected) && line.contains("deploy to staging again"), "{line}");
    assert_eq!(machine.json(&["status", "staging"])["deploy"]["state"], "interrupted");
}

#[test]
fn a_deploy_that_holds_no_lock_is_held_off_all_the_same() {
    let mut machine = Machine::new();
    machine.history(&[(OLD, "done", None), (NEW, "done", None)]);
    install(&machine, OLD, "1");
    install(&machine, NEW, "2");
    machine.supervise(&[("node-red-a", NEW)]);
    // As it is before its plan begins, and after it was killed.
    let socket = machine.folder().join("supervisor/ctl.sock");
    let spec = json!({
        "name": "deploy", "argv": ["sh", "-c", "exec sleep 1000", "--typed", "flowship deploy staging --bundle X"],
        "cwd": "/", "log": { "path": machine.folder().join("deploy.log"), "max_bytes": 1000 },
    });
    ask(&socket, &json!({ "ask": "start", "spec": spec }));
    // As the release's own program does it.
    let tree = machine.folder().join("releases").join(NEW).join("tree");
    let tree = tree.to_str().unwrap();
    for arguments in [
        &["down", "staging"][..],
        &["--root", tree, "start", "staging"],
        &["releases", "prune", "staging", "--keep", "1"],
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        if arguments[0] != "--root" {
            command.arg("--root").arg(machine.root.path());
        }
        let output = command.args(arguments).env("FLOWSHIP_STATE", &machine.state).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        let expected =
            "`flowship deploy staging --bundle X` is already deploying to staging; wait until it has ended";
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
    assert!(machine.folder().join("releases").join(OLD).exists());
    assert!(machine.run(&["status", "staging"]).1.contains("node-red-a"));
    ask(&socket, &json!({ "ask": "remove", "name": "deploy" }));
    let (code, shown, error) = machine.run(&["releases", "prune", "staging", "--keep", "1"]);
    assert_eq!((code, shown), (Some(0), format!("removed {OLD}\n")), "{error}");
}

#[test]
fn down_ends_what_a_killed_one_has_left() {
    let mut machine = Machine::new();
    machine.history(&[(NEW, "done", None)]);
    install(&machine, NEW, "1");
    let record = json!({ "environment": "staging", "engine": "process", "ports": {} });
    machine.write("instance.json", &record.to_string());
    machine.supervise(&[]);
    let (code, shown, error) = machine.run(&["down", "staging"]);
    assert!(code == Some(0) && shown.starts_with("staging is stopped"), "{shown}{error}");
    machine.supervisor.take().unwrap().wait().unwrap();
    assert_eq!(machine.run(&["down", "staging"]).1, "nothing of staging runs\n");
}

#[test]
fn a_record_that_cannot_be_read_is_no_record_of_some_engine() {
    let machine = Machine::new();
    machine.history(&[(NEW, "done", None)]);
    for record in
        ["{\"environment\": \"sta", "{\"environment\": \"staging\", \"engine\": \"other\", \"ports\": {}}"]
    {
        machine.write("instance.json", record);
        for arguments in [&["status", "staging"][..], &["down", "staging"], &["releases", "prune", "staging"]]
        {
            let (code, _, error) = machine.run(arguments);
            assert_eq!(code, Some(2), "{arguments:?}: {error}");
            let file = machine.folder().join("instance.json");
            assert!(error.contains(&format!("{}: ", file.display())), "{arguments:?}: {error}");
            assert!(
                error.contains("which engine") || error.contains("ENGINE is what runs it now"),
                "{error}"
            );
        }
    }
}

#[test]
fn a_lock_names_its_holder_and_is_released_only_after_a_dead_one() {
    let mut machine = Machine::new();
    machine.history(&[]);
    assert_eq!(machine.run(&["lock", "staging", "show"]), (Some(0), "staging: free\n".into(), String::new()));
    assert!(!machine.folder().join("lock").exists(), "looking changes nothing");

    // The supervisor's lock is one of a living process, as this program writes it.
    machine.supervise(&[]);
    let living = fs::read_to_string(machine.folder().join("supervisor/lock")).unwrap();
    machine.write("lock", &living);
    let pid = machine.supervisor.as_ref().unwrap().id();
    let (code, shown, _) = machine.run(&["lock", "staging", "show"]);
    assert_eq!(code, Some(0));
    assert!(shown.starts_with("staging: held\n") && shown.contains(&format!("process  {pid}\n")), "{shown}");
    assert_eq!(machine.json(&["lock", "staging", "show"])["holder"]["process"]["pid"], pid);
    let (code, _, error) = machine.run(&["lock", "staging", "release"]);
    assert_eq!(code, Some(1));
    assert!(error.contains(&format!("or end it with `kill {pid}`")), "{error}");
    assert_eq!(fs::read_to_string(machine.folder().join("lock")).unwrap(), living);

    let mut killed = machine.supervisor.take().unwrap();
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert_eq!(machine.json(&["lock", "staging", "show"])["state"], "dead");
    let mut holder: Value = serde_json::from_str(&living).unwrap();
    holder["command"] = "flowship down staging".into();
    machine.write("lock", &holder.to_string());
    let (_, shown, error) = machine.run(&["status", "staging"]);
    assert!(shown.contains("down staging` again"), "{shown}{error}");
    let (code, told, _) = machine.run(&["lock", "staging", "release"]);
    assert_eq!(code, Some(0));
    assert!(told.starts_with("staging: removed the lock of "), "{told}");
    assert_eq!(fs::read_to_string(machine.folder().join("lock")).unwrap(), "");
    assert_eq!(machine.run(&["lock", "staging", "release"]).1, "staging: not locked\n");
}

#[test]
fn drift_is_everything_that_is_not_as_it_was_deployed() {
    let mut machine = Machine::new();
    let drift = |machine: &Machine| {
        let (code, text, error) = machine.run(&["drift", "staging"]);
        let (mut lines, first) = (text.lines(), format!("staging differs from {NEW} as it was deployed:"));
        assert_eq!((code, lines.next()), (Some(1), Some(first.as_str())), "{text}{error}");
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    machine.history(&[]);
    assert_eq!(machine.run(&["drift", "staging"]).0, Some(2), "nothing was deployed");
    machine.history(&[(OLD, "done", None), (NEW, "done", None)]);
    install(&machine, OLD, "1");
    install(&machine, NEW, "2");

    // Whatever the platform consists of, it is all missing.
    machine.supervise(&[("node-red-a", NEW), ("node-red-b", NEW)]);
    let found = drift(&machine);
    let missing: Vec<&str> =
        found.iter().filter_map(|line| line.split_once(": not running")).map(|of| of.0).collect();
    assert_eq!(missing.len(), found.len(), "{found:#?}");
    machine.start(&missing.iter().map(|name| (*name, NEW)).collect::<Vec<_>>());
    let (code, text, error) = machine.run(&["drift", "staging"]);
    assert_eq!(
        (code, text),
        (Some(0), format!("no drift: staging runs {NEW} as it was deployed\n")),
        "{error}"
    );
    assert_eq!(machine.json(&["drift", "staging"])["drift"], json!([]));

    // Each kind of it.
    machine.start(&[("node-red-c", OLD), ("stranger", NEW)]);
    machine.write(&format!("releases/{NEW}/tree/flows/a.js"), "3");
    let site = machine.root.path().join("ops/environments/staging.toml");
    fs::write(&site, SITE.replace("model = 'm'", "model = 'other'")).unwrap();
    let found = drift(&machine);
    for (line, expected) in found.iter().zip([
        format!("release {NEW}: flows/a.js has changed"),
        "node-red: 3 replicas take requests; expected 2".to_owned(),
        "stranger: not part of the last deploy".to_owned(),
        format!("node-red-c: runs {OLD}; expected {NEW}"),
        "ops/environments/staging.toml: changed since the last deploy: llm".to_owned(),
    ]) {
        assert!(line.starts_with(&expected), "{expected}\n{found:#?}");
    }
    assert_eq!(found.len(), 5, "{found:#?}");
    fs::remove_file(&site).unwrap();
    fs::write(machine.root.path().join("ops/environments/dev.toml"), "").unwrap();
    assert_eq!(drift(&machine).len(), 4, "a tree without the environment has nothing to compare");
}
