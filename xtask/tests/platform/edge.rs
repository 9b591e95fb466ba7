//! The edge in front of the replicas, in an environment that is not development.

use rustix::process::Signal;
use serde_json::Value;
use ureq::Agent;

use crate::checkout::Checkout;
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
            load.goes_on();
            before.signal(Signal::TERM);
            until(&format!("{name} runs again"), || {
                let now = staging.service(name);
                (now["pid"] != before.0 && now["health"] == "healthy").then_some(())
            });
            staging.await_served(name);
        }
        load.goes_on();
    });
    let failed = load.failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} of {} failed: {failed:#?}", failed.len(), load.sent.into_inner());
    checkout.done(&["smoke", "qa"]);
    another_certificate_is_served_without_a_restart(&staging, key.trim());
}

fn another_certificate_is_served_without_a_restart(staging: &Staging, key: &str) {
    let (before, pid) = (staging.checkout.read(CERTIFICATE), staging.pid("edge"));
    std::fs::remove_file(staging.checkout.path(CERTIFICATE)).unwrap();
    staging.checkout.done(&["dev", "qa", "--detach", "--no-watch"]);
    let url = format!("{}{QUEUES}", staging.edge("https"));
    // A new connection each time: the old worker may still take one.
    let is_trusted = |pem: &str| web::ask_with(&web::trusting(pem), "GET", &url, Some(key), None).is_some();
    let now = staging.checkout.read(CERTIFICATE);
    until("the new certificate alone is served", || (is_trusted(&now) && !is_trusted(&before)).then_some(()));
    assert_eq!(staging.pid("edge"), pid);
}

#[test]
fn a_certificate_that_cannot_be_had_is_refused_before_anything_runs() {
    for (tls, told) in [
        ("acme_contact = \"a@example.com\"", "no certificate is fetched over ACME on the process engine yet"),
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
