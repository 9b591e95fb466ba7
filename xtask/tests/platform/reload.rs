//! What editing does to a running platform: flows, nodes and migrations take effect, alone, and it is said.

use rustix::process::Signal;

use crate::background::Background;
use crate::checkout::{Checkout, OPS_TOKEN};
use crate::flow_files::{FLOWS, endpoint};
use crate::until;
use crate::web::{ask, get};

#[test]
fn edits_take_effect_without_a_restart_of_the_rest() {
    let checkout = Checkout::new();
    let mut dev = Background::start(checkout.command(&["dev"]));
    dev.await_line(0, &["take effect when you save them"]);
    let before = checkout.pids();
    let mut seen = dev.printed().len();

    checkout.edit_flows(|nodes| nodes.extend(endpoint("greeting", "hello", 0)));
    dev.await_line(seen, &["node-red-a", "flows.json changed"]);
    assert_eq!(checkout.pids(), before, "a change of the flows restarts nothing");
    let greeting = checkout.url("node-red-a", "flows", "/greeting");
    assert_eq!(get(&greeting).unwrap().body, "hello");

    seen = dev.printed().len();
    broken_flows_are_refused(&checkout, &mut dev, seen);
    assert_eq!(get(&greeting).unwrap().body, "hello");
    assert_eq!(checkout.pids(), before);

    seen = dev.printed().len();
    checkout.edit_flows(|nodes| nodes.extend(endpoint("slow", "at last", 3)));
    dev.await_line(seen, &["node-red-a", "flows.json changed"]);
    the_editor_deploys(&checkout, &mut dev);
    a_node_is_edited(&checkout, &mut dev);
    migrations(&checkout, &mut dev);
    a_request_in_flight_outlives_sigterm(&checkout);

    assert_eq!(checkout.failed_checks(), [""; 0]);
    dev.interrupt();
    assert_eq!(dev.code(), Some(0));
}

fn broken_flows_are_refused(checkout: &Checkout, dev: &mut Background, seen: usize) {
    let good = checkout.read(FLOWS);
    checkout.edit_flows(|nodes| {
        let say = nodes.iter_mut().find(|node| node["id"] == "test-greeting-say").unwrap();
        say["wires"] = serde_json::json!([["nowhere"]]);
    });
    dev.await_line(seen, &["node-red-a", "flows.json changed: FAILED: check-flows"]);
    dev.await_line(seen, &[FLOWS, "test-greeting-say", "nowhere"]);
    assert_eq!(get(&checkout.url("node-red-a", "flows", "/greeting")).unwrap().body, "hello");

    let seen = dev.printed().len();
    checkout.write(FLOWS, &good[..good.len() / 2]);
    dev.await_line(seen, &["node-red-a", "flows.json changed: FAILED: check-flows"]);
    dev.await_line(seen, &[FLOWS, "the file ends too early"]);
    assert_eq!(get(&checkout.url("node-red-a", "flows", "/greeting")).unwrap().body, "hello");

    let seen = dev.printed().len();
    checkout.write(FLOWS, &good);
    dev.await_line(seen, &["node-red-a", "flows.json changed"]);
}

/// Node-RED writes the file then, and what is watched is what it wrote: nothing is done twice, nothing goes wrong.
fn the_editor_deploys(checkout: &Checkout, dev: &mut Background) {
    let (before, seen) = (checkout.pids(), dev.printed().len());
    let smoke: Vec<serde_json::Value> =
        serde_json::from_str(&checkout.read("flows/test-smoke.json")).unwrap();
    let all = [checkout.flows(), smoke, endpoint("deployed", "from the editor", 0)].concat();
    let editor = checkout.url("node-red-a", "editor", "/admin/flows");
    let token = checkout.read(OPS_TOKEN);
    let all = serde_json::to_string(&all).unwrap();
    let answer = ask("POST", &editor, Some(token.trim()), Some(&all)).unwrap();
    assert!((200..300).contains(&answer.status), "{answer:?}");
    dev.await_line(seen, &["node-red-a", "flows.json changed"]);
    assert_eq!(get(&checkout.url("node-red-a", "flows", "/deployed")).unwrap().body, "from the editor");
    let text = checkout.read(FLOWS);
    assert!(
        text.contains("test-deployed-say") && !text.contains("smoke-in"),
        "smoke tabs stay in their file"
    );
    assert!(dev.printed()[seen..].iter().all(|line| !line.contains("FAILED")), "{:#?}", dev.printed());
    assert_eq!(checkout.pids(), before);
}

fn only_node_red_is_new(before: &[(String, Option<i64>)], now: &[(String, Option<i64>)]) {
    for (old, new) in before.iter().zip(now) {
        assert_eq!(old == new, old.0 != "node-red-a", "{before:?} {now:?}");
    }
}

fn a_node_is_edited(checkout: &Checkout, dev: &mut Background) {
    let (before, seen) = (checkout.pids(), dev.printed().len());
    let in_flight = SlowRequest::begin(checkout);
    let node = "flows/nodes/api-problem.js";
    checkout.write(node, &format!("{}// edited\n", checkout.read(node)));
    dev.await_line(seen, &["api-problem.js changed: restarted node-red-a"]);
    only_node_red_is_new(&before, &checkout.pids());
    in_flight.completes();
}

fn migrations(checkout: &Checkout, dev: &mut Background) {
    let (before, seen) = (checkout.pids(), dev.printed().len());
    let migration = |number: u32, sql: &str| {
        let text = format!("-- migrate:up\n{sql}\n\n-- migrate:down\n");
        checkout.write(&format!("flows/migrations/2099010100000{number}_test.sql"), &text);
    };
    migration(1, "CREATE TABLE flowship.added_while_running (id int);");
    dev.await_line(seen, &["20990101000001_test.sql changed: ran migrate"]);
    assert_eq!(checkout.sql("SELECT count(*) FROM flowship.added_while_running"), ["0"]);

    let seen = dev.printed().len();
    migration(2, "CREATE TABLE broken (;");
    dev.await_line(seen, &["20990101000002_test.sql changed: FAILED: migrate", "migrate.log"]);
    dev.await_line(seen, &["syntax error"]);
    assert_eq!(checkout.pids(), before, "a migration restarts nothing");
    std::fs::remove_file(checkout.path("flows/migrations/20990101000002_test.sql")).unwrap();

    // No older release is in the way of a contract migration here.
    let seen = dev.printed().len();
    std::fs::create_dir_all(checkout.path("flows/migrations/contract")).unwrap();
    checkout.write(
        "flows/migrations/contract/20990201000001_test.sql",
        "-- migrate:up\nDROP TABLE flowship.added_while_running;\n\n-- migrate:down\n",
    );
    dev.await_line(seen, &["changed: ran migrate"]);
    assert_eq!(checkout.sql("SELECT to_regclass('flowship.added_while_running')"), [""]);
}

fn a_request_in_flight_outlives_sigterm(checkout: &Checkout) {
    let before = checkout.pids();
    let in_flight = SlowRequest::begin(checkout);
    checkout.pid("node-red-a").signal(Signal::TERM);
    in_flight.completes();
    until("node-red is started again", || (checkout.pids() != before).then_some(()));
    until("it is healthy", || (checkout.run(&["status"]).code == Some(0)).then_some(()));
    only_node_red_is_new(&before, &checkout.pids());
}

/// A request that takes three seconds.
struct SlowRequest {
    answer: std::thread::JoinHandle<Option<crate::web::Answer>>,
}

impl SlowRequest {
    /// Returns when it is in flight.
    fn begin(checkout: &Checkout) -> Self {
        let (slow, metrics) =
            (checkout.url("node-red-a", "flows", "/slow"), checkout.url("node-red-a", "ops", "/metrics"));
        let answer = std::thread::spawn(move || get(&slow));
        until("the request is in flight", || {
            let metrics = get(&metrics)?.body;
            let in_flight =
                metrics.lines().find_map(|line| line.strip_prefix("flowship_http_requests_in_flight"))?;
            (!in_flight.ends_with(" 0")).then_some(())
        });
        Self { answer }
    }

    fn completes(self) {
        let answer = self.answer.join().unwrap().expect("it is answered");
        assert_eq!((answer.status, answer.body.as_str()), (200, "at last"));
    }
}
