//! Pictures of dashboards, drawn from what a Prometheus answers: here one that speaks its HTTP API, and says what it is told
//! to. And Grafana as the engine would run it: its image is not had here, so Compose judges it and nobody starts it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::{fs, thread};

use crate::free_ports;
use serde_json::{Value, json};
use tempfile::TempDir;
use vocabulary::model::environment::Environment;
use vocabulary::model::topology::Topology;

struct Checkout {
    root: TempDir,
    /// What was asked, as a form.
    asked: Arc<Mutex<Vec<String>>>,
}

/// A status and a body for `/-/ready` and for each query.
type Answers = fn(&str) -> (u16, String);

fn series(metric: Value, values: &[(u32, &str)]) -> Value {
    json!({ "metric": metric, "values": values })
}

fn success(result: &[Value]) -> (u16, String) {
    (200, json!({ "status": "success", "data": { "resultType": "matrix", "result": result } }).to_string())
}

fn answers(form: &str) -> (u16, String) {
    match form {
        "" => (200, "Prometheus Server is Ready.\n".to_owned()),
        _ if form.contains("flowship_queue_oldest") => success(&[]),
        _ => success(&[
            series(
                json!({ "queue": "</svg><b>&", "workflow_id": "</svg><b>&" }),
                &[(1_793_696_707, "1"), (1_793_696_722, "NaN")],
            ),
            series(json!({ "queue": "b" }), &[(1_793_696_707, "+Inf"), (1_793_696_722, "2.5")]),
        ]),
    }
}

fn one_query_fails(form: &str) -> (u16, String) {
    if form.contains("flowship_queue_oldest") {
        let body = json!({ "status": "error", "errorType": "execution", "error": "too <many> samples" });
        return (422, body.to_string());
    }
    answers(form)
}

fn not_ready(_: &str) -> (u16, String) {
    (503, "Service Unavailable".to_owned())
}

fn another_program(form: &str) -> (u16, String) {
    (200, if form.is_empty() { "" } else { "<html>" }.to_owned())
}

impl Checkout {
    /// In which dev runs, with this Prometheus or without.
    fn new(prometheus: Option<Answers>) -> Self {
        let root = tempfile::tempdir().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let checkout = Self { root, asked: Arc::clone(&asked) };
        let repository = crate::containers::repository();
        fs::create_dir_all(checkout.path("ops/environments")).unwrap();
        fs::copy(repository.join("ops/environments/dev.toml"), checkout.path("ops/environments/dev.toml"))
            .unwrap();
        if let Some(answers) = prometheus {
            let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
            checkout.record(&json!({ "prometheus.web": listener.local_addr().unwrap().port() }));
            thread::spawn(move || {
                for mut stream in listener.incoming().flatten() {
                    let mut reader = BufReader::new(stream.try_clone().unwrap());
                    let (mut length, mut line) = (0, String::new());
                    while reader.read_line(&mut line).unwrap() > 2 {
                        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                            length = value.trim().parse().unwrap();
                        }
                        line.clear();
                    }
                    let mut body = vec![0; length];
                    reader.read_exact(&mut body).unwrap();
                    let form = String::from_utf8(body).unwrap();
                    let (status, answer) = answers(&form);
                    if !form.is_empty() {
                        asked.lock().unwrap().push(form);
                    }
                    let head = format!(
                        "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close",
                        answer.len()
                    );
                    stream.write_all(format!("{head}\r\n\r\n{answer}").as_bytes()).unwrap();
                }
            });
        }
        checkout
    }

    fn record(&self, ports: &Value) {
        fs::create_dir_all(self.path(".flowship/dev")).unwrap();
        let record = json!({ "environment": "dev", "engine": "process", "ports": ports });
        fs::write(self.path(".flowship/dev/instance.json"), record.to_string()).unwrap();
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.arg("--root").arg(self.root.path()).args(arguments).current_dir(self.root.path());
        command.env("FLOWSHIP_STATE", self.path("state")).output().unwrap()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn dashboards_are_drawn_from_their_own_queries() {
    let checkout = Checkout::new(Some(answers));
    let output = checkout.run(&["dashboards", "draw", "dev", "queue", "--since", "30m"]);
    assert!(output.status.success(), "{output:?}");
    let path = checkout.path(".flowship/dev/dashboards/queue.svg").canonicalize().unwrap();
    assert_eq!(text(&output.stdout), format!("{}\n", path.display()));
    let svg = fs::read_to_string(&path).unwrap();
    let mut reader = quick_xml::Reader::from_str(&svg);
    while !matches!(reader.read_event().unwrap(), quick_xml::events::Event::Eof) {}
    for part in [
        "\n&lt;/svg&gt;&lt;b&gt;&amp;\n",
        "\nno data\n",
        "\nAge of the oldest job\n",
        "Environment dev, ",
        "own queries",
    ] {
        assert!(svg.contains(part), "{part}: {svg}");
    }
    // Each panel asked what its dashboard asks, over the time and in steps that fit.
    let platform = platform::platform();
    let queue = platform.dashboards.iter().find(|one| one.id == "queue").unwrap();
    let mut asked = checkout.asked.lock().unwrap().clone();
    for query in queue.panels.iter().flat_map(|panel| &panel.queries) {
        let form = asked.remove(0);
        let fields: Vec<(String, String)> = form
            .split('&')
            .map(|field| {
                let (name, value) = field.split_once('=').unwrap();
                (name.to_owned(), decoded(value))
            })
            .collect();
        let field = |name: &str| fields.iter().find(|(own, _)| own == name).unwrap().1.clone();
        let number = |name: &str| field(name).parse::<u64>().unwrap();
        assert_eq!(field("query"), query.expression.to_string());
        assert_eq!((number("end") - number("start"), number("step")), (1800, 12));
    }
    assert_eq!(asked, [""; 0]);

    let output = checkout.run(&["dashboards", "draw", "--out", "pictures", "--json"]);
    assert!(output.status.success(), "{output:?}");
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let pictures = told["pictures"].as_array().unwrap();
    assert_eq!(pictures.len(), platform.dashboards.len());
    let of_queue = pictures.iter().find(|one| one["dashboard"] == "queue").unwrap();
    assert_eq!((&of_queue["empty"], &of_queue["failed"]), (&json!(["Age of the oldest job"]), &json!([])));
    for picture in pictures {
        assert!(checkout.path(picture["path"].as_str().unwrap()).is_file(), "{picture}");
    }
}

fn decoded(value: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), value.bytes());
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits: String = rest.by_ref().take(2).map(char::from).collect();
                u8::from_str_radix(&digits, 16).unwrap()
            }
            other => other,
        });
    }
    String::from_utf8(bytes).unwrap()
}

#[test]
fn what_cannot_be_drawn_is_said() {
    let draw = ["dashboards", "draw", "dev"];
    let [free] = free_ports::free();
    let silent = Checkout::new(None);
    silent.record(&json!({ "prometheus.web": free }));
    let unmonitored = Checkout::new(None);
    unmonitored.record(&json!({}));
    for (checkout, more, code, parts) in [
        (
            &Checkout::new(None),
            &[][..],
            2,
            &["dev runs no prometheus here", "status dev", "docs/monitoring.md"][..],
        ),
        (&unmonitored, &[], 2, &["dev runs no prometheus here"]),
        (&silent, &[], 1, &["prometheus of dev does not answer", "status dev"]),
        (
            &Checkout::new(Some(not_ready)),
            &[],
            1,
            &["prometheus of dev does not answer", "/-/ready answers 503"],
        ),
        (
            &Checkout::new(Some(answers)),
            &["quue"],
            2,
            &["no dashboard quue; expected one of overview, queue", "did you mean queue?"],
        ),
        (&Checkout::new(Some(answers)), &["--since", "soon"], 2, &["a number and s, m, h or d"]),
    ] {
        let output = checkout.run(&[&draw[..], more].concat());
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{more:?}: {said}");
        assert!(parts.iter().all(|part| said.contains(part)), "{parts:?}: {said}");
        assert!(
            output.stdout.is_empty() && !checkout.path(".flowship/dev/dashboards").exists(),
            "{output:?}"
        );
    }
    let output = Checkout::new(None).run(&["dashboards", "draw", "nowhere"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");

    // A query that fails is seen in the picture and by the caller.
    for (prometheus, error) in [
        (one_query_fails as Answers, "too <many> samples"),
        (another_program, "expected what Prometheus answers"),
    ] {
        let checkout = Checkout::new(Some(prometheus));
        let output = checkout.run(&[&draw[..], &["queue"]].concat());
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("Queue: Age of the oldest job: ") && said.contains(error), "{said}");
        let svg = fs::read_to_string(checkout.path(".flowship/dev/dashboards/queue.svg")).unwrap();
        assert!(
            svg.contains("\nthe query failed\n")
                && svg.contains(&error.replace('<', "&lt;").replace('>', "&gt;")),
            "{svg}"
        );
    }
}

#[test]
fn dashboards_are_listed() {
    let checkout = Checkout::new(None);
    let listed = text(&checkout.run(&["dashboards", "list"]).stdout);
    let listed_json: Value =
        serde_json::from_slice(&checkout.run(&["dashboards", "list", "--json"]).stdout).unwrap();
    for dashboard in platform::platform().dashboards {
        assert!(
            listed.lines().any(|line| line.starts_with(dashboard.id) && line.contains(dashboard.about)),
            "{listed}"
        );
        let panels: Vec<_> = dashboard.panels.iter().map(|panel| panel.title).collect();
        assert!(
            listed_json.as_array().unwrap().iter().any(|one| one["panels"] == json!(panels)),
            "{listed_json:#}"
        );
    }
}

/// The project of an environment that asks for Grafana, as Compose understands it.
fn project_with_grafana() -> Value {
    let platform = platform::platform();
    let known = judges::site::known(&platform);
    let staging = judges::site::load(crate::containers::repository(), "staging", &known).unwrap();
    let environment = Environment { with: vec!["grafana".into()], ..staging };
    let made =
        artifacts::containers::compose::deployed(&Topology::deployed(&platform, &environment)).unwrap();
    let text = &made[0].contents;
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("compose.yaml"), text).unwrap();
    // Each variable that has no default.
    let required = text.split("${").skip(1).filter_map(|rest| Some(rest.split_once(":?")?.0));
    let required = required.filter(|name| name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_'));
    let lines = required.map(|name| match name {
        "FLOWSHIP_PUBLIC_ADDRESS" => format!("{name}=192.0.2.10\n"),
        _ => format!("{name}=/of/{name}\n"),
    });
    fs::write(folder.path().join("run.env"), lines.collect::<String>()).unwrap();
    let output = Command::new(crate::containers::program("docker-compose"))
        .current_dir(folder.path())
        .args(["--env-file", "run.env", "config", "--format", "json"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn grafana_is_closed_and_brings_what_it_reads() {
    let project = project_with_grafana();
    let grafana = &project["services"]["grafana"];
    assert!(project["services"].get("prometheus").is_some());
    assert_eq!(grafana["depends_on"]["prometheus"]["condition"], "service_healthy", "{grafana:#}");
    assert_eq!((&grafana["user"], &grafana["read_only"]), (&json!("472:472"), &json!(true)), "{grafana:#}");
    assert_eq!((&grafana["cap_drop"], &grafana["ports"].as_array().unwrap().len()), (&json!(["ALL"]), &1));
    assert_eq!(grafana["ports"][0]["host_ip"], "127.0.0.1", "{grafana:#}");
    let mounts = grafana["volumes"].as_array().unwrap();
    let folder = mounts.iter().find(|mount| mount["target"] == "/etc/dashboards").unwrap();
    assert_eq!(
        (&folder["source"], &folder["read_only"]),
        (&json!("/of/FLOWSHIP_VIEWER_FOLDER"), &json!(true))
    );
    let variables = grafana["environment"].as_object().unwrap();
    for (name, value) in [
        ("GF_SECURITY_ADMIN_PASSWORD__FILE", "/run/secrets/grafana-admin-password"),
        ("GF_PATHS_PROVISIONING", "/etc/dashboards/provisioning"),
        ("GF_USERS_ALLOW_SIGN_UP", "false"),
        ("GF_ANALYTICS_REPORTING_ENABLED", "false"),
        ("GF_PLUGINS_PREINSTALL_DISABLED", "true"),
        // Grafana reads its provisioning once: another one has it started anew.
        (artifacts::monitoring::CONFIGURATION, ""),
    ] {
        assert_eq!(variables[name], value, "{name}");
    }
    assert_eq!(grafana["secrets"][0]["source"], "grafana-admin-password", "{grafana:#}");

    // What it is provisioned with: the source that its process is told, and each dashboard as it is committed.
    let platform = platform::platform();
    let files = artifacts::dashboards::provisioned(&platform, "/etc/dashboards");
    let (pages, others): (Vec<_>, Vec<_>) = files.iter().partition(|(path, _)| path.starts_with("pages/"));
    for (path, text) in &pages {
        let committed = path.replace("pages/", "ops/monitoring/dashboards/");
        assert_eq!(*text, fs::read_to_string(crate::containers::repository().join(committed)).unwrap());
    }
    assert_eq!(pages.len(), platform.dashboards.len());
    let read = |path: &str| -> Value {
        serde_json::from_str(&others.iter().find(|(own, _)| own == path).unwrap().1).unwrap()
    };
    let source = &read("provisioning/datasources/datasources.yaml")["datasources"][0];
    let variable = source["url"].as_str().unwrap().strip_prefix('$').unwrap();
    assert_eq!(
        (&variables[variable], &source["type"]),
        (&json!("http://prometheus:9090"), &json!("prometheus"))
    );
    let provider = &read("provisioning/dashboards/dashboards.yaml")["providers"][0];
    assert_eq!(provider["options"]["path"], "/etc/dashboards/pages");
    // One whose file is gone would stay otherwise, and anybody could change it.
    assert_eq!(provider["disableDeletion"], false);
}

#[test]
fn no_process_is_grafana() {
    let checkout = Checkout::new(None);
    let output = checkout.run(&["dev", "--detach", "--with", "grafana"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("nothing of it runs on the process engine; add --engine compose"), "{said}");
    let file = checkout.path("ops/environments/dev.toml");
    fs::write(&file, format!("with = [\"grafana\"]\n{}", fs::read_to_string(&file).unwrap())).unwrap();
    let output = checkout.run(&["environment", "check"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("nothing of \"grafana\" runs with engine = \"process\""), "{said}");
}
