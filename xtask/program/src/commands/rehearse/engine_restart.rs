//! Ends the engine in every way in which an engine or its host can end, and starts it again: production must recover by
//! itself.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::edge::{QUEUES, agent, status};
use super::judged;
use super::stack::{Stack, runs_on};
use crate::images::own_engine::{End, OwnEngine};
use foundation::interrupt::Interrupt;

/// Time from the engine's first answer until everything is healthy. A killed database must recover first.
const BOUND: Duration = Duration::from_secs(60);

/// Ends the engine, so it runs after the checks that only look.
///
/// # Errors
/// A service stayed down, a container was recreated, or the smoke checks fail afterwards.
pub fn check(stack: &Stack, interrupt: &Interrupt) -> Result<Vec<String>> {
    let mut engine = OwnEngine::find(&stack.engine, &stack.seen.project.name)?;
    let agent = agent(stack)?;
    let key = std::fs::read_to_string(stack.secrets.join(stack.platform.workers.api_key.0))?;
    let url = format!("{}{QUEUES}", stack.public(stack.platform.edge.https));
    let mut told = Vec::new();
    for how in End::ALL {
        let before = running(stack)?;
        engine.end(how)?;
        engine.start(&stack.root, &stack.engine)?;
        let begun = Instant::now();
        let after = loop {
            let found = running(stack)?;
            let down: Vec<String> = found.iter().filter_map(down).collect();
            if down.is_empty() {
                break found;
            }
            if begun.elapsed() > BOUND || interrupt.raised() {
                bail!(
                    "{:.0} s after {} production is not back: {}",
                    begun.elapsed().as_secs_f64(),
                    how.name(),
                    down.join(", ")
                );
            }
            thread::sleep(Duration::from_millis(200));
        };
        let took = begun.elapsed().as_secs_f64();
        judged(&made_anew(&before, &after), vec![]).context(how.name())?;
        let answered = status(&agent, &url, Some(key.trim())).context(how.name())?;
        if answered != 200 {
            bail!("after {} the API answers {answered} through the edge; expected 200", how.name());
        }
        stack.smoke(interrupt).context(how.name())?;
        told.push(format!(
            "{}: {} services healthy {took:.1} s after the engine answered, and smoke passed",
            how.name(),
            after.len()
        ));
    }
    Ok(told)
}

/// Every long-running unit, with the engine's description of its container.
fn running(stack: &Stack) -> Result<Vec<(String, Value)>> {
    let topology = stack.topology();
    let units = topology.units.iter().filter(|unit| runs_on(unit));
    units.map(|unit| Ok((unit.name(), stack.inspect(unit)?))).collect()
}

/// Why a unit is not healthy. Pure.
fn down((name, found): &(String, Value)) -> Option<String> {
    let state = &found["State"];
    match (state["Status"].as_str(), state["Health"]["Status"].as_str()) {
        (Some("running"), Some("healthy")) => None,
        (Some("running"), health) => {
            Some(format!("{name} is {}", health.unwrap_or("without a health check")))
        }
        (status, _) => {
            Some(format!("{name} is {} ({})", status.unwrap_or("gone"), found["State"]["ExitCode"]))
        }
    }
}

/// The same containers must be back, each restarted since. Pure.
fn made_anew(before: &[(String, Value)], after: &[(String, Value)]) -> Vec<String> {
    let mut problems = Vec::new();
    for ((name, before), (_, after)) in before.iter().zip(after) {
        if before["Id"] != after["Id"] {
            problems.push(format!("{name} is another container: it was recreated"));
        } else if before["State"]["StartedAt"] == after["State"]["StartedAt"] {
            problems.push(format!("{name} was not restarted: nothing ended it"));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_healthy_container_is_back() {
        let found = |status: &str, health: Value| {
            ("web".to_owned(), json!({ "State": { "Status": status, "ExitCode": 0, "Health": health } }))
        };
        assert_eq!(down(&found("running", json!({ "Status": "healthy" }))), None);
        for (status, health, wanted) in [
            ("running", json!({ "Status": "starting" }), "web is starting"),
            ("running", Value::Null, "web is without a health check"),
            ("exited", json!({ "Status": "healthy" }), "web is exited (0)"),
        ] {
            assert_eq!(down(&found(status, health)).as_deref(), Some(wanted));
        }
        assert_eq!(down(&("web".to_owned(), Value::Null)).as_deref(), Some("web is gone (null)"));
    }

    #[test]
    fn a_container_that_was_made_anew_or_never_ended_proves_nothing() {
        let of = |id: &str, started: &str| {
            vec![("web".to_owned(), json!({ "Id": id, "State": { "StartedAt": started } }))]
        };
        assert_eq!(made_anew(&of("1", "a"), &of("1", "b")), [""; 0]);
        assert_eq!(made_anew(&of("1", "a"), &of("2", "b")).len(), 1);
        assert_eq!(made_anew(&of("1", "a"), &of("1", "a")).len(), 1);
    }
}
