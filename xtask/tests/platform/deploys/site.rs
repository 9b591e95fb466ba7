//! A repository that is released, and a machine's folder that its releases are deployed to.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use minisign::KeyPair;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::checkout::copy_tree;
use crate::control::Control;
use crate::ended::Ended;
use crate::processes::{Pid, running_in};
use crate::until;
use crate::web::{self, Provider};

const KEY: &str = "the-key";
/// The same for every deploy here: most of what is tested ends before it.
const WATCH: &str = "1";

/// Dropping it ends what it has deployed, also when a test fails.
pub struct Site {
    folder: TempDir,
    pub model: Provider,
    /// What the caller of every command has besides.
    pub variables: Vec<(&'static str, String)>,
}

/// How a client of an environment reaches it.
pub struct Edge {
    pub url: String,
    pub certificate: String,
    pub key: String,
}

impl Site {
    pub fn new() -> Self {
        // The database runs as another user, and its program lies in a release.
        let folder = tempfile::Builder::new()
            .prefix("flowship-deploys-")
            .permissions(fs::Permissions::from_mode(0o755))
            .tempdir()
            .unwrap();
        let site = Self { folder, model: Provider::serve(KEY), variables: Vec::new() };
        fs::write(site.path("provider-key"), KEY).unwrap();
        let stripped = Command::new("strip")
            .arg("-o")
            .args([&site.path("operator"), Path::new(env!("CARGO_BIN_EXE_xtask"))])
            .status()
            .unwrap();
        assert!(stripped.success());
        copy_tree(&site.repository());
        for (path, text) in [
            (".gitignore", "/target/\n/.flowship/\nnode_modules\n"),
            ("README.md", "# A site\n"),
            (
                "Cargo.lock",
                "version = 4\n\n[[package]]\nname = \"xtask\"\nversion = \"1.0.0\"\n\n[[package]]\nname = \"anyhow\"\nversion = \
                 \"1.0.0\"\nsource = \"registry+x\"\nchecksum = \"00ff\"\n",
            ),
        ] {
            site.write(path, text);
        }
        site.environment("qa", "staging");
        site.git(&["init", "--quiet", "--initial-branch", "main"]);
        site
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn repository(&self) -> PathBuf {
        self.path("repository")
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.repository().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.repository().join(path)).unwrap()
    }

    pub fn environment(&self, name: &str, tier: &str) {
        self.write(
            &format!("ops/environments/{name}.toml"),
            &format!(
                "tier = \"{tier}\"\nengine = \"process\"\ndomain = \"flows.example.com\"\n\n[llm]\nbase_url = \
                 \"http://127.0.0.1:{}/v1\"\nmodel = \"the-real-one\"\napi_key_file = \"{}\"\nprompt_price = \
                 0.5\ncompletion_price = 2\n",
                self.model.port,
                self.path("provider-key").display()
            ),
        );
    }

    fn git(&self, arguments: &[&str]) {
        let output = Command::new("git")
            .args(["-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "core.autocrlf=false"])
            .args(arguments)
            .current_dir(self.repository())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .unwrap();
        assert!(output.status.success(), "git {arguments:?}: {output:#?}");
    }

    /// Releases what the repository has; the folder with the release's files.
    #[track_caller]
    pub fn package(&self, name: &str, version: &str) -> PathBuf {
        self.write(
            "Cargo.toml",
            &format!("[workspace]\nmembers = []\n\n[workspace.package]\nversion = \"{version}\"\n"),
        );
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", name]);
        let operator = self.path("operator");
        let made = self.path(name);
        self.done(&[
            "release",
            "package",
            "--images",
            "none",
            "--unsigned",
            "--operator-binary",
            operator.to_str().unwrap(),
        ]);
        fs::rename(self.repository().join("target/release-artifacts"), &made).unwrap();
        made
    }

    /// The address of the model, without its path.
    pub fn model_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.model.port)
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command
            .arg("--root")
            .arg(self.repository())
            .args(arguments)
            .current_dir(self.repository())
            .stdin(Stdio::null())
            .envs(self.variables.iter().cloned())
            .env("FLOWSHIP_STATE", self.state())
            .env_remove("FLOWSHIP_PUBLIC_KEY")
            .env_remove("GITHUB_ACTIONS");
        command
    }

    /// Another program of ours, outside of any tree.
    pub fn program(&self, program: &Path, arguments: &[&str]) -> Ended {
        let mut command = Command::new(program);
        command.args(arguments).current_dir("/").stdin(Stdio::null()).env("FLOWSHIP_STATE", self.state());
        Ended::of(&command.output().unwrap())
    }

    pub fn run(&self, arguments: &[&str]) -> Ended {
        Ended::of(&self.command(arguments).output().unwrap())
    }

    #[track_caller]
    pub fn done(&self, arguments: &[&str]) -> Ended {
        self.ends(0, arguments)
    }

    #[track_caller]
    pub fn ends(&self, code: i32, arguments: &[&str]) -> Ended {
        let ended = self.run(arguments);
        assert_eq!(ended.code, Some(code), "{arguments:?}: {ended:#?}");
        ended
    }

    /// The words that deploy the release in this folder.
    pub fn deploy<'a>(&self, to: &'a str, files: &'a Path) -> [&'a str; 7] {
        ["deploy", to, "--unsigned", "--watch", WATCH, "--bundle", files.to_str().unwrap()]
    }

    /// In the background.
    pub fn begin(&self, arguments: &[&str]) -> Begun {
        self.begun(self.command(arguments))
    }

    pub fn begun(&self, mut command: Command) -> Begun {
        let log = self.path("begun.log");
        let file = fs::File::create(&log).unwrap();
        let child = command.stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
        Begun { child, log }
    }

    pub fn state(&self) -> PathBuf {
        self.path("state")
    }

    pub fn of(&self, environment: &str) -> PathBuf {
        self.state().join(environment)
    }

    pub fn status(&self, environment: &str) -> Value {
        self.run(&["status", environment, "--json"]).json()
    }

    /// A service as `status` shows it.
    pub fn service(&self, environment: &str, name: &str) -> Value {
        let status = self.status(environment);
        let services = status["services"].as_array().unwrap();
        services.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("{status:#}")).clone()
    }

    pub fn pid(&self, environment: &str, name: &str) -> Pid {
        Pid(self.service(environment, name)["pid"].as_i64().unwrap().try_into().unwrap())
    }

    /// The release that an environment runs.
    pub fn release(&self, environment: &str) -> String {
        self.status(environment)["release"].as_str().unwrap().to_owned()
    }

    pub fn history(&self, environment: &str) -> Vec<Value> {
        self.done(&["history", environment, "--json"]).json().as_array().unwrap().clone()
    }

    /// Process and start time of each service, and the release that it runs.
    pub fn processes(&self, environment: &str) -> BTreeMap<String, (Value, Value, Value)> {
        let status = self.status(environment);
        let services = status["services"].as_array().unwrap().iter();
        let of = |one: &Value| (one["pid"].clone(), one["started_ms"].clone(), one["release"].clone());
        services.map(|one| (one["name"].as_str().unwrap().to_owned(), of(one))).collect()
    }

    /// The replicas and their releases.
    pub fn replicas(&self, environment: &str) -> BTreeMap<String, Value> {
        let all = self.processes(environment).into_iter();
        all.filter(|(name, _)| name.starts_with("node-red"))
            .map(|(name, (_, _, release))| (name, release))
            .collect()
    }

    /// The process that rolls out.
    pub fn deployer(&self, environment: &str) -> Option<Pid> {
        let folder = self.of(environment).join("supervisor");
        if !folder.join("ctl.sock").exists() {
            return None;
        }
        let answer = Control::of(&folder).ask(&json!({ "ask": "status" }));
        let services = answer["status"]["services"].as_array().unwrap().clone();
        let found = services.iter().find(|one| one["name"] == "deploy")?;
        Some(Pid(found["pid"].as_i64()?.try_into().unwrap()))
    }

    /// The status of a request through the edge.
    pub fn through_edge(&self, environment: &str, with_key: bool) -> Option<u16> {
        let edge = self.edge(environment);
        let url = format!("{}/api/v1/queues", edge.url);
        let client = web::trusting(&edge.certificate);
        Some(web::ask_with(&client, "GET", &url, with_key.then_some(edge.key.as_str()), None)?.status)
    }

    pub fn edge(&self, environment: &str) -> Edge {
        let edge = self.service(environment, "edge");
        let secret =
            |name: &str| fs::read_to_string(self.of(environment).join("secrets").join(name)).unwrap();
        Edge {
            url: format!("https://127.0.0.1:{}", edge["ports"]["https"]),
            certificate: secret("edge-tls-pem"),
            key: secret("api-key").trim().to_owned(),
        }
    }

    /// Ends everything that runs in an environment, as a shutdown of the machine does.
    pub fn stop(&self, environment: &str) {
        let supervisor = Control::of(&self.of(environment).join("supervisor")).pid();
        supervisor.signal(Signal::TERM);
        until("the supervisor ends", || (!supervisor.runs()).then_some(()));
    }

    /// The files of a new key, the secret one first.
    pub fn key(&self, name: &str) -> [String; 2] {
        let pair = KeyPair::generate_unencrypted_keypair().unwrap();
        let [secret, public] = ["key", "pub"].map(|kind| self.path(&format!("{name}.{kind}")));
        fs::write(&secret, pair.sk.to_box(None).unwrap().to_string()).unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&public, pair.pk.to_box().unwrap().to_string()).unwrap();
        [secret, public].map(|path| path.to_str().unwrap().to_owned())
    }

    /// Everything below the state but what running services write by themselves.
    pub fn files(&self) -> BTreeMap<PathBuf, (u64, i64, u32)> {
        let own = |entry: &walkdir::DirEntry| {
            entry.depth() != 2 || !["data", "services"].contains(&entry.file_name().to_str().unwrap())
        };
        walkdir::WalkDir::new(self.state())
            .into_iter()
            .filter_entry(own)
            .flatten()
            .map(|entry| {
                let facts = entry.metadata().unwrap();
                let changed = facts.mtime() * 1_000_000_000 + facts.mtime_nsec();
                (entry.into_path(), (facts.len(), changed, facts.mode()))
            })
            .collect()
    }

    /// The schema of the database, as text; `path` is where its programs are.
    pub fn schema(&self, environment: &str, path: &str) -> String {
        let database = self.service(environment, "postgres");
        let password = self.of(environment).join("secrets/postgres-superuser-password");
        let output = Command::new("pg_dump")
            .env("PATH", path)
            .env("PGPASSWORD", fs::read_to_string(password).unwrap().trim())
            .args(["--schema-only", "-h", "127.0.0.1", "-U", "postgres", "-d", "flowship"])
            .args(["-p", &database["ports"]["sql"].to_string()])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:#?}");
        // Newer versions begin and end it with a random word.
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().filter(|line| !line.starts_with('\\')).collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        for environment in ["qa", "qb"] {
            let folder = self.of(environment).join("supervisor");
            if std::thread::panicking() {
                let shown = [["status", environment], ["history", environment], ["logs", environment]];
                shown.iter().for_each(|command| eprintln!("{}", self.run(command).out));
            }
            if std::os::unix::net::UnixStream::connect(folder.join("ctl.sock")).is_ok() {
                self.stop(environment);
            }
        }
        if !std::thread::panicking() {
            let left = running_in(self.folder.path());
            assert!(left.is_empty(), "{left:#?}");
        }
    }
}

/// A command that runs.
pub struct Begun {
    child: Child,
    log: PathBuf,
}

impl Begun {
    pub fn pid(&self) -> Pid {
        Pid::of(&self.child)
    }

    #[track_caller]
    pub fn await_line(&self, part: &str) {
        until(&format!("{part:?} is printed"), || self.printed().contains(part).then_some(()));
    }

    pub fn printed(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    #[track_caller]
    pub fn ends(self, code: i32) -> String {
        let (ended, printed) = self.outcome();
        assert_eq!(ended, Some(code), "{printed}");
        printed
    }

    /// Its exit code, and what it printed.
    pub fn outcome(mut self) -> (Option<i32>, String) {
        let status = self.child.wait().unwrap();
        (status.code(), self.printed())
    }

    /// As when its connection is lost.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}
