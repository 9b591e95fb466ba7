//! A drill notices what is lost, and leaves nothing, however it ends.

use std::fs;

use crate::background::Background;
use crate::checkout::Checkout;
use crate::tree;
use crate::until;

/// A checkout that releases can be made of.
fn checkout() -> Checkout {
    let checkout = Checkout::new();
    tree::copy(&["Cargo.lock", "Cargo.toml", ".gitignore"], &checkout.root());
    checkout
}

#[test]
#[ignore = "slow: `cargo xtask ci slow-tests` runs it"]
fn a_drill_without_draining_shows_what_it_loses_and_leaves_nothing() {
    let checkout = checkout();
    let ended = checkout.run(&["drill", "deploy", "--count", "1", "--without-drain", "--json"]);
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    let found = ended.json();
    assert!(found["failed"].as_u64().unwrap() > 0, "{found:#}");
    let problems = found["problems"].as_array().unwrap();
    assert!(problems[0].as_str().unwrap().contains("requests failed"), "{found:#}");
    checkout.nothing_runs();
}

#[test]
fn the_next_command_removes_what_a_killed_drill_left() {
    let checkout = checkout();
    let mut drill = Background::start(checkout.command(&["drill", "deploy", "--count", "1"]));
    until("a supervisor", || {
        checkout.processes().iter().any(|process| process.contains("supervise")).then_some(())
    });
    drill.pid().kill();
    assert_eq!(drill.code(), None);
    let ended = checkout.done(&["environment", "list"]);
    ended.says(&["was killed; what it left is gone"]);
    checkout.nothing_runs();
    let left = fs::read_dir(checkout.path(".flowship")).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(left.iter().all(|name| !name.starts_with("drill")), "{left:?}");
}
