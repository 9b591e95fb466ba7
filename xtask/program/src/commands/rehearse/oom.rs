//! The kernel kills a service that exceeds its memory limit: the engine must report it, and restart the service.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::judged;
use super::stack::{Stack, now};
use foundation::interrupt::Interrupt;

/// Time from the kill until the service is healthy again: the engine's first pause of 0.1 s, and the start of the program.
const BOUND: Duration = Duration::from_secs(60);
/// Allocates 16 MiB at a time, outside of the heap that V8 limits itself.
const EATER: &str = "const all = []; for (;;) all.push(Buffer.alloc(16 << 20, 1));";

/// # Errors
/// It was not killed for its memory, is not healthy again in time, or the smoke checks fail afterwards.
pub fn check(stack: &Stack, interrupt: &Interrupt) -> Result<Vec<String>> {
    let topology = stack.topology();
    let unit = stack.worker(&topology)?;
    let container = stack.seen.project.container(&unit.name());
    let limit = format!("{} MiB", unit.service.resources.memory_mib);
    let before = stack.inspect(unit)?;
    // The kernel must choose the service, not the process that allocates the memory.
    let init = &before["State"]["Pid"];
    let children = fs::read_to_string(format!("/proc/{init}/task/{init}/children"))?;
    for pid in children.split_whitespace() {
        fs::write(format!("/proc/{pid}/oom_score_adj"), "1000").with_context(|| format!("process {pid}"))?;
    }
    let since = now()?;
    let begun = Instant::now();
    stack.engine.ask(&["exec", &container, "node", "-e", EATER])?;
    let after = loop {
        let found = stack.inspect(unit)?;
        if again(&before, &found) {
            break found;
        }
        let status = &found["State"]["Status"];
        if *status == "exited" || begun.elapsed() > BOUND {
            bail!(
                "{container} used up its memory of {limit} and is {status} after {:.1} s (OOMKilled: {}): it was not \
                 restarted",
                begun.elapsed().as_secs_f64(),
                found["State"]["OOMKilled"]
            );
        }
        thread::sleep(Duration::from_millis(100));
    };
    let took = begun.elapsed().as_secs_f64();
    let events = stack.events(&container, "{{.Action}} {{.Actor.Attributes.exitCode}}", &since)?;
    let mut problems = unsaid(&events);
    // One kill, one restart: more would use up the attempts.
    let restarts = |found: &Value| found["RestartCount"].as_u64().unwrap_or_default();
    let more = restarts(&after).saturating_sub(restarts(&before));
    if more != 1 {
        problems.push(format!("{container} was restarted {more} times; expected once"));
    }
    let mut told = vec![format!(
        "{container} was killed for its memory of {limit} (OOMKilled: {}), and healthy again after {took:.1} s",
        after["State"]["OOMKilled"]
    )];
    if problems.is_empty() {
        told.extend(stack.smoke(interrupt)?);
    }
    judged(&problems, told)
}

/// Whether it was restarted since, and is healthy. Pure.
fn again(before: &Value, found: &Value) -> bool {
    let started = |of: &Value| of["State"]["StartedAt"].clone();
    started(found) != started(before) && found["State"]["Health"]["Status"] == "healthy"
}

/// Events that the engine should have reported for the kill. Pure.
fn unsaid(events: &str) -> Vec<String> {
    let wanted = [("oom", "exceeded its memory"), ("die 137", "was killed"), ("start", "was restarted")];
    let said = |event: &str| events.lines().any(|line| line.starts_with(event));
    let missing = wanted.into_iter().filter(|(event, _)| !said(event));
    missing
        .map(|(event, what)| format!("the engine does not report that it {what}: no event {event}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_kill_and_a_restart_are_recognised() {
        assert_eq!(unsaid("exec_start: node\noom \noom \ndie 137\nstart \n"), [""; 0]);
        let stopped = unsaid("kill \ndie 0\nstart \n");
        assert_eq!(stopped.len(), 2, "{stopped:?}");
        assert!(stopped[0].ends_with("no event oom"), "{stopped:?}");
        let state =
            |at: &str, health: &str| json!({ "State": { "StartedAt": at, "Health": { "Status": health } } });
        let before = state("1", "healthy");
        for (found, wanted) in
            [(("1", "healthy"), false), (("2", "starting"), false), (("2", "healthy"), true)]
        {
            assert_eq!(again(&before, &state(found.0, found.1)), wanted, "{found:?}");
        }
    }
}
