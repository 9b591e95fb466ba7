//! Releases on Compose, through the binary and with a real engine: rolled out under load, refused, rolled back. For the gate
//! `engine`.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::compose::{Checkout, docker, engine, until};
use crate::free_ports;

const PROJECT: &str = "com.docker.compose.project";
/// The address of the host in the engine's own network. Docker 20.10 says it only from its second start on; before, it has the
/// first address.
const BRIDGE: &str = "{{range .IPAM.Config}}{{or .Gateway .Subnet}}{{end}}";

/// A repository whose images were built before, and a machine's folder that its releases are deployed to. Dropping it takes
/// everything down.
pub struct Site {
    pub checkout: Checkout,
    folder: TempDir,
    pub client: PathBuf,
    /// The address of this machine in the engine's network.
    pub host: String,
    model: String,
}

impl Site {
    pub fn new() -> Self {
        let (checkout, client) = (Checkout::with_images(), engine());
        let folder = tempfile::tempdir().unwrap();
        let host = docker(&client, &["network", "inspect", "bridge", "--format", BRIDGE]);
        let host = host.trim().replace(".0/16", ".1");
        let [port] = free_ports::free();
        let site = Self {
            host: host.clone(),
            model: format!("flowship-test-model-{port}"),
            checkout,
            folder,
            client,
        };
        fs::DirBuilder::new().mode(0o700).create(site.path("key")).unwrap();
        fs::write(site.path("key/model"), "the-key").unwrap();
        let (model, published) = (site.image("llm-stand-in"), format!("{host}:{port}:4200"));
        let key = format!("{}:/run/key:ro", site.path("key/model").display());
        let variables = ["HOST=0.0.0.0", "PORT=4200", "FLOWSHIP_ENVIRONMENT=qa", "FLOWSHIP_COMPONENT=llm"];
        let variables = variables.into_iter().chain(["LLM_API_KEY_FILE=/run/key"]);
        let variables: Vec<&str> = variables.flat_map(|one| ["--env", one]).collect();
        let run = ["run", "--detach", "--name", &site.model, "--publish", &published, "--volume", &key];
        docker(&site.client, &[&run[..], &variables, &[&model]].concat());

        let stripped = Command::new("strip")
            .arg("-o")
            .args([&site.path("operator"), Path::new(env!("CARGO_BIN_EXE_xtask"))])
            .status()
            .unwrap();
        assert!(stripped.success());
        let ours = "version = 4\n\n[[package]]\nname = \"xtask\"\nversion = \"1.0.0\"\n\n[[package]]\nname = \"anyhow\"\nversion = \
                    \"1.0.0\"\nsource = \"registry+x\"\nchecksum = \"00ff\"\n";
        let environment = format!(
            "tier = \"staging\"\nengine = \"compose\"\ndomain = \"flows.example.com\"\n\n[[hosts]]\nname = \"here\"\naddress = \
             \"localhost\"\n\n[sizes.node-red]\nreplicas = 1\n\n[llm]\nbase_url = \"http://{}:{port}/v1\"\nmodel = \
             \"stand-in\"\napi_key_file = \"{}\"\n",
            host,
            site.path("key/model").display()
        );
        for (path, text) in [
            (".gitignore", "/target/\n/.flowship/\n/archives/\nnode_modules\n/rendered/\n"),
            ("README.md", "# A site\n"),
            ("Cargo.lock", ours),
            ("ops/environments/qa.toml", &environment),
        ] {
            site.checkout.write(path, text.as_bytes());
        }
        // The official images of others cannot be had everywhere.
        let stand_ins = site.checkout.path(".flowship/images/stand-ins.json");
        if stand_ins.is_file() {
            fs::create_dir_all(site.path("state/images")).unwrap();
            fs::copy(stand_ins, site.path("state/images/stand-ins.json")).unwrap();
        }
        site.git(&["init", "--quiet", "--initial-branch", "main"]);
        let saved = site.checkout.path("archives").display().to_string();
        let targets = ["node-red", "mcp-tools", "migrate"].map(|target| ["--only", target]).concat();
        site.done(&[&["image", "save", "--output", &saved], &targets[..]].concat());
        site
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn secret(&self, name: &str) -> String {
        fs::read_to_string(self.path("state/qa/secrets").join(name)).unwrap()
    }

    /// The tag of an image that was built here.
    fn image(&self, target: &str) -> String {
        let built: Value = serde_json::from_str(&self.checkout.read(".flowship/images/built.json")).unwrap();
        let images = built["images"].as_array().unwrap();
        let found = images.iter().find(|image| image["target"] == target).unwrap();
        found["tag"].as_str().unwrap().to_owned()
    }

    fn git(&self, arguments: &[&str]) {
        let output = Command::new("git")
            .args(["-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "core.autocrlf=false"])
            .args(arguments)
            .current_dir(self.checkout.path("."))
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .unwrap();
        assert!(output.status.success(), "git {arguments:?}: {output:#?}");
    }

    /// Releases what the repository has with these migrations more, which its image has too.
    fn package_with(&self, version: &str, migrations: &[(&str, &str)]) -> PathBuf {
        self.add_to("migrate", "flows/migrations", version, migrations);
        self.package(version, "all")
    }

    /// Adds files to a folder of the repository, and to the image that has that folder.
    fn add_to(&self, target: &str, to: &str, version: &str, files: &[(&str, &str)]) {
        let (name, folder) = (format!("flowship-test-{target}-{version}"), self.path(target));
        for (path, text) in files {
            self.checkout.write(&format!("{to}/{path}"), text.as_bytes());
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let quietly = |words: &[&str]| drop(Command::new(&self.client).args(words).output());
        quietly(&["rm", "--force", &name]);
        let image = self.image(target);
        docker(&self.client, &["create", "--name", &name, &image]);
        let within = format!("{name}:/srv/flowship/{to}/");
        docker(&self.client, &["cp", &format!("{}/.", folder.display()), &within]);
        let tag = format!("flowship/{target}:test-{}-{version}", std::process::id());
        docker(&self.client, &["commit", &name, &tag]);
        quietly(&["rm", "--force", &name]);
        self.checkout.change(".flowship/images/built.json", &image, &tag);
        let saved = self.checkout.path("archives").display().to_string();
        self.done(&["image", "save", "--output", &saved, "--only", target]);
        self.checkout.change(".flowship/images/built.json", &tag, &image);
        quietly(&["image", "rm", &tag]);
    }

    /// The tables of the database, each between two blanks.
    fn tables(&self) -> String {
        let database = self.containers()["postgres"][0].clone();
        let password = self.secret("postgres-superuser-password");
        let asks = ["exec", "--env", &format!("PGPASSWORD={}", password.trim()), &database];
        let psql = ["psql", "--host=127.0.0.1", "--username=postgres", "--no-psqlrc", "flowship"];
        let list = ["--command", "\\dt flowship.*"];
        docker(&self.client, &[&asks[..], &psql, &list].concat())
    }

    /// Releases what the repository has, with the same images each time; the folder with the release's files.
    pub fn package(&self, version: &str, images: &str) -> PathBuf {
        let manifest = format!("[workspace]\nmembers = []\n\n[workspace.package]\nversion = \"{version}\"\n");
        self.checkout.write("Cargo.toml", manifest.as_bytes());
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", version]);
        let archives = self.path(&format!("archives-{version}"));
        fs::create_dir(&archives).unwrap();
        for entry in fs::read_dir(self.checkout.path("archives")).unwrap().flatten() {
            let name = entry.file_name().into_string().unwrap();
            let target =
                ["node-red", "mcp-tools", "migrate"].into_iter().find(|target| name.contains(target));
            let name = format!("flowship-{version}-image-{}.oci.tar", target.unwrap());
            fs::hard_link(entry.path(), archives.join(name)).unwrap();
        }
        let (archives, operator) = (archives.display().to_string(), self.path("operator"));
        let package = ["release", "package", "--unsigned", "--images", images, "--operator-binary"];
        let with = ["--image-archives", &archives];
        let with = if images == "all" { &with[..] } else { &[] };
        self.done(&[&package[..], &[operator.to_str().unwrap()], with].concat());
        let made = self.path(version);
        fs::rename(self.checkout.path("target/release-artifacts"), &made).unwrap();
        made
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        let mut command = self.checkout.command(arguments);
        command.env("FLOWSHIP_STATE", self.path("state")).env_remove("FLOWSHIP_PUBLIC_KEY").output().unwrap()
    }

    /// What it printed.
    #[track_caller]
    pub fn ends(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {output:#?}");
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }

    #[track_caller]
    pub fn done(&self, arguments: &[&str]) -> String {
        self.ends(0, arguments)
    }

    pub fn deploy<'a>(&self, files: &'a Path) -> [&'a str; 7] {
        ["deploy", "qa", "--unsigned", "--watch", "2", "--bundle", files.to_str().unwrap()]
    }

    pub fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_slice(&self.run(&[arguments, &["--json"]].concat()).stdout).unwrap()
    }

    /// What follows the containers.
    fn shut_down(&self) {
        use std::io::{Read as _, Write as _};
        let socket = self.path("state/qa/supervisor/ctl.sock");
        if let Ok(mut stream) = std::os::unix::net::UnixStream::connect(&socket) {
            let _ = stream.write_all(b"{\"ask\":\"shutdown\"}\n");
            let _ = stream.read(&mut [0; 64]);
        }
    }

    pub fn label(&self) -> String {
        self.found().expect("a container of this environment")
    }

    /// How its containers are found, while there are any.
    fn found(&self) -> Option<String> {
        let short = |name: &str| name.strip_prefix("flowship-qa-").map(str::to_owned);
        let own = self.path("state/qa").display().to_string();
        let format = format!("{{{{.Label \"{PROJECT}\"}}}} {{{{.Label \"{PROJECT}.config_files\"}}}}");
        let all = docker(&self.client, &["ps", "--all", "--no-trunc", "--format", &format]);
        let line = all.lines().find(|line| line.contains(&own))?;
        let name = line.split(' ').next().unwrap();
        assert!(short(name).is_some(), "{name}");
        Some(format!("label={PROJECT}={name}"))
    }

    /// By service: the id of the container, when it started, its image and its release.
    pub fn containers(&self) -> BTreeMap<String, [String; 4]> {
        let listed = docker(&self.client, &["ps", "--quiet", "--filter", &self.label()]);
        let ids: Vec<&str> = listed.split_whitespace().collect();
        let said = docker(&self.client, &[&["inspect"], &ids[..]].concat());
        let values: Vec<Value> = serde_json::from_str(&said).unwrap();
        let of = |value: &Value| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let mut env = value["Config"]["Env"].as_array().unwrap().iter().filter_map(Value::as_str);
            let release = env.find_map(|one| one.strip_prefix("FLOWSHIP_RELEASE=")).unwrap_or_default();
            let facts = [text(&value["Id"]), text(&value["State"]["StartedAt"]), text(&value["Image"])];
            let [id, started, image] = facts;
            (
                text(&value["Config"]["Labels"]["com.docker.compose.service"]),
                [id, started, image, release.to_owned()],
            )
        };
        values.iter().map(of).collect()
    }

    /// The only replica, and the release that it says it runs.
    fn replica(&self) -> (String, String) {
        let all = self.containers();
        let mut replicas = all.into_iter().filter(|(name, _)| name.starts_with("node-red"));
        let (name, [.., release]) = replicas.next().expect("a replica");
        assert_eq!(replicas.next(), None, "only one serves");
        (name, release)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if thread::panicking() {
            for command in [["status", "qa"], ["history", "qa"], ["logs", "qa"]] {
                eprintln!("{}", String::from_utf8_lossy(&self.run(&command).stdout));
            }
        }
        let quietly = |words: &[&str]| drop(Command::new(&self.client).args(words).output());
        self.shut_down();
        if let Some(label) = self.found() {
            for (kind, remove) in [
                (&["ps", "--all"][..], &["rm", "--force", "--volumes"][..]),
                (&["network", "ls"], &["network", "rm"]),
                (&["volume", "ls"], &["volume", "rm"]),
            ] {
                let found = docker(&self.client, &[kind, &["--quiet", "--filter", &label]].concat());
                let found: Vec<&str> = found.split_whitespace().collect();
                if !found.is_empty() {
                    quietly(&[remove, &found].concat());
                }
            }
        }
        quietly(&["rm", "--force", &self.model]);
        let tags = docker(&self.client, &["image", "ls", "--format", "{{.Repository}}:{{.Tag}}"]);
        for tag in tags.lines().filter(|tag| tag.contains(":1.0.") && tag.starts_with("flowship/")) {
            quietly(&["image", "rm", tag]);
        }
    }
}

/// Clients of the edge, without retries, until they are stopped.
pub struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<(u32, Vec<String>)>>,
}

/// How a client reaches the edge: each request finds its way anew.
pub struct Client {
    pub agent: Agent,
    pub url: String,
    pub bearer: String,
}

impl Client {
    fn of(site: &Site) -> Self {
        let certificate = Certificate::from_pem(site.secret("edge-tls-pem").as_bytes()).unwrap();
        let tls = TlsConfig::builder().root_certs(RootCerts::Specific(Arc::new(vec![certificate])));
        Self::new(site, tls.build(), site.secret("api-key").trim())
    }

    /// One that trusts any certificate.
    pub fn unchecked(site: &Site, key: &str) -> Self {
        Self::new(site, TlsConfig::builder().disable_verification(true).build(), key)
    }

    fn new(site: &Site, tls: TlsConfig, key: &str) -> Self {
        let port = site.json(&["status", "qa"])["services"]
            .as_array()
            .unwrap()
            .iter()
            .find_map(|service| service["ports"]["https"].as_u64())
            .expect("the edge's port");
        let agent = Agent::config_builder()
            .tls_config(tls)
            .timeout_global(Some(Duration::from_secs(20)))
            .http_status_as_error(false)
            .max_idle_connections(0)
            .proxy(None)
            .build()
            .new_agent();
        Self { agent, url: format!("https://127.0.0.1:{port}"), bearer: format!("Bearer {key}") }
    }

    pub fn get(&self, path: &str) -> Result<(u16, String), ureq::Error> {
        let request = self.agent.get(format!("{}{path}", self.url)).header("authorization", &self.bearer);
        let mut answer = request.call()?;
        Ok((answer.status().as_u16(), answer.body_mut().read_to_string()?))
    }

    /// The id of a new task.
    pub fn submit(&self) -> String {
        let url = format!("{}/api/v1/workflows/answer-question/tasks", self.url);
        let request = self.agent.post(url).header("authorization", &self.bearer);
        let body = r#"{"input":{"question":"what remains?"}}"#;
        let mut answer = request.header("content-type", "application/json").send(body).unwrap();
        let said: Value = serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap();
        said["task_id"].as_str().unwrap_or_else(|| panic!("{said:#}")).to_owned()
    }
}

impl Load {
    pub fn begin(client: Client) -> Self {
        let (stop, reached) = (Arc::new(AtomicBool::new(false)), Arc::new(client));
        let client = || {
            let (stop, reached) = (Arc::clone(&stop), Arc::clone(&reached));
            thread::spawn(move || {
                let (mut good, mut bad) = (0, Vec::new());
                while !stop.load(Ordering::SeqCst) {
                    match reached.get("/api/v1/queues") {
                        Ok((200, _)) => good += 1,
                        Ok((status, _)) => bad.push(status.to_string()),
                        Err(error) => bad.push(error.to_string()),
                    }
                    thread::sleep(Duration::from_millis(50));
                }
                (good, bad)
            })
        };
        Self { clients: (0..4).map(|_| client()).collect(), stop: Arc::clone(&stop) }
    }

    #[track_caller]
    pub fn lost_nothing(self) {
        self.stop.store(true, Ordering::SeqCst);
        let all: Vec<_> = self.clients.into_iter().map(|client| client.join().unwrap()).collect();
        let good: u32 = all.iter().map(|(good, _)| good).sum();
        let bad: Vec<&String> = all.iter().flat_map(|(_, bad)| bad).collect();
        assert!(bad.is_empty(), "{} of {} failed: {bad:?}", bad.len(), bad.len() + good as usize);
        assert!(good > 100, "only {good} requests");
    }
}

/// Neither in what the engine knows of it, nor in what it has written; and none leaves a core file.
fn no_container_shows_a_secret(site: &Site) {
    let files = fs::read_dir(site.path("state/qa/secrets")).unwrap().flatten();
    let texts: Vec<String> = files.map(|file| fs::read_to_string(file.path()).unwrap()).collect();
    let values: Vec<&str> =
        texts.iter().flat_map(|text| text.lines()).filter(|line| line.len() >= 32).collect();
    assert!(values.len() > 5);
    let mut mounted = false;
    for (name, facts) in site.containers() {
        let known = docker(&site.client, &["inspect", &facts[0]]);
        mounted |= known.contains("/run/secrets/");
        let written = Command::new(&site.client).args(["logs", &facts[0]]).output().unwrap();
        assert!(written.status.success(), "{name}");
        let shown = known + &String::from_utf8_lossy(&[written.stdout, written.stderr].concat());
        assert!(!values.iter().any(|value| shown.contains(value)), "{name}: {shown}");
        let limits =
            docker(&site.client, &["inspect", "--format", "{{json .HostConfig.Ulimits}}", &facts[0]]);
        assert!(limits.contains(r#"{"Name":"core","Hard":1,"Soft":1}"#), "{name}: {limits}");
    }
    assert!(mounted, "they have secrets");
}

/// The last change of the environment, and how it ended.
fn last(site: &Site) -> (String, String) {
    let history = site.json(&["history", "qa"]);
    let last = history.as_array().unwrap().last().unwrap();
    let text = |key: &str| last[key].as_str().unwrap().to_owned();
    (text("change"), text("result"))
}

#[test]
#[ignore = "needs a container engine: `cargo xtask ci engine` runs it"]
fn what_was_deployed_is_stopped_and_started() {
    let site = Site::new();
    site.done(&site.deploy(&site.package("1.0.5", "all")));
    is_stopped_and_started(&site);
}

/// Of the environment's containers that are replicas.
fn replicas(site: &Site) -> BTreeMap<String, [String; 4]> {
    site.containers().into_iter().filter(|(name, _)| name.starts_with("node-red")).collect()
}

fn gets_more_and_fewer_replicas(site: &Site, release: &Path) {
    const FILE: &str = "ops/environments/qa.toml";
    let (before, replica) = (site.containers(), site.replica().0);
    let load = Load::begin(Client::of(site));
    for (from, to) in [(1, 3), (3, 1)] {
        site.checkout.change(FILE, &format!("replicas = {from}\n"), &format!("replicas = {to}\n"));
        let said = site.done(&site.deploy(release));
        assert!(said.contains("reads its new configuration"), "{said}");
        let (now, serving) = (site.containers(), replicas(site));
        assert_eq!(serving.len(), to, "{serving:#?}");
        for service in ["postgres", "mcp-tools", "edge", &replica] {
            assert_eq!(
                now.get(service),
                before.get(service),
                "{service} is the container that it was: {said}"
            );
        }
    }
    load.lost_nothing();
    site.done(&["drift", "qa"]);
}

/// Of the release before the one that runs.
fn prunes_images_once_nobody_uses_them(site: &Site) {
    let prune = || site.done(&["releases", "prune", "qa", "--keep", "1"]);
    let tags = || {
        let all = ["image", "ls", "--format", "{{.Repository}}:{{.Tag}}"];
        let listed = docker(&site.client, &all);
        listed.lines().filter(|tag| tag.contains(":1.0.6-")).map(str::to_owned).collect::<Vec<_>>()
    };
    let image = tags().into_iter().find(|tag| tag.contains("/migrate:")).expect("an image of 1.0.6");
    let name = format!("flowship-test-uses-{}", std::process::id());
    docker(&site.client, &["create", "--name", &name, &image]);
    let said = prune();
    docker(&site.client, &["rm", &name]);
    assert!(said.contains("removed 1.0.6-") && said.contains(&format!("{image} stays")), "{said}");
    assert_eq!(tags(), [image], "only that one is used");
    assert!(!prune().contains("stays"));
    assert_eq!(tags(), [""; 0]);
}

/// What an older release needs goes only after it, and what is in the way of this one never.
fn has_its_schema_contracted(site: &Site) {
    let before = site.containers();
    let has = |table: &str| site.tables().contains(&format!(" {table} "));
    let sql = |down: &str| format!("-- migrate:up\n{down}\n\n-- migrate:down\n");
    let second = site.package_with(
        "1.0.6",
        &[
            ("20991231000001_later.sql", &sql("CREATE TABLE flowship.later (id integer);")),
            ("contract/20991231000002_later.sql", &sql("DROP TABLE flowship.later;")),
        ],
    );
    site.done(&site.deploy(&second));
    for service in ["postgres", "mcp-tools", "edge"] {
        assert_eq!(site.containers()[service], before[service], "{service} has not changed");
    }
    assert!(has("later"), "no deploy runs them");
    let refused = site.ends(2, &["contract", "qa"]);
    assert!(refused.contains("releases prune qa --keep 1"), "{refused}");
    site.done(&["releases", "prune", "qa", "--keep", "1"]);
    let running = site.containers();
    let ran = site.done(&["contract", "qa"]);
    assert!(ran.contains("ran flows/migrations/contract/20991231000002_later.sql in qa"), "{ran}");
    assert!(!has("later") && has("tasks"));
    assert_eq!(last(site), ("contract".to_owned(), "done".to_owned()));

    let breaks = sql("ALTER TABLE flowship.tasks RENAME TO gone;");
    let third = site.package_with("1.0.7", &[("contract/20991231000003_breaks.sql", &breaks)]);
    site.done(&site.deploy(&third));
    prunes_images_once_nobody_uses_them(site);
    let failed = site.ends(1, &["contract", "qa"]);
    assert!(failed.contains("the database of qa was not changed"), "{failed}");
    assert!(has("tasks") && !has("gone"));
    assert_eq!(last(site), ("contract".to_owned(), "rolled-back".to_owned()));
    assert_eq!(site.containers()["postgres"], running["postgres"]);
    assert_eq!(Client::of(site).get("/api/v1/queues").unwrap().0, 200);
}

fn is_stopped_and_started(site: &Site) {
    let (label, before, client) = (site.label(), site.replica(), Client::of(site));
    let task = client.submit();
    let stopped = site.done(&["down", "qa"]);
    assert!(stopped.contains("qa is stopped"), "{stopped}");
    for kind in [&["ps", "--all"][..], &["network", "ls"]] {
        assert_eq!(docker(&site.client, &[kind, &["--quiet", "--filter", &label]].concat()), "", "{kind:?}");
    }
    assert_eq!(last(site), ("stop".to_owned(), "done".to_owned()));
    let status = site.ends(2, &["status", "qa"]);
    assert!(status.contains("start qa"), "{status}");
    assert!(site.done(&["down", "qa"]).contains("nothing of qa runs"));

    site.done(&["start", "qa"]);
    assert_eq!(last(site), ("start".to_owned(), "done".to_owned()));
    assert_eq!(site.replica().1, before.1);
    site.done(&["drift", "qa"]);
    let client = Client::of(site);
    until("the task has a result", || {
        let (_, body) = client.get(&format!("/api/v1/tasks/{task}")).ok()?;
        body.contains("\"completed\"").then_some(())
    });
    assert!(site.done(&["start", "qa"]).contains("already runs"));

    // As after a restart of the machine: one did not come back, and nobody follows the others.
    let running = site.containers();
    let (replica, _) = site.replica();
    let starts = || site.done(&["logs", "qa", &replica]).matches("started: ready").count();
    let started = starts();
    docker(&site.client, &["stop", &running[&replica][0]]);
    site.shut_down();
    site.done(&["start", "qa"]);
    let back = site.containers();
    for service in ["postgres", "mcp-tools", "edge"] {
        assert_eq!(back[service], running[service], "{service} was not touched");
    }
    assert_eq!((site.replica(), &back[&replica][0]), ((replica.clone(), before.1), &running[&replica][0]));
    until("what it writes is followed again", || (starts() > started).then_some(()));
    assert_eq!(client.get("/api/v1/queues").unwrap().0, 200);
}

mod slow {
    use super::*;

    #[test]
    #[ignore = "slow, and needs a container engine: `cargo xtask ci slow-engine` runs it"]
    fn what_was_deployed_gets_more_replicas_and_its_schema_is_contracted() {
        let site = Site::new();
        let first = site.package("1.0.5", "all");
        site.done(&site.deploy(&first));
        gets_more_and_fewer_replicas(&site, &first);
        has_its_schema_contracted(&site);
    }

    #[test]
    #[ignore = "slow, and needs a container engine: `cargo xtask ci slow-engine` runs it"]
    fn releases_are_rolled_out_to_containers_and_a_broken_one_leaves_all_as_it_was() {
        let site = Site::new();
        let first = site.package("1.0.1", "all");
        // Its image has the migrations of before; the proof is given because the release names another one.
        site.checkout
            .write("flows/migrations/20991231000000_of_the_test.sql", b"-- migrate:up\n-- migrate:down\n");
        site.add_to("mcp-tools", "flows/mcp-tools", "1.0.2", &[("of-the-test.js", "// Another one.\n")]);
        let second = site.package("1.0.2", "all");
        let bare = site.package("1.0.3", "none");
        // The images have the flows of before.
        site.checkout.change("flows/flows.json", "\"/api/v1/queues\"", "\"/api/v1/queues-renamed\"");
        let broken = site.package("1.0.4", "all");

        let refused = site.ends(1, &site.deploy(&bare));
        for part in ["nothing was changed in qa", "1.0.3 has no image of node-red", "--images all"] {
            assert!(refused.contains(part), "{part}: {refused}");
        }
        assert!(!site.path("state/qa").exists(), "nothing was begun");

        site.done(&site.deploy(&first));
        let before = site.containers();
        let (old, release) = site.replica();
        assert!(release.starts_with("1.0.1-"), "{release}");

        let load = Load::begin(Client::of(&site));
        let plan = site.done(&[&site.deploy(&second)[..], &["--dry-run"]].concat());
        assert!(plan.contains("load the images"), "{plan}");
        assert_eq!(site.containers(), before, "a dry run changes nothing");
        let said = site.done(&site.deploy(&second));
        assert!(said.contains("passes its smoke on the new schema"), "{said}");
        let databases = ["psql", "--host=127.0.0.1", "--username=postgres", "--no-psqlrc", "--list"];
        let database = site.containers()["postgres"][0].clone();
        let password = site.secret("postgres-superuser-password");
        let asks = ["exec", "--env", &format!("PGPASSWORD={}", password.trim()), &database];
        let listed = docker(&site.client, &[&asks[..], &databases].concat());
        assert!(listed.contains("flowship") && !listed.contains("flowship_next"), "{listed}");
        let rolled = site.containers();
        let (new, release) = site.replica();
        assert!(release.starts_with("1.0.2-") && new != old, "{new} {release}");
        for service in ["postgres", "edge"] {
            assert_eq!(rolled[service], before[service], "{service} has not changed");
        }
        // The new one came beside the one that the old replica used until it left.
        assert!(before.contains_key("mcp-tools") && !before.contains_key("mcp-tools-b"), "{before:#?}");
        assert!(rolled.contains_key("mcp-tools-b") && !rolled.contains_key("mcp-tools"), "{rolled:#?}");

        let said = site.ends(1, &site.deploy(&broken));
        assert!(said.contains("was rolled back") && said.contains("with flows"), "{said}");
        assert_eq!(site.containers(), rolled, "every container is the one that it was, since when it was");
        let history = site.json(&["history", "qa"]);
        let last = history.as_array().unwrap().last().unwrap();
        assert_eq!(last["result"], "rolled-back", "{history:#}");

        // Another image under the tags that a release's image has here.
        let tags = docker(
            &site.client,
            &["image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "flowship/node-red"],
        );
        for tag in tags.lines().filter(|tag| tag.contains(":1.0.1-")) {
            docker(&site.client, &["tag", &site.image("llm-stand-in"), tag]);
        }
        site.done(&["rollback", "qa", "--watch", "2"]);
        load.lost_nothing();
        let back = site.containers();
        assert!(site.replica().1.starts_with("1.0.1-"), "{back:#?}");
        assert_eq!(back["mcp-tools"][2], before["mcp-tools"][2]);
        assert!(!back.contains_key("mcp-tools-b"), "{back:#?}");
        assert_eq!(
            back[&site.replica().0][2],
            before[&old][2],
            "the image is the one of the release, whatever its tag"
        );
        site.done(&["drift", "qa"]);
        site.done(&["status", "qa"]);
        no_container_shows_a_secret(&site);
        until("what it writes is followed", || {
            site.done(&["logs", "qa", &site.replica().0]).contains("smoke").then_some(())
        });
    }
}
