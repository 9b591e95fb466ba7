//! Who gets which ports: two checkouts side by side, ports that are taken, ports that are fixed, the debugger.

use std::net::TcpListener;

use rustix::process::Signal;

use crate::background::Background;
use crate::checkout::Checkout;
use crate::free_ports;
use crate::web::get;

const DEV: &str = "ops/environments/dev.toml";

#[test]
fn two_checkouts_run_side_by_side() {
    let (one, other) = (Checkout::new(), Checkout::new());
    // Whatever is in the way of the other's own block: here its second port.
    let plan = other.done(&["dev", "--dry-run"]).out;
    let own: u16 =
        plan.split(" -c port=").nth(1).unwrap().split_whitespace().next().unwrap().parse().unwrap();
    let in_the_way = TcpListener::bind(("127.0.0.1", own)).unwrap();
    a_fixed_port_that_is_taken(&other, own);

    one.up();
    let moved = other.up();
    moved.says(&[&format!("port {own}"), &format!("pid {}", std::process::id()), "another block of ports"]);
    assert_ne!(other.port("postgres", "sql"), own);
    drop(in_the_way);

    assert_eq!(one.failed_checks(), [""; 0]);
    assert_eq!(other.failed_checks(), [""; 0]);
    the_debugger_opens_without_moving_the_rest(&other);
    one.done(&["down"]);
    one.nothing_runs();
    other.done(&["status"]);
    fixed_ports(&one);
}

fn a_fixed_port_that_is_taken(checkout: &Checkout, taken: u16) {
    let before = checkout.read(DEV);
    checkout.write(DEV, &format!("{before}\n[ports]\nnode-red.flows = {taken}\n"));
    let refused = checkout.run(&["dev", "--detach"]);
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    let who = format!("(pid {})", std::process::id());
    refused.says(&[&format!("port {taken}"), "node-red.flows", &who, "ops/environments/dev.toml"]);
    checkout.nothing_runs();
    checkout.write(DEV, &before);
}

/// A number that another service would have by default is not given twice.
fn fixed_ports(checkout: &Checkout) {
    let wanted = checkout.port("postgres", "sql");
    checkout.write(DEV, &format!("{}\n[ports]\nnode-red.flows = {wanted}\n", checkout.read(DEV)));
    checkout.up();
    assert_eq!(checkout.port("node-red-a", "flows"), wanted);
    assert_ne!(checkout.port("postgres", "sql"), wanted);
    assert_eq!(checkout.failed_checks(), [""; 0]);
}

#[test]
fn of_two_at_once_the_loser_names_the_other_and_nothing_besides() {
    let checkout = Checkout::new();
    let before = checkout.read(DEV);
    for fixed in [false, true] {
        let [free] = free_ports::free();
        if fixed {
            checkout.write(DEV, &format!("{before}\n[ports]\nllm.api = {free}\n"));
        }
        let mut winner = Background::start(checkout.command(&["dev"]));
        winner.await_line(0, &["llm is healthy"]);
        // It holds on in the middle: its services have their ports.
        winner.pid().signal(Signal::STOP);
        let loser = checkout.run(&["dev", "--detach"]);
        winner.pid().signal(Signal::CONT);
        assert_eq!(loser.code, Some(1), "{loser:#?}");
        let held = "/.flowship/dev/lock is held by ";
        loser.says(&[held, &format!("process {}, `cargo xtask", winner.pid().0)]);
        assert!(!loser.errors.contains("taken") && loser.errors.lines().count() == 1, "{loser:#?}");
        winner.await_line(0, &["stop", "Ctrl-C"]);
        winner.interrupt();
        assert_eq!(winner.code(), Some(0), "{:#?}", winner.printed());
    }
}

fn the_debugger_opens_without_moving_the_rest(checkout: &Checkout) {
    let (before, port_of_database) = (checkout.pids(), checkout.port("postgres", "sql"));
    let panel = checkout.done(&["dev", "--detach", "--inspect"]).out;
    let shown = debugger(checkout).split('/').nth(2).unwrap().to_owned();
    let row =
        panel.lines().find(|line| line.contains("node-red-a.inspect")).unwrap_or_else(|| panic!("{panel}"));
    assert!(row.contains(&shown), "{row} {shown}");
    let port = shown.rsplit(':').next().unwrap();
    let table = checkout.done(&["status"]).out;
    assert!(table.contains(&format!("inspect={port}")), "{table}");
    let inspected = get(&debugger(checkout)).unwrap();
    assert!(inspected.status == 200 && inspected.body.contains("node.js"), "{inspected:?}");
    let [free] = free_ports::free();
    let json = checkout.done(&["dev", "--detach", "--json", "--inspect", &free.to_string()]).json();
    assert_eq!(json["debugger_port"], free, "{json:#}");
    let inspected = get(&format!("http://127.0.0.1:{free}/json/version")).unwrap();
    assert_eq!(inspected.status, 200);
    assert_eq!(checkout.port("postgres", "sql"), port_of_database);
    let others = |pids: Vec<(String, Option<i64>)>| {
        pids.into_iter().filter(|(name, _)| name != "node-red-a").collect::<Vec<_>>()
    };
    assert_eq!(others(checkout.pids()), others(before));
}

/// As `status` shows it.
fn debugger(checkout: &Checkout) -> String {
    let status = checkout.status();
    let node_red = status.as_array().unwrap().iter().find(|one| one["name"] == "node-red-a").unwrap();
    format!("http://127.0.0.1:{}/json/version", node_red["ports"]["inspect"])
}
