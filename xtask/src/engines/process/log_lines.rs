//! Log lines for people: JSON lines of ours made short, other lines as they are. Pure.

use serde_json::Value;

/// A line as people read it: `12:30:01 warn  text workflow_id=.. task_id=..`.
pub fn short(line: &str) -> String {
    let Some(fields) = parsed(line) else { return line.to_owned() };
    let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
    let time = text("time").split_once('T').map_or("", |(_, time)| time.get(..8).unwrap_or(time));
    let labels: String = ["workflow_id", "task_id"]
        .iter()
        .filter(|name| !text(name).is_empty())
        .map(|name| format!(" {name}={}", text(name)))
        .collect();
    format!("{time} {:<5} {}{labels}", text("level"), text("message"))
}

/// As [`short`]; none for what only clutters: lines below `info`.
pub fn worth_showing(line: &str) -> Option<String> {
    let level = parsed(line).and_then(|fields| fields.get("level")?.as_str().map(str::to_owned));
    match level.as_deref() {
        Some("debug" | "trace") => None,
        _ if line.trim().is_empty() => None,
        _ => Some(short(line)),
    }
}

fn parsed(line: &str) -> Option<serde_json::Map<String, Value>> {
    let fields: serde_json::Map<String, Value> = serde_json::from_str(line).ok()?;
    fields.contains_key("message").then_some(fields)
}

#[cfg(test)]
mod tests {
    use super::{short, worth_showing};

    #[test]
    fn shortens_our_lines_and_keeps_others() {
        let line = r#"{"time":"2026-11-23T12:30:01.123Z","level":"warn","message":"slow","workflow_id":"w","task_id":"","node_id":""}"#;
        assert_eq!(short(line), "12:30:01 warn  slow workflow_id=w");
        assert_eq!(short("LOG:  ready"), "LOG:  ready");
        assert_eq!(worth_showing(r#"{"level":"debug","message":"x"}"#), None);
        assert_eq!(worth_showing(""), None);
    }
}
