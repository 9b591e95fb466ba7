//! `release publish` that is killed, refused or run twice at once: a rerun ends where an undisturbed run ends.

use std::thread;

use super::publish::is_public;
use super::workshop::{Ended, Workshop};

const PUBLISH: [&str; 3] = ["release", "publish", "--execute"];

/// What asks, and what acts; of the files one stands for all.
const ASKS: [&str; 4] = ["checks", "git-ls-remote", "list", "get"];
const ACTS: [&str; 5] = ["git-tag", "git-push", "create", "upload-SHA256SUMS", "publish"];

#[test]
fn these_are_all_calls() {
    let workshop = Workshop::packaged();
    workshop.stand_in("git");
    workshop.done(&PUBLISH);
    for call in workshop.calls() {
        let known =
            call.starts_with("upload-") || ASKS.contains(&call.as_str()) || ACTS.contains(&call.as_str());
        assert!(known, "{call} is broken by no test");
    }
    for call in ASKS.iter().chain(&ACTS) {
        assert!(workshop.calls().iter().any(|made| made == call), "{call} is not made any more");
    }
}

/// Breaks the calls of one kind, then runs undisturbed.
fn broken(kind: &str, when: &str, how: &str) {
    let fault = format!("{kind}:{when}:{how}");
    let workshop = Workshop::packaged();
    workshop.stand_in("git");
    let output = workshop.command(&PUBLISH).env("STUB_FAULT", &fault).output().unwrap();
    let ended = Ended::of(&output);
    if how == "kill" {
        use std::os::unix::process::ExitStatusExt as _;
        assert_eq!(output.status.signal(), Some(9), "{fault}: {ended:#?}");
    } else {
        // A push whose answer is lost has arrived all the same, which the next question shows.
        if (kind, when) == ("git-push", "after") {
            assert_eq!(ended.code, Some(0), "{fault}: {ended:#?}");
            return is_public(&workshop);
        }
        assert_eq!(ended.code, Some(1), "{fault}: {ended:#?}");
        assert!(ended.errors.contains("check your internet connection"), "{fault}: {ended:#?}");
        let told =
            ended.errors.contains("run the same command again") || ended.errors.contains("nothing was done");
        assert!(told, "{fault}: {ended:#?}");
    }
    let state = workshop.state();
    let public = state["releases"].as_array().unwrap().iter().any(|release| release["draft"] == false);
    assert_eq!(public, kind == "publish" && when == "after", "{fault}: {state:#}");
    workshop.done(&PUBLISH);
    is_public(&workshop);
}

#[test]
fn after_a_kill_before_any_act_a_rerun_ends_well() {
    ACTS.iter().for_each(|kind| broken(kind, "before", "kill"));
}

#[test]
fn after_a_kill_behind_any_act_a_rerun_ends_well() {
    ACTS.iter().for_each(|kind| broken(kind, "after", "kill"));
}

#[test]
fn after_a_failure_of_any_question_a_rerun_ends_well() {
    ASKS.iter().for_each(|kind| broken(kind, "before", "fail"));
}

#[test]
fn after_a_failure_of_any_act_a_rerun_ends_well() {
    ACTS.iter().for_each(|kind| broken(kind, "before", "fail"));
}

#[test]
fn an_act_whose_answer_is_lost_is_seen_by_the_rerun() {
    ["git-push", "create", "publish"].iter().for_each(|kind| broken(kind, "after", "fail"));
}

#[test]
fn of_two_at_once_in_one_checkout_the_second_names_the_first() {
    let workshop = Workshop::packaged();
    // The first one waits in the middle until the second one has ended.
    let gate = workshop.github().join("gate");
    std::fs::write(&gate, "").unwrap();
    let mut first = workshop.command(&PUBLISH).env("STUB_WAIT", "create").spawn().unwrap();
    workshop.until("the first one makes a draft", || workshop.calls().iter().any(|call| call == "create"));
    let second = workshop.run(&PUBLISH);
    assert_eq!(second.code, Some(1), "{second:#?}");
    second.says(&[
        "publish/lock is held by",
        "release publish --execute",
        &format!("process {}", first.id()),
    ]);
    std::fs::remove_file(&gate).unwrap();
    assert!(first.wait().unwrap().success());
    is_public(&workshop);
}

#[test]
fn of_two_at_once_on_two_machines_one_makes_the_draft() {
    let workshop = Workshop::packaged();
    // Somebody else's draft appears between the question and the making of ours.
    let output = workshop.command(&PUBLISH).env("STUB_RIVAL", "create").output().unwrap();
    let ended = Ended::of(&output);
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    ended.says(&["another publication of v0.1.0 is running", "wait until it has ended"]);
    assert_eq!(workshop.state()["releases"].as_array().unwrap().len(), 1, "ours was taken back");
    workshop.done(&PUBLISH);
    is_public(&workshop);
}

#[test]
fn two_checkouts_that_publish_at_once_end_with_one_release() {
    let workshop = Workshop::packaged();
    let other = workshop.second_checkout();
    let ended: Vec<_> = thread::scope(|scope| {
        let both = [workshop.root(), other].map(|root| {
            let workshop = &workshop;
            scope.spawn(move || Ended::of(&workshop.command_in(&root, &PUBLISH).output().unwrap()))
        });
        both.into_iter().map(|one| one.join().unwrap()).collect()
    });
    for one in &ended {
        let told =
            one.errors.contains("another publication") || one.errors.contains("run the same command again");
        assert!(one.code == Some(0) || (one.code == Some(1) && told), "{ended:#?}");
    }
    workshop.done(&PUBLISH);
    is_public(&workshop);
}
