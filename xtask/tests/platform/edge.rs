//! The edge in front of the replicas, in an environment that is not development.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use ureq::Agent;

use crate::checkout::Checkout;
use crate::hostile::{AtEdge, CASES};
use crate::load::{Ended, Load};
use crate::processes::Pid;
use crate::until;
use crate::web::{self, Provider};

const CERTIFICATE: &str = ".flowship/qa/secrets/edge-tls-pem";
const QUEUES: &str = "/api/v1/queues";
const TASKS: &str = "/api/v1/workflows/describe-text/tasks";

/// An environment `qa` for staging; it ends with this value, also when a test fails.
struct Staging {
    checkout: Checkout,
    /// The model that it uses.
    _provider: Provider,
}

impl Staging {
    fn with(more: &str) -> Self {
        let (checkout, provider) = (Checkout::new(), Provider::serve("the-key"));
        checkout.write("provider-key", "the-key\n");
        checkout.write(
            "ops/environments/qa.toml",
            &format!(
                "tier = \"staging\"\nengine = \"process\"\ndomain = \"flows.example.com\"\n\n[llm]\nbase_url = \
                 \"http://127.0.0.1:{}/v1\"\nmodel = \"the-real-one\"\napi_key_file = \"provider-key\"\n\n{more}",
                provider.port
            ),
        );
        Self { checkout, _provider: provider }
    }

    fn service(&self, name: &str) -> Value {
        let status = self.checkout.run(&["status", "qa", "--json"]).json();
        let found = status.as_array().unwrap().iter().find(|service| service["name"] == name);
        found.unwrap_or_else(|| panic!("{name}: {status:#}")).clone()
    }

    fn pid(&self, name: &str) -> Pid {
        Pid(self.service(name)["pid"].as_i64().unwrap().try_into().unwrap())
    }

    /// The base address of a port of the edge.
    fn edge(&self, port: &str) -> String {
        let scheme = if port == "https" { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.service("edge")["ports"][port])
    }

    /// A client that trusts the edge's certificate alone.
    fn client(&self) -> Agent {
        web::trusting(&self.checkout.read(CERTIFICATE))
    }

    fn await_served(&self, replica: &str) {
        let metrics = format!("{}/metrics", self.edge("stats"));
        let line = format!("haproxy_server_status{{proxy=\"replicas\",server=\"{replica}\",state=\"UP\"}} 1");
        until(&format!("the edge serves {replica}"), || {
            web::get(&metrics)?.body.contains(&line).then_some(())
        });
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("logs:\n{}", self.checkout.run(&["logs", "--environment", "qa", "-n", "15"]).out);
        }
        self.checkout.run(&["down", "qa"]);
    }
}

#[test]
#[ignore = "slow: `cargo xtask ci slow-tests` runs it"]
fn three_replicas_are_rolled_behind_the_edge_without_a_failed_request() {
    let staging = Staging::with("[sizes]\nnode-red.replicas = 3\n");
    let checkout = &staging.checkout;
    checkout.done(&["dev", "qa", "--detach", "--no-watch"]);
    checkout.done(&["smoke", "qa"]);
    let names = ["node-red-a", "node-red-b", "node-red-c"];
    for name in names {
        staging.await_served(name);
    }
    let (https, client) = (staging.edge("https"), staging.client());
    let key = checkout.read(".flowship/qa/secrets/api-key");
    let status = |path: &str, key: Option<&str>| {
        web::ask_with(&client, "GET", &format!("{https}{path}"), key, None).unwrap().status
    };
    assert_eq!(status(QUEUES, Some(key.trim())), 200);
    assert_eq!(status(QUEUES, None), 401);
    for path in ["/", "/metrics", "/smoke", "/readyz", "/admin"] {
        assert_eq!(status(path, Some(key.trim())), 404, "{path}");
    }
    assert!(web::get(&format!("{https}{QUEUES}")).is_none(), "nobody else trusts the certificate");

    let load = Load::default();
    std::thread::scope(|scope| {
        let (load, https, key) = (&load, https.as_str(), key.trim());
        let body = r#"{"input":{"text":"while it is rolled"}}"#;
        for (method, path, body, expected, keeps) in [
            ("GET", QUEUES, None, 200, true),
            ("GET", QUEUES, None, 200, false),
            ("POST", TASKS, Some(body), 202, true),
            ("POST", TASKS, Some(body), 202, false),
        ] {
            let (client, url) = (client.clone(), format!("{https}{path}"));
            let pem = checkout.read(CERTIFICATE);
            scope.spawn(move || {
                load.send(|| {
                    let client = if keeps { client.clone() } else { web::trusting(&pem) };
                    match web::ask_with(&client, method, &url, Some(key), body) {
                        Some(answer) if answer.status == expected => Ok(()),
                        other => Err(format!("{method} {path}: {other:?}")),
                    }
                });
            });
        }
        let _ended = Ended(&load.ended);
        for name in names {
            let before = staging.pid(name);
            load.goes_on(100);
            before.signal(Signal::TERM);
            until(&format!("{name} runs again"), || {
                let now = staging.service(name);
                (now["pid"] != before.0 && now["health"] == "healthy").then_some(())
            });
            staging.await_served(name);
        }
        load.goes_on(100);
    });
    let failed = load.failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} of {} failed: {failed:#?}", failed.len(), load.sent.into_inner());
    checkout.done(&["smoke", "qa"]);
    another_certificate_is_served_without_a_restart(&staging, key.trim());
}

/// The certificate that is served to whoever asks for this name, or for none; proven by a handshake.
fn served(port: &str, name: Option<&str>) -> Result<String, String> {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &format!("127.0.0.1:{port}")]).stdin(Stdio::null());
    match name {
        Some(name) => command.args(["-servername", name]),
        None => command.arg("-noservername"),
    };
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let begins = said.find("-----BEGIN CERTIFICATE-----").filter(|_| output.status.success());
    let end = "-----END CERTIFICATE-----\n";
    let certificate =
        begins.and_then(|begins| Some(&said[begins..begins + said[begins..].find(end)? + end.len()]));
    certificate.map(str::to_owned).ok_or_else(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

/// By its name, by another one, and without a name: the last two get the fallback, which is replaced too.
const NAMES: [Option<&str>; 3] = [Some("flows.example.com"), Some("other.example.com"), None];

fn another_certificate_is_served_without_a_restart(staging: &Staging, key: &str) {
    let (before, pid) = (staging.checkout.read(CERTIFICATE), staging.pid("edge"));
    let port = staging.service("edge")["ports"]["https"].to_string();
    assert!(NAMES.iter().all(|name| before.contains(&served(&port, *name).unwrap())));
    std::fs::remove_file(staging.checkout.path(CERTIFICATE)).unwrap();
    let load = Load::default();
    std::thread::scope(|scope| {
        for name in NAMES {
            let (load, port) = (&load, &port);
            scope.spawn(move || load.send(|| served(port, name).map(|_| ())));
        }
        let _ended = Ended(&load.ended);
        load.goes_on(100);
        staging.checkout.done(&["dev", "qa", "--detach", "--no-watch"]);
        load.goes_on(100);
    });
    let failed = load.failed.into_inner().unwrap();
    assert!(
        failed.is_empty(),
        "{} of {} handshakes failed: {failed:#?}",
        failed.len(),
        load.sent.into_inner()
    );
    let after = staging.checkout.read(CERTIFICATE);
    assert_ne!(before, after);
    for name in NAMES {
        until("the new certificate is served", || after.contains(&served(&port, name).ok()?).then_some(()));
    }
    let url = format!("{}{QUEUES}", staging.edge("https"));
    // A new connection each time: the old worker may still take one.
    let is_trusted = |pem: &str| web::ask_with(&web::trusting(pem), "GET", &url, Some(key), None).is_some();
    let now = staging.checkout.read(CERTIFICATE);
    until("the new certificate alone is served", || (is_trusted(&now) && !is_trusted(&before)).then_some(()));
    assert_eq!(staging.pid("edge"), pid);
}

/// What comes back first, or nothing when the connection is closed.
fn over_tls(port: &str, bytes: &[u8]) -> String {
    let mut child = Command::new("openssl")
        .args(["s_client", "-quiet", "-alpn", "http/1.1", "-connect", &format!("127.0.0.1:{port}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let _ = stdin.write_all(bytes);
    let mut part = [0; 4096];
    let read = child.stdout.as_mut().unwrap().read(&mut part).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    String::from_utf8_lossy(&part[..read]).into_owned()
}

fn in_the_clear(port: &str, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(bytes).unwrap();
    let mut part = [0; 4096];
    let read = stream.read(&mut part).unwrap_or_default();
    String::from_utf8_lossy(&part[..read]).into_owned()
}

fn status(answer: &str) -> u16 {
    answer.strip_prefix("HTTP/1.1 ").map_or(0, |rest| rest[..3].parse().unwrap())
}

/// The same bytes to the edge, and to Node-RED behind it: both are shown, so that a change of either is seen.
#[test]
fn what_is_ambiguous_or_internal_reaches_node_red_only_past_the_edge() {
    let staging = Staging::with("");
    staging.checkout.done(&["dev", "qa", "--detach", "--no-watch"]);
    let port = |service: &str, port: &str| staging.service(service)["ports"][port].to_string();
    let (edge, flows) = (port("edge", "https"), port("node-red-a", "flows"));
    staging.await_served("node-red-a");
    let mut wrong = Vec::new();
    for case in CASES {
        let bytes = case.bytes(QUEUES);
        let (through, direct) = (over_tls(&edge, &bytes), in_the_clear(&flows, &bytes));
        let found = (status(&through), status(&direct));
        // It asks for a key, or for another method: so it has understood the rest.
        let passed = [401, 405].contains(&found.0);
        let right = match case.edge {
            AtEdge::Refused(statuses) => found.0 == 0 || statuses.contains(&found.0),
            AtEdge::Passed { .. } => passed,
            AtEdge::RefusedOrPassed => passed || found.0 == 400,
        };
        if !right || found.1 != case.node_red {
            wrong.push(format!("{}: {found:?}, expected {:?} and {}", case.name, case.edge, case.node_red));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");

    // Only who is inside may choose a queue; from outside, the header does not arrive.
    let key = staging.checkout.read(".flowship/qa/secrets/api-key");
    let body = r#"{"input":{"text":"from outside"}}"#;
    let request = format!(
        "POST {TASKS} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Flowship-Queue: smoke-x\r\nContent-Length: {}\r\n\r\n{body}",
        key.trim(),
        body.len()
    );
    assert_eq!(status(&in_the_clear(&flows, request.as_bytes())), 403);
    assert_eq!(status(&over_tls(&edge, request.as_bytes())), 202);
    staging.checkout.done(&["smoke", "qa"]);
}

#[test]
fn a_certificate_that_cannot_be_had_is_refused_before_anything_runs() {
    for (tls, told) in [
        ("acme_contact = \"a@example.com\"", "port 80 of flows.example.com; expected a table [listen]"),
        ("certificate_file = \"none.crt\"\nkey_file = \"none.key\"", "none.crt: No such file"),
    ] {
        let staging = Staging::with(&format!("[tls]\n{tls}\n"));
        let refused = staging.checkout.run(&["dev", "qa", "--detach"]);
        assert_eq!(refused.code, Some(2), "{refused:#?}");
        refused.says(&["ops/environments/qa.toml", "[tls]", told]);
        staging.checkout.nothing_runs();
        assert!(!staging.checkout.path(".flowship/qa/secrets").exists());
    }
}
