//! The node types that there are: those of a `catalogue.json`, type -> `{module, version}`, or else Node-RED's own.

use std::collections::HashSet;

use serde_json::{Map, Value};
use vocabulary::problem::Problem;

use super::{Rule, Source, whole_file};

/// This image's, from which Node-RED's own are known elsewhere.
const OF_THE_IMAGE: &str = include_str!("../../../../../flows/catalogue.json");

/// What there is.
#[derive(Debug)]
pub struct Types {
    pub names: HashSet<String>,
    /// Whether there is nothing else.
    pub complete: bool,
}

/// The types; `None`, with a finding, when the catalogue cannot be used.
pub fn read(source: Option<&Source<'_>>, findings: &mut Vec<Problem>) -> Option<Types> {
    let Some(source) = source else {
        let image = Source { name: "", text: OF_THE_IMAGE };
        let core = |(name, of): (String, Value)| (of["module"] == "node-red").then_some(name);
        let names = types(&image, findings)?.into_iter().filter_map(core).collect();
        return Some(Types { names, complete: false });
    };
    let names = types(source, findings)?.into_iter().map(|(name, _)| name).collect();
    Some(Types { names, complete: true })
}

fn types(source: &Source<'_>, findings: &mut Vec<Problem>) -> Option<Map<String, Value>> {
    let rewrite = "run `node runtime/catalogue.js --write` in flows/ to write it again";
    let mut all: Map<String, Value> = match serde_json::from_str(source.text) {
        Ok(all) => all,
        Err(error) => {
            let message =
                format!("{error}; expected an object of node types with module and version; {rewrite}");
            findings.push(whole_file(source.name, error.line().max(1), Rule::Catalogue, message));
            return None;
        }
    };
    // A catalogue that also tells Node-RED's version keeps the types one level down.
    if let Some(Value::Object(types)) = all.get_mut("types")
        && !types.contains_key("module")
    {
        all = std::mem::take(types);
    }
    if all.is_empty() {
        let message =
            format!("it contains no node types; expected those of Node-RED and of flows/nodes; {rewrite}");
        findings.push(whole_file(source.name, 1, Rule::Catalogue, message));
        return None;
    }
    Some(all)
}
