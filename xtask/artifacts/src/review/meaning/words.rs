//! A change as a sentence. Pure.

use serde_json::Value;

use super::difference::{Difference, Segment};

/// Longer texts are cut in sentences; the data beside them hold them whole. In characters.
const LONGEST: usize = 80;

/// What limits are called, and their units.
const LIMITS: [(&str, &str, &str); 3] =
    [("memory_mib", "memory", " MiB"), ("cpu_millis", "CPU", " thousandths"), ("pids", "processes", "")];

/// `after` is the whole later platform.
pub fn of(difference: &Difference, after: &Value) -> String {
    special(difference, after).unwrap_or_else(|| general(difference))
}

fn special(difference: &Difference, platform: &Value) -> Option<String> {
    if difference.reordered {
        return None;
    }
    let (before, after) = (difference.before.as_ref(), difference.after.as_ref());
    let sentence = match (&difference.names()[..], before, after) {
        (["services", service], None, Some(value)) => {
            let purpose = value.get("purpose").and_then(Value::as_str).unwrap_or_default();
            format!("adds service {service}: {purpose}")
        }
        (["services", service, "edges", to], None, _) => format!("opens {service} -> {}", far_end(to)),
        (["services", service, "edges", to], _, None) => format!("closes {service} -> {}", far_end(to)),
        (["services", service, "ports", port], None, Some(value)) => {
            let parts: Vec<_> = ["number", "protocol", "exposure"]
                .iter()
                .filter_map(|name| value.get(name))
                .map(plain)
                .collect();
            format!("opens port {service}.{port} ({})", parts.join(", "))
        }
        (["services", service, "ports", port], _, None) => format!("closes port {service}.{port}"),
        (["services", service, "ports", port, "number"], Some(before), Some(after)) => {
            format!("port {service}.{port} {before} -> {after}")
        }
        (["services", service, "ports", port, "exposure"], Some(before), Some(after)) => {
            format!("shows port {service}.{port} to {} (was {})", plain(after), plain(before))
        }
        (["services", service, "secrets", secret], None, _) => {
            format!("lets {service} read the secret {secret}")
        }
        (["services", service, "secrets", secret], _, None) => {
            format!("{service} no longer reads the secret {secret}")
        }
        (["services", service, "resources", limit], before, after) => {
            let (_, what, unit) = LIMITS.iter().find(|(name, ..)| name == limit)?;
            match (before.and_then(Value::as_u64), after.and_then(Value::as_u64)) {
                (_, None | Some(0)) => format!("removes the {what} limit of {service}"),
                (None | Some(0), Some(after)) => {
                    format!("sets the {what} limit of {service} to {after}{unit}")
                }
                (Some(before), Some(after)) => {
                    let verb = if after > before { "raises" } else { "lowers" };
                    format!("{verb} the {what} of {service} {before} -> {after}{unit}")
                }
            }
        }
        (["services", service, "image", "pinned", "reference" | "digest"], Some(before), Some(after)) => {
            let image = pinned_name(platform, service).unwrap_or((*service).to_owned());
            format!("pin of {image} changes {} -> {}", plain(before), plain(after))
        }
        (["secrets", secret], None, _) => {
            let readers = readers(platform, secret).join(" and ");
            let readers = if readers.is_empty() { "nobody".to_owned() } else { readers };
            format!("adds the secret {secret}, read by {readers}")
        }
        (["secrets", secret], _, None) => format!("removes the secret {secret}"),
        (["workflows", workflow, "triggers", trigger], None, _) => {
            format!("lets {trigger} start the workflow {workflow}")
        }
        (["workflows", workflow, "triggers", trigger], _, None) => {
            format!("{trigger} no longer starts the workflow {workflow}")
        }
        (["workflows", workflow, "jobs", job], None, Some(_)) => format!("adds the job {workflow}/{job}"),
        (["workflows", workflow, "jobs", job], Some(_), None) => format!("removes the job {workflow}/{job}"),
        (["workflows", workflow, "jobs", job, "permissions", scope], None, Some(given)) => {
            format!(
                "lets the job {workflow}/{job} {} {scope}",
                given.get("access").map(plain).unwrap_or_default()
            )
        }
        (["workflows", workflow, "jobs", job, "permissions", scope], Some(given), None) => {
            let access = given.get("access").map(plain).unwrap_or_default();
            format!("the job {workflow}/{job} may no longer {access} {scope}")
        }
        (["workflows", workflow, "jobs", job, "permissions", scope, "access"], Some(before), Some(after)) => {
            format!("lets the job {workflow}/{job} {} {scope} (was {})", plain(after), plain(before))
        }
        (["workflows", workflow, "jobs", job, "secrets", secret], None, _) => {
            format!("lets the job {workflow}/{job} use the secret {secret}")
        }
        (["actions", action], None, Some(pin)) => {
            format!("adds the action {action} {}", pin.get("version").map(plain).unwrap_or_default())
        }
        (["actions", action, "version" | "commit"], Some(before), Some(after)) => {
            format!("pin of {action} changes {} -> {}", plain(before), plain(after))
        }
        _ => return None,
    };
    Some(sentence)
}

fn far_end(to: &str) -> &str {
    if to == "internet" { "the internet" } else { to }
}

fn services(platform: &Value) -> impl Iterator<Item = &Value> {
    platform.get("services").and_then(Value::as_array).into_iter().flatten()
}

/// The image's name without registry and version.
fn pinned_name(platform: &Value, service: &str) -> Option<String> {
    let found = services(platform).find(|one| one.get("id").is_some_and(|id| id == service))?;
    let reference = found.pointer("/image/pinned/reference")?.as_str()?;
    let name = reference.rsplit('/').next()?;
    Some(name.split(':').next()?.to_owned())
}

fn readers(platform: &Value, secret: &str) -> Vec<String> {
    let reads = |service: &&Value| {
        let uses = service.get("secrets").and_then(Value::as_array);
        uses.is_some_and(|uses| uses.iter().any(|used| used.get("secret").is_some_and(|name| name == secret)))
    };
    services(platform).filter(reads).filter_map(|service| service.get("id")).map(plain).collect()
}

/// Good for any change: what it belongs to, then what happens.
fn general(difference: &Difference) -> String {
    let (what, subject) = phrases(&difference.path);
    let happens = match (&difference.before, &difference.after) {
        (Some(before), Some(after)) if difference.reordered => {
            format!("order of {what} changes {} -> {}", list(before), list(after))
        }
        (Some(before), Some(after)) => format!("{what} changes {} -> {}", shown(before), shown(after)),
        (None, Some(after)) if after.is_object() || after.is_array() || ends_in_item(difference) => {
            format!("adds {what}")
        }
        (None, Some(after)) => format!("adds {what} {}", shown(after)),
        (Some(_), None) => format!("removes {what}"),
        (None, None) => format!("{what} changes"),
    };
    if subject.is_empty() { happens } else { format!("{subject}: {happens}") }
}

fn ends_in_item(difference: &Difference) -> bool {
    matches!(difference.path.last(), Some(Segment::Item(_)))
}

/// The last of the path's parts as people say it, and those before it: `purpose`, `service edge, port http`.
fn phrases(path: &[Segment]) -> (String, String) {
    let mut phrases: Vec<String> = Vec::new();
    for segment in path {
        match segment {
            Segment::Field(name) => phrases.push(name.replace('_', " ")),
            Segment::Item(name) => {
                let list = phrases.pop().unwrap_or_default();
                let kind = list.strip_suffix('s').unwrap_or(&list);
                phrases.push(format!("{kind} {}", cut(name)));
            }
        }
    }
    match path.iter().map(Segment::name).collect::<Vec<_>>()[..] {
        ["services", service, "ports", port, ..] => {
            phrases.splice(..2, [format!("port {service}.{port}")]);
        }
        ["services", service, "edges", to, ..] => {
            phrases.splice(..2, [format!("edge {service} -> {}", far_end(to))]);
        }
        _ => {}
    }
    let last = phrases.pop().unwrap_or_else(|| "the platform".to_owned());
    (last, phrases.join(", "))
}

fn list(value: &Value) -> String {
    let names: Vec<_> = value.as_array().into_iter().flatten().map(plain).collect();
    cut(&names.join(", "))
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("\"{}\"", cut(text)),
        other => cut(&other.to_string()),
    }
}

fn cut(text: &str) -> String {
    let text = text.replace('\n', " ");
    if text.chars().count() <= LONGEST {
        return text;
    }
    let start: String = text.chars().take(LONGEST - 1).collect();
    format!("{start}…")
}
