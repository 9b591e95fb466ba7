//! Pictures of dashboards, drawn from what a Prometheus answers: here one that speaks its HTTP API, and says what it is told to.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::{fs, thread};

use serde_json::{Value, json};
use tempfile::TempDir;

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
    let free = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
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
