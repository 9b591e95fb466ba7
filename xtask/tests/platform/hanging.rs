//! Processes that hang: the kernel accepts connections for them, and nobody answers.

use rustix::process::Signal;
use serde_json::Value;

use crate::checkout::Checkout;
use crate::processes::Pid;
use crate::until;

/// Health and reason of every service, by name.
fn healths(checkout: &Checkout) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let status = checkout.status();
    let services = status.as_array().into_iter().flatten();
    services.map(|one| (text(&one["name"]), text(&one["health"]), text(&one["reason"]))).collect()
}

#[test]
#[ignore = "slow: `cargo xtask ci slow-tests` runs it"]
fn a_service_that_hangs_is_unhealthy_until_it_goes_on() {
    let checkout = Checkout::new();
    checkout.up();
    let services: Vec<(String, Pid)> = checkout
        .pids()
        .into_iter()
        .map(|(name, pid)| (name, Pid(pid.unwrap().try_into().unwrap())))
        .collect();
    assert!(services.len() > 1, "{services:?}");
    // Each alone would take minutes; which one hangs is told apart by the first.
    let hangs = |names: &[&str]| {
        let stopped: Vec<_> =
            services.iter().filter(|(name, _)| names.is_empty() || names.contains(&name.as_str())).collect();
        stopped.iter().for_each(|(_, pid)| pid.signal(Signal::STOP));
        let seen = until("they are unhealthy", || {
            let healths = healths(&checkout);
            let unhealthy = healths.iter().filter(|(_, health, _)| health == "unhealthy").count();
            (unhealthy == stopped.len()).then_some(healths)
        });
        for (name, health, reason) in &seen {
            let hangs = stopped.iter().any(|(stopped, _)| stopped == name);
            assert_eq!(health, if hangs { "unhealthy" } else { "healthy" }, "{seen:#?}");
            assert!(
                !hangs || reason.starts_with("since 20") && reason.contains("no answer within"),
                "{seen:#?}"
            );
        }
        let table = checkout.run(&["status"]);
        assert_eq!(table.code, Some(1), "{table:#?}");
        assert!(table.out.contains("unhealthy") && table.out.contains("since 20"), "{table:#?}");
        stopped.iter().for_each(|(_, pid)| pid.signal(Signal::CONT));
        until("they are healthy again", || (checkout.run(&["status"]).code == Some(0)).then_some(()));
    };
    hangs(&["llm"]);
    hangs(&[]);
    let now: Vec<_> = checkout.pids().into_iter().map(|(_, pid)| pid).collect();
    let before: Vec<_> = services.iter().map(|(_, pid)| Some(i64::from(pid.0))).collect();
    assert_eq!(now, before, "a service that hangs is not started again");

    let supervisor = checkout.control().pid();
    supervisor.signal(Signal::STOP);
    let ended = checkout.run(&["status"]);
    supervisor.signal(Signal::CONT);
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    ended.says(&[&format!("(process {}) did not answer within 5 s", supervisor.0), "kill -CONT"]);
    checkout.done(&["status"]);
}
