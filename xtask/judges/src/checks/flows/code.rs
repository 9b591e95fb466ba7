//! Texts in the flows that an engine compiles when they start: function code, JSONata, and what else a node drops dead of
//! when it does not parse.
//!
//! Which texts, and what comes of them, is decided here; the engines themselves judge, and the caller asks them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use vocabulary::problem::{Level, Problem};

use super::document::{Flows, Node};
use super::{Home, Rule, finding, whole_file};

/// What reads a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Function,
    /// What a function runs when it starts.
    Setup,
    /// What a function runs when it stops.
    Cleanup,
    Jsonata,
    Json,
    /// A regular expression.
    Pattern,
    /// A JSON Schema.
    Schema,
}

impl Kind {
    /// A text that is wrong: who does not say so judges nothing.
    pub fn control(self) -> &'static str {
        match self {
            Self::Function | Self::Setup | Self::Cleanup => "return (;",
            Self::Jsonata => "a.(",
            Self::Json => "{",
            Self::Pattern => "(",
            Self::Schema => r#"{"type": "objekt"}"#,
        }
    }
}

/// One text to judge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Text<'f> {
    pub kind: Kind,
    pub text: &'f str,
    #[serde(skip)]
    node: usize,
    /// Where in the node, such as `rules[0].to`.
    #[serde(skip)]
    property: String,
}

/// What an engine says of a text.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Fault {
    /// Of the text.
    pub index: usize,
    pub message: String,
    /// From 1, where the engine knows.
    pub line: Option<usize>,
    pub column: Option<usize>,
}

/// Has the engines judge texts; or else why nobody could.
pub type Engines<'e> = &'e dyn Fn(&[Text<'_>]) -> Result<Vec<Fault>, String>;

pub fn check(flows: &Flows<'_>, file: &str, home: Home, engines: Engines<'_>, findings: &mut Vec<Problem>) {
    let texts = texts(flows, home);
    if texts.is_empty() {
        return;
    }
    match engines(&texts) {
        Ok(faults) => {
            for fault in faults {
                if let Some(text) = texts.get(fault.index) {
                    findings.push(finding(
                        flows,
                        &flows.nodes[text.node],
                        rule(text.kind),
                        message(text, &fault),
                    ));
                }
            }
        }
        Err(why) => {
            let count = texts.len();
            let level = if home == Home::Platform { Level::Error } else { Level::Warning };
            let noun = if count == 1 { "text parses" } else { "texts parse" };
            let message =
                format!("whether {count} {noun} is not judged (function code, JSONata and the like): {why}");
            findings.push(whole_file(file, 1, Rule::NotJudged, message).level(level));
        }
    }
}

fn rule(kind: Kind) -> Rule {
    match kind {
        Kind::Function | Kind::Setup | Kind::Cleanup => Rule::Code,
        Kind::Jsonata => Rule::Jsonata,
        Kind::Json | Kind::Pattern => Rule::Value,
        Kind::Schema => Rule::Schema,
    }
}

fn message(text: &Text<'_>, fault: &Fault) -> String {
    let (property, said) = (&text.property, fault.message.trim_end_matches('.'));
    let what = match text.kind {
        Kind::Function => "does not parse as the code of a function",
        Kind::Setup => "does not parse as the \"On Start\" code of a function",
        Kind::Cleanup => "does not parse as the \"On Stop\" code of a function",
        Kind::Jsonata => "is not a JSONata expression",
        Kind::Json => "is no JSON",
        Kind::Pattern => "is not a regular expression",
        Kind::Schema => {
            return format!("its {property} {said}; every task of the workflow would be refused; correct it");
        }
    };
    let place = match (fault.line, fault.column) {
        (Some(line), Some(column)) => format!(" at line {line}, column {column}"),
        _ => String::new(),
    };
    format!("its {property} {what}{place}: {said}; in Node-RED the node would do nothing; correct it")
}

/// The texts of all nodes that would start.
fn texts<'f>(flows: &'f Flows<'_>, home: Home) -> Vec<Text<'f>> {
    let mut texts = Vec::new();
    for (index, node) in flows.nodes.iter().enumerate().filter(|(_, node)| flows.enabled(node)) {
        let mut add = |kind: Kind, property: String, text: &'f str| {
            if !is_variable(text) {
                texts.push(Text { kind, text, node: index, property });
            }
        };
        let mut add_field = |kind: Kind, field: &str| {
            if let Some(text) =
                node.text(field).filter(|text| kind == Kind::Function || !text.trim().is_empty())
            {
                add(kind, field.to_owned(), text);
            }
        };
        match node.kind.as_str() {
            "function" => {
                add_field(Kind::Function, "func");
                add_field(Kind::Setup, "initialize");
                add_field(Kind::Cleanup, "finalize");
            }
            "join" if node.text("mode") == Some("reduce") => {
                add_field(Kind::Jsonata, "reduceExp");
                add_field(Kind::Jsonata, "reduceFixup");
            }
            "workflow" if home == Home::Platform => add_field(Kind::Schema, "schema"),
            "change" => change(node, &mut add),
            _ => {}
        }
        for (name, value) in &node.fields {
            expressions(name, value, &mut add);
        }
        top_level(node, &mut add);
    }
    texts
}

type Add<'a, 'f> = &'a mut dyn FnMut(Kind, String, &'f str);

/// Node-RED puts the variable's value in its place.
fn is_variable(text: &str) -> bool {
    let inside = text
        .strip_prefix("${")
        .and_then(|rest| rest.strip_suffix('}'))
        .or_else(|| text.strip_prefix("$(").and_then(|rest| rest.strip_suffix(')')));
    inside.is_some_and(|name| !name.is_empty() && !name.contains(char::is_whitespace))
}

/// A change node with a rule that does not parse passes nothing on.
fn change<'f>(node: &'f Node<'_>, add: Add<'_, 'f>) {
    let rules = node.fields.get("rules").and_then(Value::as_array).into_iter().flatten();
    for (index, rule) in rules.enumerate() {
        let text = |field: &str| rule.get(field).and_then(Value::as_str);
        if let Some(to) = text("to").filter(|_| matches!(text("tot"), Some("json" | "bin"))) {
            add(Kind::Json, format!("rules[{index}].to"), to);
        }
        if let Some(from) =
            text("from").filter(|_| text("t") == Some("change") && text("fromt") == Some("re"))
        {
            add(Kind::Pattern, format!("rules[{index}].from"), from);
        }
    }
}

/// The node's own properties of type JSONata.
fn top_level<'f>(node: &'f Node<'_>, add: Add<'_, 'f>) {
    for (name, partner) in pairs(&node.fields) {
        let is = |field: &str, wanted: &str| node.text(field) == Some(wanted);
        // Several properties for the modes of a node: only that of the chosen mode is read.
        let (partner, read) = match (node.kind.as_str(), name) {
            ("debug", "targetType") => ("complete", node.text("complete").is_some()),
            ("debug", "statusType") => ("statusVal", node.text("statusVal").is_some()),
            ("sort", "msgKeyType") => (partner, is("targetType", "msg")),
            ("sort", "seqKeyType") => (partner, !is("targetType", "msg")),
            ("join", "reduceInitType") => (partner, is("mode", "reduce")),
            ("inject", "payloadType") => (partner, injects_payload(node)),
            _ => (partner, true),
        };
        if let Some(text) = node.fields.get(partner).and_then(Value::as_str).filter(|_| read) {
            add(Kind::Jsonata, partner.to_owned(), text);
        }
    }
}

/// Whether an inject takes its payload from the properties of old.
fn injects_payload(node: &Node<'_>) -> bool {
    let Some(props) = node.fields.get("props").and_then(Value::as_array) else { return true };
    props.iter().any(|prop| prop["p"] == "payload" && prop.get("v").is_none())
}

/// The same inside a property: in rules, headers, environment variables, wherever the editor's typed inputs write.
fn expressions<'f>(path: &str, value: &'f Value, add: Add<'_, 'f>) {
    match value {
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                expressions(&format!("{path}[{index}]"), value, add);
            }
        }
        Value::Object(fields) => {
            for (_, partner) in pairs(fields) {
                if let Some(text) = fields.get(partner).and_then(Value::as_str) {
                    add(Kind::Jsonata, format!("{path}.{partner}"), text);
                }
            }
            for (name, value) in fields {
                expressions(&format!("{path}.{name}"), value, add);
            }
        }
        _ => {}
    }
}

/// Each field that says JSONata, and the one that it says it of: `tot` of `to`, `propertyType` of `property`, `type` of
/// `value`.
fn pairs(fields: &Map<String, Value>) -> impl Iterator<Item = (&str, &str)> {
    let says = fields.iter().filter(|(_, value)| *value == "jsonata").map(|(name, _)| name.as_str());
    says.filter_map(|name| {
        let partner = match name {
            "type" => "value",
            _ => ["Type", "type", "t"].iter().find_map(|end| name.strip_suffix(end))?,
        };
        Some((name, partner))
    })
}
