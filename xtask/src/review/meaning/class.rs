//! What a change does to the platform's safety. Pure. Where that cannot be told, the graver class counts.

use serde_json::Value;
use vocabulary::model::ChangeClass;

use super::difference::Difference;

use ChangeClass::{LoosensLimit, Neutral, NewPermission, WidensReach};

/// Numbers that hold something back or make it noticed sooner, besides those with `limit` in their names: more is
/// looser.
const LIMITS: [&str; 25] = [
    "memory_mib",
    "max_streams",
    "max_requests_of_address",
    "cpu_millis",
    "pids",
    "rotate_after_days",
    "for_minutes",
    "every_seconds",
    "grace_seconds",
    "concurrency",
    "in_flight",
    "in_flight_characters",
    "expire_seconds",
    "retries",
    "tokens",
    "mib",
    "shared_memory_mib",
    "open_files",
    "log_file_mib",
    "log_files",
    "max_connections",
    "check_every_ms",
    "check_failures",
    "failures",
    "restart_attempts",
];

/// Exposures from the narrowest to the widest.
const EXPOSURES: [&str; 4] = ["internal", "development", "operator", "public"];

pub fn of(difference: &Difference) -> ChangeClass {
    if difference.reordered {
        return Neutral;
    }
    let (before, after) = (difference.before.as_ref(), difference.after.as_ref());
    let (added, removed) = (before.is_none(), after.is_none());
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let when = |holds: bool, class| if holds { class } else { Neutral };
    match difference.names()[..] {
        ["services", _, "edges", _] => when(added, WidensReach),
        ["services", _, "ports", _] => {
            let exposure = after.and_then(|port| port.get("exposure"));
            when(added && width(&text(exposure)) > width(EXPOSURES[0]), WidensReach)
        }
        ["services", _, "ports", _, "exposure"] => {
            when(width(&text(after)) > width(&text(before)), WidensReach)
        }
        ["services", _, "ports", _, "protocol"] => when(text(before) == "https", LoosensLimit),
        ["services", _, "secrets", _] => when(added, NewPermission),
        // What the edge sends on, and to whom.
        ["edge", "path" | "serves"] => WidensReach,
        // The same number of requests in less time is more.
        ["edge", "strict_transport_seconds" | "rate_seconds"] => {
            when(number(after) < number(before), LoosensLimit)
        }
        // Another user owns other things.
        ["services", _, "container", .., "user", _] => NewPermission,
        ["services", _, "process", "identity"] => when(text(after) == "caller", NewPermission),
        ["workflows", _] | ["workflows", _, "jobs", _] => when(removed, LoosensLimit),
        ["workflows", _, "triggers", _] => when(added, WidensReach),
        ["workflows", _, "jobs", _, "permissions", _, "access"] => when(text(after) != "read", NewPermission),
        ["workflows", _, "jobs", _, "permissions", _, "why"] => Neutral,
        // An action sees the token of the job that uses it.
        ["workflows", _, "jobs", _, "secrets" | "actions", _] | ["actions", _] => when(added, NewPermission),
        // Who must agree, what must have gone well before, what is held to the rules of publishing.
        ["workflows", _, "jobs", _, "needs", _] => when(removed, LoosensLimit),
        ["workflows", _, "jobs", _, "environment", "reviewers"] => {
            when(text(after) != "required", LoosensLimit)
        }
        ["workflows", _, "jobs", _, "environment", ..] | ["workflows", _, "jobs", _, "publishes"] => {
            when(!added && after != Some(&Value::Bool(true)), LoosensLimit)
        }
        [.., "permissions"] | [.., "permissions", _] | [.., "permissions", _, _] => {
            when(!removed, NewPermission)
        }
        ["services", _, "resources" | "health"]
        | ["services", _, "alerts", _]
        | ["smoke", "checks", _]
        | ["smoke", "checks", _, "expects", _]
        | ["gates", _]
        | ["gates", _, "commands", _] => when(removed, LoosensLimit),
        ["gates", _, "commands", _, "evidence"] => when(text(after) == "exit-code" && !added, LoosensLimit),
        ["gates", _, "commands", _, "sarif", ..] => Neutral,
        // What a gate does not read does not make it run again.
        ["gates", _, "reads", ..] => when(!added, LoosensLimit),
        // Other arguments may make a gate look less closely.
        ["gates", _, "commands", ..] => LoosensLimit,
        ["services", _, "alerts", _, "severity"] => when(text(after) != "critical", LoosensLimit),
        ["services", _, "volumes", _, "precious"] | ["labels", _, "unbounded"] => {
            when(after == Some(&Value::Bool(false)), LoosensLimit)
        }
        ["secrets", _, "source", "generated", "bytes"] => when(number(after) < number(before), LoosensLimit),
        ["review"] | ["review", "label"] | ["review", "asked_for", _] => when(!added, LoosensLimit),
        [.., name] if name.contains("limit") || LIMITS.contains(&name) => {
            // In the model 0 is no limit at all.
            let unlimited = removed || number(after) == 0.0;
            when(!added && (unlimited || number(after) > number(before)), LoosensLimit)
        }
        _ => Neutral,
    }
}

fn number(value: Option<&Value>) -> f64 {
    value.and_then(Value::as_f64).unwrap_or_default()
}

/// What is not known counts as the widest.
fn width(exposure: &str) -> usize {
    EXPOSURES.iter().position(|known| *known == exposure).unwrap_or(EXPOSURES.len())
}
