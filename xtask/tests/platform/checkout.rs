//! A checkout of its own for one test: what git lists of the tree, below a folder that others cannot enter.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::control::Control;
pub use crate::ended::Ended;
use crate::processes::{Pid, running_in};
use crate::{tree, until, web};

/// Below a checkout that was brought up.
pub const OPS_TOKEN: &str = ".flowship/dev/secrets/ops-token";

/// Dropping it takes its platform down, also when a test fails, and then shows what the services said.
pub struct Checkout {
    folder: TempDir,
    name: &'static str,
    program: PathBuf,
}

impl Checkout {
    pub fn new() -> Self {
        Self::with(env!("CARGO_BIN_EXE_xtask").into())
    }

    /// Whose commands are those of another program.
    pub fn with(program: PathBuf) -> Self {
        // For root this is the checkout that others cannot reach.
        let private = fs::Permissions::from_mode(0o700);
        let folder = tempfile::Builder::new().permissions(private).tempdir().unwrap();
        let checkout = Self { folder, name: "checkout", program };
        copy_tree(&checkout.root());
        checkout
    }

    pub fn root(&self) -> PathBuf {
        self.folder.path().join(self.name)
    }

    pub fn move_to(&mut self, name: &'static str) {
        let before = self.root();
        self.name = name;
        fs::rename(before, self.root()).unwrap();
    }

    pub fn path(&self, relative: &str) -> PathBuf {
        self.root().join(relative)
    }

    pub fn read(&self, relative: &str) -> String {
        fs::read_to_string(self.path(relative)).unwrap_or_else(|error| panic!("{relative}: {error}"))
    }

    /// As editors save: written beside, then renamed.
    pub fn write(&self, relative: &str, text: &str) {
        let beside = self.path(&format!("{relative}.tmp"));
        fs::write(&beside, text).unwrap();
        fs::rename(beside, self.path(relative)).unwrap();
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg("--root")
            .arg(self.root())
            .args(arguments)
            .stdin(Stdio::null())
            .env_remove("GITHUB_ACTIONS");
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ended {
        Ended::of(&self.command(arguments).output().unwrap())
    }

    /// Runs a command that must succeed.
    #[track_caller]
    pub fn done(&self, arguments: &[&str]) -> Ended {
        let ended = self.run(arguments);
        assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:#?}");
        ended
    }

    #[track_caller]
    pub fn up(&self) -> Ended {
        self.done(&["dev", "--detach"])
    }

    /// The names of the smoke checks that fail.
    #[track_caller]
    pub fn failed_checks(&self) -> Vec<String> {
        let ended = self.run(&["smoke", "--json"]);
        let answer = ended.json();
        let checks = answer["checks"].as_array().unwrap_or_else(|| panic!("{ended:#?}"));
        let failed: Vec<_> = checks
            .iter()
            .filter(|check| check["status"] != "passed")
            .map(|check| check["name"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(ended.code, Some(i32::from(!failed.is_empty())), "{ended:#?}");
        failed
    }

    pub fn status(&self) -> Value {
        self.run(&["status", "--json"]).json()
    }

    #[track_caller]
    pub fn pid(&self, service: &str) -> Pid {
        let status = self.status();
        let found = status.as_array().into_iter().flatten().find(|one| one["name"] == service);
        let pid =
            found.and_then(|one| one["pid"].as_i64()).unwrap_or_else(|| panic!("{service}: {status:#}"));
        Pid(pid.try_into().unwrap())
    }

    pub fn pids(&self) -> Vec<(String, Option<i64>)> {
        let status = self.status();
        let pair = |one: &Value| (one["name"].as_str().unwrap().to_owned(), one["pid"].as_i64());
        status.as_array().into_iter().flatten().map(pair).collect()
    }

    #[track_caller]
    pub fn port(&self, service: &str, port: &str) -> u16 {
        let record: Value = serde_json::from_str(&self.read(".flowship/dev/instance.json")).unwrap();
        let number = record["ports"][format!("{service}.{port}")].as_u64();
        number.unwrap_or_else(|| panic!("no {service}.{port}: {record:#}")).try_into().unwrap()
    }

    #[track_caller]
    pub fn url(&self, service: &str, port: &str, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port(service, port))
    }

    /// A request to the API with the platform's own key.
    pub fn api(&self, method: &str, path: &str, body: Option<&str>) -> Option<web::Answer> {
        let key = self.read(".flowship/dev/secrets/api-key");
        web::ask(method, &self.url("node-red-a", "flows", &format!("/api/v1{path}")), Some(key.trim()), body)
    }

    /// Submits a task that must be accepted; its id.
    #[track_caller]
    pub fn submit(&self, text: &str) -> String {
        let body = format!("{{\"input\":{{\"text\":\"{text}\"}}}}");
        let answer = self.api("POST", "/workflows/describe-text/tasks", Some(&body)).unwrap();
        assert_eq!(answer.status, 202, "{answer:?}");
        answer.json()["task_id"].as_str().unwrap().to_owned()
    }

    /// The document of a task that has ended.
    #[track_caller]
    pub fn finished(&self, task: &str) -> Value {
        until(&format!("task {task} ends"), || {
            let answer =
                self.api("GET", &format!("/tasks/{task}"), None).filter(|answer| answer.status == 200)?;
            let document = answer.json();
            ["completed", "failed"].contains(&document["status"].as_str()?).then_some(document)
        })
    }

    /// Every process that works in this checkout or was started for it.
    pub fn processes(&self) -> Vec<String> {
        running_in(&self.root())
    }

    #[track_caller]
    pub fn nothing_runs(&self) {
        let left = self.processes();
        assert!(left.is_empty(), "{left:#?}");
    }

    /// The supervisor of this checkout's platform.
    pub fn control(&self) -> Control {
        Control::of(&self.path(".flowship/dev/supervisor"))
    }

    /// Asks the database as its superuser; rows of unaligned columns.
    #[track_caller]
    pub fn sql(&self, query: &str) -> Vec<String> {
        let plan = self.done(&["dev", "--dry-run", "--json"]).json();
        let migrate =
            plan["steps"].as_array().unwrap().iter().find(|step| step["id"] == "migrate.run").unwrap();
        let path = migrate["action"]["exec"]["env"]["PATH"].clone();
        let path = path.as_str().or_else(|| path["text"].as_str()).unwrap_or_else(|| panic!("{migrate:#}"));
        let output = Command::new("psql")
            .env("PATH", path)
            .env("PGPASSWORD", self.read(".flowship/dev/secrets/postgres-superuser-password").trim())
            .args(["-XAtq", "-h", "127.0.0.1", "-U", "postgres", "-d", "flowship"])
            .args(["-p", &self.port("postgres", "sql").to_string(), "-c", query])
            .output()
            .unwrap();
        let ended = Ended::of(&output);
        assert_eq!(ended.code, Some(0), "{ended:#?}");
        ended.out.lines().map(str::to_owned).collect()
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("status: {}", self.run(&["status"]).out);
            eprintln!("logs:\n{}", self.run(&["logs", "-n", "15"]).out);
        }
        let down = self.run(&["down"]);
        if !std::thread::panicking() {
            assert_eq!(down.code, Some(0), "{down:#?}");
            self.nothing_runs();
        }
    }
}

impl Ended {
    /// All parts must stand in what it printed for people.
    #[track_caller]
    pub fn says(&self, parts: &[&str]) {
        for part in parts {
            assert!(self.errors.contains(part), "no `{part}` in {self:#?}");
        }
    }
}

/// Copies what a platform needs of the tree.
pub fn copy_tree(to: &Path) {
    tree::copy(&["flows", "ops"], to);
}
