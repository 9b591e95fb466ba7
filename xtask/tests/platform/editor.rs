//! The editor of a running platform, through the link that its users get; and what web pages get from any port that
//! `dev` opens. That browsers send what is sent here is proven in `flows/test/browser/`.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use serde_json::{Value, json};

use crate::checkout::{Checkout, OPS_TOKEN};
use crate::flow_files::{FLOWS, endpoint};
use crate::until;
use crate::web::{Answer, ask, get};

#[test]
fn the_editor_opens_by_its_link_and_refuses_what_would_not_run() {
    let checkout = Checkout::new();
    let panel = checkout.done(&["dev", "--detach", "--inspect"]).out;
    let status = checkout.done(&["status"]).out;
    let link = link_in(&status);
    assert_eq!(link_in(&panel), link, "{panel}");
    let services = checkout.status();
    let described = services.as_array().unwrap().iter().find(|one| one["name"] == "node-red-a").unwrap();
    assert_eq!(described["editor"], link, "{services:#}");

    opens(&checkout, &link);
    refused_deployments(&checkout);
    no_page_gets_anything(&checkout);

    assert_eq!(checkout.failed_checks(), [""; 0]);
    fewer_flows_than_there_should_be(&checkout);
}

#[track_caller]
fn link_in(text: &str) -> String {
    let link = text.split_whitespace().find(|word| word.contains("/admin/?token="));
    link.unwrap_or_else(|| panic!("no link: {text}")).to_owned()
}

fn opens(checkout: &Checkout, link: &str) {
    let port = checkout.port("node-red-a", "editor");
    let path = link.strip_prefix(&format!("http://127.0.0.1:{port}")).unwrap();
    let entered = raw(port, "GET", path, &[], "");
    assert!(entered.starts_with("HTTP/1.1 200"), "{entered}");
    let cookie = entered.lines().find_map(|line| line.strip_prefix("Set-Cookie: ")).unwrap();
    assert!(cookie.ends_with("HttpOnly; SameSite=Strict"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap();
    let editor = raw(port, "GET", "/admin/", &[("Cookie", cookie)], "");
    assert!(editor.starts_with("HTTP/1.1 200") && editor.contains("<title>Flowship</title>"), "{editor}");
    assert!(raw(port, "GET", "/admin/", &[], "").starts_with("HTTP/1.1 401"));
}

fn deploy(checkout: &Checkout, nodes: &[Value]) -> Answer {
    let smoke: Vec<Value> = serde_json::from_str(&checkout.read("flows/test-smoke.json")).unwrap();
    let all = serde_json::to_string(&[nodes, &smoke].concat()).unwrap();
    let url = checkout.url("node-red-a", "editor", "/admin/flows");
    ask("POST", &url, Some(checkout.read(OPS_TOKEN).trim()), Some(&all)).unwrap()
}

/// By the same gate as `cargo xtask check flows`, with file, line and node; what ran runs on.
fn refused_deployments(checkout: &Checkout) {
    let before = checkout.read(FLOWS);
    let faults = [
        (
            vec![
                json!({ "id": "off", "type": "tab", "label": "Off", "disabled": true, "info": "" }),
                json!({ "id": "odd", "type": "no-such-node", "z": "off", "name": "odd one", "x": 1, "y": 1, "wires": [] }),
            ],
            r#"[unknown-type] node "odd one" (odd) on "Off": "#,
        ),
        (
            vec![json!({
                "id": "lonely", "type": "http in", "z": "api", "name": "lonely", "url": "/lonely", "method": "get",
                "upload": false, "x": 1, "y": 1, "wires": [[]],
            })],
            r#"[no-response] node "lonely" (lonely) on "#,
        ),
        (
            vec![json!({
                "id": "slip", "type": "function", "z": "api", "name": "slip", "func": "return msg.;", "outputs": 1,
                "x": 1, "y": 1, "wires": [[]],
            })],
            r#"[code] node "slip" (slip) on "API": its func does not parse as the code of a function at line 1, column 12"#,
        ),
    ];
    for (more, finding) in faults {
        let answer = deploy(checkout, &[checkout.flows(), more].concat());
        assert_eq!(answer.status, 422, "{answer:?}");
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains("\nflows/flows.json:") && message.contains(finding), "{message}");
        assert_eq!(checkout.read(FLOWS), before);
        assert_eq!(checkout.api("GET", "/queues", None).unwrap().status, 200);
        shows_refusal(checkout, "Deploy", finding);
    }
    let answer = deploy(checkout, &[checkout.flows(), endpoint("deployed", "from the editor", 0)].concat());
    assert_eq!(answer.status, 204, "{answer:?}");
    until("what was deployed answers", || {
        get(&checkout.url("node-red-a", "flows", "/deployed"))
            .filter(|answer| answer.body == "from the editor")
    });
    assert_eq!(refusal(checkout), Value::Null);
    a_save_beside_the_editor(checkout);
}

/// Nobody looks at what a detached `dev` prints.
fn a_save_beside_the_editor(checkout: &Checkout) {
    let good = checkout.read(FLOWS);
    checkout.edit_flows(|nodes| {
        let say = nodes.iter_mut().find(|node| node["id"] == "test-deployed-say").unwrap();
        say["wires"] = json!([["nowhere"]]);
    });
    until("the refusal is known", || (refusal(checkout)["what"] == "flows.json").then_some(()));
    shows_refusal(checkout, "flows.json", "[wire] node \"say\" (test-deployed-say) on ");
    checkout.write(FLOWS, &good);
    until("a good save takes the refusal away", || refusal(checkout).is_null().then_some(()));
    assert!(!checkout.done(&["status"]).out.contains("was refused"));
}

/// The platform stays healthy.
fn shows_refusal(checkout: &Checkout, what: &str, finding: &str) {
    let refusal = refusal(checkout);
    let reason = refusal["reason"].as_str().unwrap();
    assert!(refusal["what"] == what && reason.contains(finding), "{refusal:#}");
    assert!(reason.starts_with("flows/flows.json:") && refusal["at"].is_string(), "{refusal:#}");
    let status = checkout.done(&["status"]).out;
    assert!(status.contains(&format!("\nnode-red-a: {what} was refused at ")), "{status}");
    assert!(status.contains(finding), "{status}");
}

fn refusal(checkout: &Checkout) -> Value {
    let services = checkout.status();
    services.as_array().unwrap().iter().find(|one| one["name"] == "node-red-a").unwrap()["refused"].clone()
}

/// Another name for this machine (DNS rebinding), a simple request from another origin, and an upgrade.
fn no_page_gets_anything(checkout: &Checkout) {
    let foreign = ("Origin", "http://evil.example");
    let plain = ("Content-Type", "text/plain");
    let bearer = format!("Bearer {}", checkout.read(OPS_TOKEN).trim());
    let token = ("Authorization", bearer.as_str());
    let tool = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let status = |answer: String| answer.split(' ').nth(1).unwrap_or_default().to_owned();
    for (service, name, method, path, headers, body, expected) in [
        ("node-red-a", "flows", "GET", "/api/v1/queues", vec![("Host", "rebound.example")], "", "403"),
        ("node-red-a", "flows", "POST", "/api/v1/queues/tasks/drain", vec![foreign, plain], "{}", "401"),
        ("node-red-a", "ready", "GET", "/readyz", vec![("Host", "rebound.example")], "", "403"),
        ("node-red-a", "ops", "GET", "/metrics", vec![("Host", "rebound.example")], "", "403"),
        ("node-red-a", "ops", "POST", "/drain", vec![foreign, plain, token], "{}", "403"),
        ("node-red-a", "editor", "POST", "/admin/flow", vec![foreign, plain, token], "{}", "403"),
        ("node-red-a", "editor", "GET", "/admin/flows", vec![("Host", "rebound.example"), token], "", "403"),
        (
            "mcp-tools",
            "mcp",
            "POST",
            "/mcp",
            vec![foreign, ("Content-Type", "application/json")],
            tool,
            "403",
        ),
        ("mcp-tools", "mcp", "POST", "/mcp", vec![("Host", "rebound.example")], tool, "403"),
        (
            "mcp-tools",
            "mcp",
            "POST",
            "/mcp",
            vec![plain, ("Accept", "application/json, text/event-stream")],
            tool,
            "415",
        ),
        ("mcp-tools", "mcp", "GET", "/mcp", vec![], "", "405"),
        ("llm", "api", "POST", "/v1/chat/completions", vec![foreign, plain], "{}", "401"),
        ("llm", "api", "POST", "/__aimock/reset", vec![foreign, plain], "{}", "401"),
        ("llm", "api", "GET", "/v1/_requests", vec![("Host", "rebound.example")], "", "401"),
    ] {
        let answer = raw(checkout.port(service, name), method, path, &headers, body);
        assert_eq!(status(answer.clone()), expected, "{service}.{name} {path} {headers:?}: {answer}");
    }

    let inspect = checkout.status();
    let inspect =
        inspect.as_array().unwrap().iter().find_map(|one| one["ports"]["inspect"].as_u64()).unwrap();
    let inspect = u16::try_from(inspect).unwrap();
    assert_eq!(status(raw(inspect, "GET", "/json", &[], "")), "200", "the debugger is there");
    let rebound = raw(inspect, "GET", "/json", &[("Host", "rebound.example")], "");
    assert_eq!(status(rebound.clone()), "400", "{rebound}");
    assert!(!raw(inspect, "GET", "/json", &[foreign], "").contains("Access-Control"), "no page reads its id");

    let sql = raw(checkout.port("postgres", "sql"), "POST", "/", &[foreign], "SELECT 1");
    assert!(!sql.contains("HTTP"), "{sql}");
    let control = std::fs::metadata(checkout.path(".flowship/dev/supervisor/ctl.sock")).unwrap();
    let folder = std::fs::metadata(checkout.path(".flowship/dev/supervisor")).unwrap();
    let modes = [&control, &folder].map(|found| found.permissions().mode() & 0o777);
    assert!(
        modes.iter().any(|mode| mode & 0o077 == 0),
        "others on this machine can ask the supervisor: {modes:?}"
    );
}

/// A file that nobody may load, and a restart: then nothing runs, and nobody says otherwise.
fn fewer_flows_than_there_should_be(checkout: &Checkout) {
    checkout.edit_flows(|nodes| {
        nodes.push(json!({ "id": "odd", "type": "no-such-node", "z": "api", "x": 1, "y": 1, "wires": [] }))
    });
    checkout.pid("node-red-a").signal(rustix::process::Signal::TERM);
    until("it is said to be unhealthy", || {
        let ended = checkout.run(&["status"]);
        (ended.code == Some(1) && ended.out.contains("no-such-node")).then_some(())
    });
}

/// What a server answers to these very bytes; `Host` is its own address unless a header says otherwise.
fn raw(port: u16, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    // The debugger keeps connections open, whatever a client asks for: what has come by then is its answer.
    stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
    if !headers.iter().any(|(name, _)| *name == "Host") {
        head += &format!("Host: 127.0.0.1:{port}\r\n");
    }
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    if !body.is_empty() {
        head += &format!("Content-Length: {}\r\n", body.len());
    }
    stream.write_all(format!("{head}\r\n{body}").as_bytes()).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}
