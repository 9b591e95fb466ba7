//! `dev` in the foreground and its ends: Ctrl-C, SIGTERM, kill -9 of it, kill -9 of its supervisor.

use rustix::process::Signal;

use crate::background::Background;
use crate::checkout::Checkout;
use crate::until;

fn dev(checkout: &Checkout) -> Background {
    Background::start(checkout.command(&["dev"]))
}

#[test]
fn however_it_ends_nothing_is_left_or_lost() {
    let checkout = Checkout::new();
    interrupted_while_it_comes_up(&checkout);
    killed_while_it_initialises(&checkout);

    let mut first = dev(&checkout);
    first.await_line(0, &["Flows, nodes and migrations take effect when you save them."]);
    let task = checkout.submit("Keep this.");
    checkout.finished(&task);
    first.await_line(0, &["node-red-a", "the task is completed", &task]);
    first.interrupt();
    assert_eq!(first.code(), Some(0), "{:#?}", first.printed());
    checkout.nothing_runs();

    its_command_is_killed(&checkout);
    its_supervisor_is_killed(&checkout);
    assert_eq!(checkout.failed_checks(), [""; 0]);
    its_supervisor_is_killed_under_its_eyes(&checkout);

    let mut last = dev(&checkout);
    last.await_line(0, &["stop", "Ctrl-C"]);
    assert_eq!(checkout.finished(&task)["status"], "completed");
    last.pid().signal(Signal::TERM);
    assert_eq!(last.code(), Some(0), "{:#?}", last.printed());
    checkout.nothing_runs();
}

fn interrupted_while_it_comes_up(checkout: &Checkout) {
    let mut early = dev(checkout);
    early.await_line(0, &["start mcp-tools"]);
    early.interrupt();
    assert_eq!(early.code(), Some(130), "{:#?}", early.printed());
    checkout.nothing_runs();
}

/// What it has left at work does not spoil the next one's data folder.
fn killed_while_it_initialises(checkout: &Checkout) {
    checkout.done(&["reset", "--yes"]);
    let mut early = dev(checkout);
    let initdb = || checkout.processes().iter().any(|process| process.contains("initdb"));
    until("PostgreSQL is initialised", || initdb().then_some(()));
    early.pid().signal(Signal::KILL);
    assert_eq!(early.code(), None);
    checkout.up();
    assert_eq!(checkout.failed_checks(), [""; 0]);
    taken_down_by_another_command(checkout);
}

fn taken_down_by_another_command(checkout: &Checkout) {
    let mut watching = dev(checkout);
    watching.await_line(0, &["stop", "Ctrl-C"]);
    checkout.done(&["down"]);
    assert_eq!(watching.code(), Some(0), "{:#?}", watching.printed());
    watching.await_line(0, &["another command stopped it"]);
    checkout.nothing_runs();
}

fn its_command_is_killed(checkout: &Checkout) {
    let mut killed = dev(checkout);
    killed.await_line(0, &["stop", "Ctrl-C"]);
    let before = checkout.pids();
    killed.pid().signal(Signal::KILL);
    assert_eq!(killed.code(), None);
    checkout.done(&["status"]);
    let next = checkout.up();
    assert_eq!(checkout.pids(), before, "{next:#?}");
}

fn its_supervisor_is_killed(checkout: &Checkout) {
    let before = checkout.processes();
    checkout.control().pid().kill();
    let next = checkout.up();
    next.says(&["the supervisor was killed; stopped what it left", "(process "]);
    let now = checkout.processes();
    assert!(before.iter().all(|old| !now.contains(old)), "{before:#?} {now:#?}");
}

/// It runs already: the foreground takes it over, and ends when there is nobody left to ask.
fn its_supervisor_is_killed_under_its_eyes(checkout: &Checkout) {
    let before = checkout.pids();
    let mut watching = dev(checkout);
    watching.await_line(0, &["stop", "Ctrl-C"]);
    assert_eq!(checkout.pids(), before);
    checkout.control().pid().kill();
    assert_eq!(watching.code(), Some(1), "{:#?}", watching.printed());
    watching.await_line(0, &["stopped what it left", "(process "]);
    until("nothing runs", || checkout.processes().is_empty().then_some(()));
}
