//! Makes each line of a log one JSON object that says whose it is and which number it has. Pure, but for the clock.
//!
//! A line that a service wrote as JSON stays as it is, and gets what it lacks in front; any other line becomes the
//! `message`. With `start` and `seq` a reader can count: it finds lines that are missing, and those that came twice.
//! Which service wrote it and where is known here: where a line says otherwise (programs written in Go call their parts
//! components), its own word is kept as `exported_component`, as Prometheus does with labels.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use serde::Deserializer as _;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use crate::plan::service::ServiceName;
use foundation::clock::{now_ms, utc};

/// Counts the lines of one process, from 1.
const SEQ: &str = "seq";
/// Names that process: `node-red-a.1795763258123`, with the milliseconds since 1970 at its start.
const START: &str = "start";
const EXPORTED: &str = "exported_";
/// What other programs call our fields.
const SAME: [(&str, &[&str]); 3] =
    [("time", &["@timestamp", "ts"]), ("level", &["@level"]), ("message", &["@message", "msg"])];

/// The stamp of one process.
#[derive(Debug)]
pub struct Stamp {
    start: String,
    seq: u64,
    /// Those without a value are known by the line alone.
    labels: BTreeMap<String, String>,
    /// Of the line before: the further lines of a message have none of their own.
    level: &'static str,
}

impl Stamp {
    pub fn new(name: &ServiceName, started_ms: u64, labels: &BTreeMap<String, String>) -> Self {
        Self { start: format!("{name}.{started_ms}"), seq: 0, labels: labels.clone(), level: "info" }
    }

    /// The line as it is kept.
    pub fn line(&mut self, text: &str) -> String {
        self.line_at(text, now_ms())
    }

    fn line_at(&mut self, text: &str, now_ms: u64) -> String {
        self.seq += 1;
        let mut line = format!("{{\"{SEQ}\":{},\"{START}\":\"{}\",", self.seq, self.start);
        let arrived = || format!("{}.{:03}Z", utc(now_ms / 1000).trim_end_matches('Z'), now_ms % 1000);
        let Some(object) = text.starts_with('{').then(|| Object::read(text, &self.labels)).flatten() else {
            self.level = level(text).unwrap_or(self.level);
            line += &member("time", &arrived());
            line += &member("level", self.level);
            self.labels.iter().for_each(|(name, value)| line += &member(name, value));
            let _ = write!(line, "\"message\":{}}}", Value::from(text));
            return line;
        };
        for (name, others) in SAME {
            if object.names.contains(name) {
                continue;
            }
            match (others.iter().find_map(|other| object.others.get(*other)), name) {
                (Some(value), _) => {
                    let _ = write!(line, "\"{name}\":{value},");
                }
                (None, "time") => line += &member(name, &arrived()),
                (None, "level") => line += &member(name, "info"),
                (None, _) => {}
            }
        }
        let lacking = self.labels.iter().filter(|(name, _)| !object.names.contains(*name));
        lacking.for_each(|(name, value)| line += &member(name, value));
        let rest = object.without_ours.as_deref().unwrap_or(text)[1..].trim_start();
        if rest.starts_with('}') {
            line.pop();
        }
        line + rest
    }
}

fn member(name: &str, value: &str) -> String {
    format!("{}:{},", Value::from(name), Value::from(value))
}

/// What a line that is an object has.
#[derive(Default)]
struct Object {
    names: std::collections::BTreeSet<String>,
    /// Of [`SAME`].
    others: BTreeMap<String, Value>,
    /// The line again, where it had a number or a label that is ours to give.
    without_ours: Option<String>,
}

impl Object {
    fn read(text: &str, labels: &BTreeMap<String, String>) -> Option<Self> {
        let mut reader = serde_json::Deserializer::from_str(text);
        let Members { mut read, foreign, .. } =
            reader.deserialize_map(Members { labels, read: Self::default(), foreign: vec![] }).ok()?;
        reader.end().ok()?;
        if !foreign.is_empty() || read.names.contains(SEQ) || read.names.contains(START) {
            let mut fields: serde_json::Map<String, Value> = serde_json::from_str(text).ok()?;
            fields.retain(|name, _| name != SEQ && name != START);
            for name in foreign {
                let theirs = fields.shift_remove(&name)?;
                read.names.remove(&name);
                fields.insert(format!("{EXPORTED}{name}"), theirs);
            }
            read.without_ours = serde_json::to_string(&fields).ok();
        }
        Some(read)
    }
}

struct Members<'a> {
    labels: &'a BTreeMap<String, String>,
    read: Object,
    /// Labels with another value than ours.
    foreign: Vec<String>,
}

impl<'de> Visitor<'de> for Members<'_> {
    type Value = Self;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self, A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            if SAME.iter().any(|(_, others)| others.contains(&name.as_str())) {
                self.read.others.insert(name, map.next_value()?);
                continue;
            }
            match self.labels.get(&name).filter(|ours| !ours.is_empty()) {
                Some(ours) if map.next_value::<Value>()? != **ours => self.foreign.push(name.clone()),
                Some(_) => {}
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            self.read.names.insert(name);
        }
        Ok(self)
    }
}

/// The level that a line of text names in its first words: `2026-11-27 UTC [42] ERROR:  no such table`.
fn level(text: &str) -> Option<&'static str> {
    const FIRST_WORDS: usize = 10;
    text.split_whitespace().take(FIRST_WORDS).find_map(|word| {
        Some(match word.trim_matches(|c: char| !c.is_ascii_alphabetic()) {
            "DEBUG" => "debug",
            "LOG" | "INFO" | "NOTICE" => "info",
            "WARN" | "WARNING" => "warn",
            "ERROR" | "ALERT" => "error",
            "FATAL" | "PANIC" | "EMERG" => "fatal",
            _ => return None,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_795_763_258_123;

    fn stamp() -> Stamp {
        let labels = [("component", "web"), ("task_id", "")].map(|(name, value)| (name.into(), value.into()));
        Stamp::new(&"web-a".into(), 7, &labels.into())
    }

    #[test]
    fn a_line_of_json_keeps_its_fields_and_gets_those_that_it_lacks() {
        let (arrived, ours) = ("\"time\":\"2026-11-27T07:07:38.123Z\",", "\"seq\":1,\"start\":\"web-a.7\",");
        let lacking = "\"component\":\"web\",\"task_id\":\"\",";
        for (line, kept) in [
            (
                r#"{"time":"t","level":"warn","message":"m","component":"web","task_id":"1"}"#,
                format!(
                    r#"{{{ours}"time":"t","level":"warn","message":"m","component":"web","task_id":"1"}}"#
                ),
            ),
            (
                r#"{"time":"t","component":"cache","level":"warn"}"#,
                format!(
                    r#"{{{ours}"component":"web","task_id":"","time":"t","level":"warn","exported_component":"cache"}}"#
                ),
            ),
            (
                r#"{"@timestamp":"t","@level":"error","@message":"m\"","component":"web"}"#,
                format!(
                    r#"{{{ours}"time":"t","level":"error","message":"m\"","task_id":"","@timestamp":"t","@level":"error","@message":"m\"","component":"web"}}"#
                ),
            ),
            (
                r#"{ "a": [1, {"component": 2}] }"#,
                format!(r#"{{{ours}{arrived}"level":"info",{lacking}"a": [1, {{"component": 2}}] }}"#),
            ),
            ("{}", format!(r#"{{{ours}{arrived}"level":"info","component":"web","task_id":""}}"#)),
            (
                r#"{"seq":9,"start":"s","a":1}"#,
                format!(r#"{{{ours}{arrived}"level":"info",{lacking}"a":1}}"#),
            ),
        ] {
            let stamped = stamp().line_at(line, NOW);
            assert_eq!(stamped, kept);
            assert!(serde_json::from_str::<Value>(&stamped).is_ok(), "{stamped}");
        }
    }

    #[test]
    fn any_other_line_becomes_a_message() {
        let mut stamp = stamp();
        for (number, (line, level)) in [
            ("plain \"text\"", "info"),
            ("2026-11-27 07:07:38 UTC [42] ERROR:  no such table", "error"),
            ("\tat f (a.js:1)", "error"),
            ("[WARNING] (12) : it is slow", "warn"),
            ("{\"a\":1", "warn"),
            ("[1]", "warn"),
            ("LOG:  ready", "info"),
            ("", "info"),
        ]
        .into_iter()
        .enumerate()
        {
            let fields: Value = serde_json::from_str(&stamp.line_at(line, NOW)).unwrap();
            assert_eq!((&fields["message"], &fields["level"]), (&line.into(), &level.into()), "{line}");
            assert_eq!((&fields["seq"], &fields["component"]), (&(number + 1).into(), &"web".into()));
            assert_eq!(fields["time"], "2026-11-27T07:07:38.123Z");
        }
    }
}
