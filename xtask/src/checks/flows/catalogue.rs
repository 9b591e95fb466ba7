//! The node types that the image has: `catalogue.json`, type -> `{module, version}`.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{Finding, Rule, Source, whole_file};

/// The types; `None`, with a finding, when the catalogue cannot be used.
pub fn read(source: &Source<'_>, findings: &mut Vec<Finding>) -> Option<HashSet<String>> {
    let rewrite = "write it again with `node runtime/catalogue.js --write` in flows/";
    let all: Map<String, Value> = match serde_json::from_str(source.text) {
        Ok(all) => all,
        Err(error) => {
            let message =
                format!("{error}; expected an object of node types with module and version; {rewrite}");
            findings.push(whole_file(source.name, error.line().max(1), Rule::Catalogue, message));
            return None;
        }
    };
    // A catalogue that also tells Node-RED's version keeps the types one level down.
    let types = match all.get("types") {
        Some(Value::Object(types)) if !types.contains_key("module") => types,
        _ => &all,
    };
    if types.is_empty() {
        let message =
            format!("no node type at all; expected those of Node-RED and of flows/nodes; {rewrite}");
        findings.push(whole_file(source.name, 1, Rule::Catalogue, message));
        return None;
    }
    Some(types.keys().cloned().collect())
}
