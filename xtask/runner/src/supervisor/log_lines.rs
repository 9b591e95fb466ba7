//! Log lines for people: JSON lines of ours made short, other lines as they are. Pure.

use serde_json::Value;

/// So many calls of a stack are shown; `--json` has all of them.
const FRAMES: usize = 6;

/// A line as people read it: `12:30:01 warn  text: reason workflow_id=.. task_id=..`. What went wrong also names its node,
/// and an error shows where it came from, on lines of its own.
pub fn short(line: &str) -> String {
    let Some(fields) = parsed(line) else { return line.to_owned() };
    let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
    let error =
        |name: &str| fields.get("error").and_then(|error| error.get(name)?.as_str()).unwrap_or_default();
    let (level, message) = (text("level"), text("message"));
    let time = text("time").split_once('T').map_or("", |(_, time)| time.get(..8).unwrap_or(time));
    let reason = [text("reason"), error("message")].into_iter().find(|reason| !reason.is_empty());
    let reason = reason
        .filter(|reason| !message.contains(reason))
        .map_or_else(String::new, |reason| format!(": {reason}"));
    let failed = matches!(level, "warn" | "error" | "fatal");
    let labels: String = ["workflow_id", "task_id", "node_id", "node_name"]
        .iter()
        .filter(|name| !text(name).is_empty() && (failed || !name.starts_with("node_")))
        .map(|name| format!(" {name}={}", text(name)))
        .collect();
    let frames: String = error("stack")
        .lines()
        .filter(|line| matches!(level, "error" | "fatal") && line.trim_start().starts_with("at "))
        .take(FRAMES)
        .map(|frame| format!("\n{:8} {:<5} {}", "", "", frame.trim_start()))
        .collect();
    format!("{time} {level:<5} {message}{reason}{labels}{frames}")
}

/// Text that stands after a name of this width.
pub fn indented(text: &str, width: usize) -> String {
    text.replace('\n', &format!("\n{:width$} ", ""))
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
    fn what_went_wrong_names_its_node_and_its_reason_once() {
        let with = |more: &str| {
            short(&format!(
                r#"{{"time":"2026-11-23T12:30:01.123Z","level":"warn","message":"it failed","node_id":"n1","node_name":"the node",{more}}}"#
            ))
        };
        assert_eq!(
            with(r#""reason":"away""#),
            "12:30:01 warn  it failed: away node_id=n1 node_name=the node"
        );
        assert_eq!(
            with(r#""error":{"message":"odd","stack":"Error: odd\n    at f (a.js:1:2)"}"#),
            "12:30:01 warn  it failed: odd node_id=n1 node_name=the node"
        );
        assert_eq!(
            with(r#""error":{"message":"failed"}"#),
            "12:30:01 warn  it failed node_id=n1 node_name=the node"
        );
        assert_eq!(
            with(
                r#""level":"error","error":{"message":"odd","stack":"Error: odd\n    at f (a.js:1:2)\n    at g (b.js:3:4)"}"#
            ),
            "12:30:01 error it failed: odd node_id=n1 node_name=the node\n               at f (a.js:1:2)\n               at g (b.js:3:4)"
        );
        assert_eq!(with(r#""level":"info","reason":"asked""#), "12:30:01 info  it failed: asked");
    }

    #[test]
    fn shortens_our_lines_and_keeps_others() {
        let line = r#"{"time":"2026-11-23T12:30:01.123Z","level":"warn","message":"slow","workflow_id":"w","task_id":"","node_id":""}"#;
        assert_eq!(short(line), "12:30:01 warn  slow workflow_id=w");
        assert_eq!(short("LOG:  ready"), "LOG:  ready");
        assert_eq!(worth_showing(r#"{"level":"debug","message":"x"}"#), None);
        assert_eq!(worth_showing(""), None);
    }
}
