//! Development in containers and the rehearsal of production, through the binary, with a real engine: each test works
//! in a checkout of its own. Those that need an engine are for the gate `engine`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// Longer than anything here takes on a machine that does something else besides.
const PATIENCE: Duration = Duration::from_secs(90);
const PRODUCTION: &str = "ops/docker/prod/compose.prod.yaml";

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// What git lists of the tree, with what was made of images here. Dropping it takes everything down.
pub struct Checkout {
    folder: TempDir,
}

pub struct Ended {
    pub code: Option<i32>,
    pub out: String,
    pub errors: String,
}

impl Checkout {
    fn new() -> Self {
        let checkout = Self { folder: tempfile::tempdir().unwrap() };
        let listed = Command::new("git")
            .args(["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .args(["--", "flows", "ops", ".dockerignore"])
            .current_dir(repository())
            .output()
            .unwrap();
        for name in String::from_utf8(listed.stdout).unwrap().split_terminator('\0') {
            let from = repository().join(name);
            if from.is_file() {
                checkout.write(name, &fs::read(&from).unwrap());
                fs::set_permissions(checkout.path(name), fs::metadata(&from).unwrap().permissions()).unwrap();
            }
        }
        for lock in ["stand-ins.json", "built.json"] {
            let below = Path::new(".flowship/images").join(lock);
            if let Ok(text) = fs::read(repository().join(&below)) {
                checkout.write(below.to_str().unwrap(), &text);
            }
        }
        checkout
    }

    /// One in which production can be rehearsed.
    pub fn with_images() -> Self {
        let checkout = Self::new();
        let built = checkout.path(".flowship/images/built.json").is_file();
        assert!(built, "no image was built in this repository: run `cargo xtask image build`");
        checkout
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    pub fn read(&self, below: &str) -> String {
        fs::read_to_string(self.path(below)).unwrap_or_else(|error| panic!("{below}: {error}"))
    }

    /// As editors save: written beside, then renamed.
    pub fn write(&self, below: &str, contents: &[u8]) {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let beside = self.path(&format!("{below}.tmp"));
        fs::write(&beside, contents).unwrap();
        fs::rename(beside, path).unwrap();
    }

    pub fn change(&self, below: &str, from: &str, to: &str) {
        let text = self.read(below);
        assert!(text.contains(from), "{below} has no {from}");
        self.write(below, text.replacen(from, to, 1).as_bytes());
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.arg("--root").arg(self.folder.path()).args(arguments);
        command.stdin(Stdio::null()).env_remove("GITHUB_ACTIONS");
        command
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        let output = self.command(arguments).output().unwrap();
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        Ended { code: output.status.code(), out: text(&output.stdout), errors: text(&output.stderr) }
    }

    #[track_caller]
    fn ends(&self, arguments: &[&str], code: i32) -> Ended {
        let ended = self.run(arguments);
        assert_eq!(ended.code, Some(code), "{arguments:?}: {}\n{}", ended.out, ended.errors);
        ended
    }

    fn port(&self, key: &str) -> u16 {
        let record: Value = serde_json::from_str(&self.read(".flowship/dev/instance.json")).unwrap();
        record["ports"][key].as_u64().unwrap_or_else(|| panic!("no {key}: {record:#}")).try_into().unwrap()
    }

    fn get(&self, key: &str, path: &str) -> Option<(u16, String)> {
        get(&format!("http://127.0.0.1:{}{path}", self.port(key)))
    }

    /// Stops the first replica at a line of a file while it answers a request without a key, and looks at a value.
    #[track_caller]
    fn stopped_at(&self, file: &str, line: usize, expression: &str, path: &str) -> Value {
        until("the debugger answers", || self.get("inspect", "/json/list"));
        let programs: Value = serde_json::from_str(&self.ends(&["doctor", "--json"], 0).out).unwrap();
        let node = programs.as_array().unwrap().iter().find(|program| program["program"] == "node").unwrap();
        let output = Command::new(node["path"].as_str().unwrap())
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/engine/breakpoint.mjs"))
            .args([&self.port("inspect").to_string(), file, &line.to_string(), expression])
            .arg(format!("http://127.0.0.1:{}{path}", self.port("node-red-a.flows")))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Ids of this checkout's containers, those that have ended too.
    fn containers(&self, client: &Path) -> Vec<String> {
        let text = self.folder.path().display().to_string();
        let format = "{{.ID}} {{.Label \"com.docker.compose.project.working_dir\"}}";
        let all = docker(client, &["ps", "--all", "--no-trunc", "--format", format]);
        all.lines().filter(|line| line.contains(&text)).map(|line| line[..12].to_owned()).collect()
    }

    #[track_caller]
    fn logged(&self, service: &str, words: &str) {
        until(&format!("{service} says {words}"), || {
            self.run(&["logs", service, "-n", "400"]).out.contains(words).then_some(())
        });
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.run(&["logs", "-n", "12"]).out);
        }
        self.run(&["reset", "--yes"]);
        let env = fs::read_to_string(self.path("rendered/dev/compose.env")).unwrap_or_default();
        let images = env.lines().filter_map(|line| line.strip_prefix("FLOWSHIP_IMAGE_")?.split_once('='));
        for (_, image) in images.filter(|(_, image)| image.contains(":dev-")) {
            let _ = Command::new(engine()).args(["image", "rm", image]).output();
        }
    }
}

fn get(url: &str) -> Option<(u16, String)> {
    let agent = ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(3)))
        .http_status_as_error(false)
        .proxy(None)
        .build()
        .new_agent();
    let mut answer = agent.get(url).call().ok()?;
    let body = answer.body_mut().read_to_string().ok()?;
    Some((answer.status().as_u16(), body))
}

#[track_caller]
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let give_up = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < give_up, "waited {} s in vain: {what}", PATIENCE.as_secs());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The client of an engine that answers and can build, in this program's own words.
pub fn engine() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join("docker")).find(|client| {
        let answers = |words: &[&str]| {
            Command::new(client).args(words).output().is_ok_and(|output| output.status.success())
        };
        let said =
            Command::new(client).arg("--version").output().map(|output| output.stdout).unwrap_or_default();
        let old = [" 19.", " 20."].iter().any(|version| String::from_utf8_lossy(&said).contains(version));
        answers(&["version"]) && (old || answers(&["buildx", "version"]))
    });
    found.expect("a container engine that answers and can build")
}

pub fn docker(client: &Path, words: &[&str]) -> String {
    let output = Command::new(client).args(words).output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A program that is ended with the test.
struct Foreground(Child);

impl Drop for Foreground {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn everything_that_is_missing_is_reported_at_once() {
    let checkout = Checkout::new();
    let path = checkout.path("bin");
    fs::create_dir(&path).unwrap();
    let run = |arguments: &[&str]| {
        let output = checkout.command(arguments).env("PATH", &path).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = run(&["dev", "--engine", "compose", "--detach"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("no container engine") && said.contains("ops/scripts/start-engine.sh"), "{said}");
    // A client that answers, and can neither build nor compose.
    let script = "#!/bin/sh\ncase $1 in\n--version) echo 'Docker version 28.2.2, build x' ;;\ninfo) printf '28.2.2\\toverlay2\\n' ;;\n\
                  *) exit 1 ;;\nesac\n";
    fs::write(path.join("docker"), script).unwrap();
    fs::set_permissions(path.join("docker"), fs::Permissions::from_mode(0o755)).unwrap();
    let (code, said) = run(&["dev", "--engine", "compose", "--detach"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("cannot build with BuildKit") && said.contains("docker-buildx-plugin"), "{said}");
    let (code, said) = run(&["rehearse", "compose"]);
    assert_eq!(code, Some(2), "{said}");
    for words in ["openssl is not on PATH", "nsenter is not on PATH", "cannot build with BuildKit"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(!checkout.path(".flowship/dev").exists(), "nothing was begun");
}

#[test]
fn a_gate_that_cannot_run_says_why_and_fails_only_where_all_are_required() {
    let checkout = Checkout::new();
    let path = checkout.path("bin");
    fs::create_dir(&path).unwrap();
    for (arguments, code) in [(&["ci", "rehearsal"][..], 0), (&["ci", "rehearsal", "--require-all"][..], 1)] {
        let output = checkout.command(arguments).env("PATH", &path).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        assert!(
            String::from_utf8_lossy(&output.stdout).contains("not run: no container engine"),
            "{output:?}"
        );
    }
}

#[test]
#[ignore = "needs a container engine: `cargo xtask ci engine` runs it"]
fn a_production_file_that_breaks_its_promises_is_found_out() {
    let checkout = Checkout::with_images();
    // The edge joins a network of the database's, may write its root, and has all that engines give by default.
    checkout.change(PRODUCTION, "    read_only: true\n    cap_drop:\n      - ALL\n", "");
    checkout.change(
        PRODUCTION,
        "      edge--outside:\n        ipv4_address:",
        "      postgres--migrate:\n        ipv4_address: \"${FLOWSHIP_NETWORK_PREFIX:-10.203}.8.228\"\n      edge--outside:\n        ipv4_address:",
    );
    let broken = checkout.ends(&["rehearse", "compose", "--only", "hardening", "--only", "reachability"], 1);
    for words in [
        "edge: a read-only root is false; expected true",
        "edge: dropped capabilities is null",
        "edge: its networks is",
        "edge: the kernel reports CapBnd",
        "edge reaches postgres.sql, which no edge allows",
    ] {
        assert!(broken.errors.contains(words), "{words}: {}", broken.errors);
    }
}

#[test]
#[ignore = "needs a container engine: `cargo xtask ci engine` runs it"]
fn an_engine_that_others_use_is_not_restarted() {
    let checkout = Checkout::with_images();
    let docker = |arguments: &[&str]| Command::new("docker").args(arguments).output().unwrap();
    let image = "flowship/node-red:local";
    let name = format!("flowship-test-foreign-{}", std::process::id());
    // With a terminal, node waits for a line.
    let run = docker(&["run", "--detach", "--tty", "--rm", "--name", &name, "--entrypoint", "node", image]);
    let refused = checkout.run(&["rehearse", "compose", "--only", "engine-restart"]);
    let gate = checkout.run(&["ci", "engine-restart", "--require-all"]);
    docker(&["rm", "--force", &name]);
    assert!(run.status.success(), "{run:?}");
    assert_eq!(refused.code, Some(2), "{}", refused.errors);
    let words = format!("engine-restart cannot run: other containers run on the engine: {name}");
    assert!(refused.errors.contains(&words), "{}", refused.errors);
    assert_eq!(gate.code, Some(1), "{}", gate.out);
    assert!(gate.out.contains("not run: no engine that may be restarted"), "{}", gate.out);
}

#[test]
#[ignore = "needs a container engine: `cargo xtask ci engine` runs it"]
fn a_container_that_its_memory_is_too_small_for_is_named_with_its_limit() {
    let checkout = Checkout::with_images();
    for variable in ["mem_limit", "memswap_limit"] {
        checkout.change(
            PRODUCTION,
            &format!("{variable}: \"${{FLOWSHIP_MCP_TOOLS_MEMORY_MIB:-192}}m\""),
            &format!("{variable}: 16m"),
        );
    }
    let broken = checkout.ends(&["rehearse", "compose", "--only", "smoke"], 1);
    let words = "mcp-tools-1 was killed for its memory: its limit is 16777216 bytes";
    assert!(broken.errors.contains(words), "{}", broken.errors);
}

mod slow {
    use super::*;

    #[test]
    #[ignore = "slow, and needs a container engine: `cargo xtask ci slow-engine` runs it"]
    fn development_in_containers_is_development() {
        let client = engine();
        let checkout = Checkout::new();
        checkout.ends(&["dev", "--engine", "compose", "--detach"], 0);
        let smoke: Value = serde_json::from_str(&checkout.ends(&["smoke", "--json"], 0).out).unwrap();
        assert_eq!(smoke["checks"].as_array().unwrap().len(), 5, "{smoke:#}");
        let before = checkout.containers(&client);
        assert_eq!(before.len(), 5, "with the one that migrated");

        // Breakpoints: in a node, while a request is answered.
        let file = "flows/nodes/api-auth.js";
        let line =
            checkout.read(file).lines().position(|line| line.contains("const key = bearerOf(")).unwrap();
        let stopped = checkout.stopped_at("api-auth.js", line, "message.req.url", "/api/v1/queues");
        assert_eq!(
            (&stopped["line"], &stopped["seen"]),
            (&json!(line), &json!("/api/v1/queues")),
            "{stopped:#}"
        );
        assert_eq!(stopped["status"], 401, "it goes on: {stopped:#}");

        // A node: another answer for the same request, without any command.
        let problem = "flows/nodes/lib/problem.js";
        let node = if checkout.path(problem).is_file() { problem } else { "flows/nodes/api-auth.js" };
        let text = checkout.read(node);
        checkout.write(node, format!("console.log('the node is another one now');\n{text}").as_bytes());
        checkout.logged("node-red-a", "the node is another one now");
        until("it is ready again", || {
            checkout.get("node-red-a.ready", "/readyz").filter(|found| found.0 == 200)
        });

        // The flows: a route that was not there.
        assert_eq!(checkout.get("node-red-a.flows", "/api/v1/queues-renamed").unwrap().0, 404);
        checkout.change("flows/flows.json", "\"/api/v1/queues\"", "\"/api/v1/queues-renamed\"");
        until("the route is there", || {
            checkout.get("node-red-a.flows", "/api/v1/queues-renamed").filter(|found| found.0 == 401)
        });
        checkout.change("flows/flows.json", "\"/api/v1/queues-renamed\"", "\"/api/v1/queues\"");

        // A migration: it runs, in the container that migrated before.
        let sql = "-- migrate:up\nCREATE TABLE public.of_the_test (id int);\n-- migrate:down\nDROP TABLE public.of_the_test;\n";
        checkout.write("flows/migrations/20991231000000_of_the_test.sql", sql.as_bytes());
        checkout.logged("migrate", "Applied: 20991231000000_of_the_test.sql");

        // Again: images take up what has changed since, and then what runs stays as it is.
        checkout.ends(&["dev", "--detach"], 0);
        let before = checkout.containers(&client);
        checkout.ends(&["dev", "--detach"], 0);
        assert_eq!(checkout.containers(&client), before);
        checkout.ends(&["smoke"], 0);
        let refused = checkout.ends(&["dev", "--engine", "process", "--detach"], 2);
        assert!(refused.errors.contains("runs on the compose engine"), "{}", refused.errors);

        checkout.ends(&["down"], 0);
        assert_eq!(checkout.containers(&client), [""; 0]);
        checkout.ends(&["status"], 2);

        // In the foreground, until it is told to end; the data are still there.
        let log = fs::File::create(checkout.path("foreground.log")).unwrap();
        let mut dev = checkout.command(&["dev", "--engine", "compose"]);
        let mut dev = Foreground(dev.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap());
        until("it is up", || {
            let said = checkout.read("foreground.log");
            assert!(dev.0.try_wait().unwrap().is_none(), "{said}");
            said.contains("take effect when you save them").then_some(())
        });
        checkout.logged("migrate", "Applied: 20991231000000_of_the_test.sql");
        let pid = rustix::process::Pid::from_child(&dev.0);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        assert_eq!(dev.0.wait().unwrap().code(), Some(0), "{}", checkout.read("foreground.log"));
        assert_eq!(checkout.containers(&client), [""; 0]);
        let volumes = || docker(&client, &["volume", "ls", "--quiet"]);
        let project: Vec<String> = volumes().lines().map(str::to_owned).collect();
        checkout.ends(&["reset", "--yes"], 0);
        let left = volumes();
        let removed = project.iter().filter(|name| !left.contains(name.as_str())).count();
        assert!(removed >= 1, "reset removes the data too: {left}");
    }

    #[test]
    #[ignore = "slow, and needs a container engine: `cargo xtask ci slow-engine` runs it"]
    fn a_service_that_stays_dead_or_does_not_wait_is_found_out() {
        let checkout = Checkout::with_images();
        // The first replica is not started again, and asks nobody whether there is a database.
        let text = checkout.read(PRODUCTION);
        let (before, replica) = text.split_once("\n  node-red-a:\n").unwrap();
        let waits = "    depends_on:\n      migrate:\n        condition: service_completed_successfully\n";
        let broken = replica.replacen("restart: always", "restart: \"no\"", 1).replacen(waits, "", 1);
        assert_ne!(broken, replica);
        checkout.write(PRODUCTION, format!("{before}\n  node-red-a:\n{broken}").as_bytes());
        let broken = checkout.ends(&["rehearse", "compose", "--only", "oom", "--only", "late-dependency"], 1);
        for words in [
            "node-red-a-1 used up its memory of 512 MiB and is \"exited\"",
            "(OOMKilled: true): it was not restarted",
            "node-red-a started before postgres was healthy",
        ] {
            assert!(broken.errors.contains(words), "{words}: {}", broken.errors);
        }
    }

    #[test]
    #[ignore = "slow, and needs a container engine: `cargo xtask ci slow-engine` runs it"]
    fn production_that_stays_down_with_the_engine_is_found_out() {
        let checkout = Checkout::with_images();
        // What a clean stop of the engine leaves down: the edge ends with 0.
        let text = checkout.read(PRODUCTION);
        let (before, edge) = text.split_once("\n  edge:\n").unwrap();
        let broken = edge.replacen("restart: always", "restart: on-failure:5", 1);
        assert_ne!(broken, edge);
        checkout.write(PRODUCTION, format!("{before}\n  edge:\n{broken}").as_bytes());
        let broken = checkout.ends(&["rehearse", "compose", "--only", "engine-restart"], 1);
        let words = "after a clean stop of the engine production is not back: edge is exited (0)";
        assert!(broken.errors.contains(words), "{}", broken.errors);
    }
}
