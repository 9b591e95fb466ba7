//! The offline gate: flows that Node-RED would load and then quietly not run, or not answer, are refused here.
//!
//! [`document`] makes nodes of the files' text, [`graph`] follows messages, and the rules judge: [`structure`] what
//! holds the files together, [`references`] that configuration nodes are there, [`routes`] and [`schedules`] that Node-RED
//! takes what http ins and injects ask for, [`answers`] that every request is answered, [`secrets`] that none is written
//! down.
//! Pure: the caller reads the files.

mod answers;
mod catalogue;
mod document;
mod graph;
mod references;
mod routes;
mod schedules;
mod secrets;
mod structure;

use std::fmt;

use serde::Serialize;

use crate::shorten::shorten;

use document::{Flows, Node};

/// A file as it was read.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// As findings name it, relative to the root.
    pub name: &'a str,
    pub text: &'a str,
}

/// What is judged together: the files that the launcher assembles into one, and what the image offers.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// `flows.json`.
    pub platform: Source<'a>,
    /// `test-smoke.json`.
    pub smoke: Source<'a>,
    /// `catalogue.json`: node type -> module and version.
    pub catalogue: Source<'a>,
    /// The editor's definitions of our own nodes: `nodes/*.html`.
    pub editor: &'a [Source<'a>],
    /// Credential files of Node-RED's that lie beside the flows; there must be none.
    pub credential_files: &'a [String],
}

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// Not JSON.
    Json,
    /// Not an array of nodes with id and type.
    Shape,
    /// The catalogue cannot be used.
    Catalogue,
    /// An id that two nodes have.
    DuplicateId,
    /// A wire to nothing, to another tab, or to what takes no messages.
    Wire,
    /// On no tab, or on one that is not there.
    Container,
    /// In a group that is not there, or a group of nodes that are not there.
    Group,
    /// A link without its partner.
    Link,
    /// A catch, complete or status node that watches what is not there.
    Scope,
    /// A function that wants modules of its own.
    Libraries,
    /// An http in that Node-RED or Express refuses, or that never gets a request.
    Route,
    /// An inject whose cron expression Node-RED refuses.
    Schedule,
    /// A configuration node that is not there or of another type.
    ConfigReference,
    /// A type that the image does not have, be it on a disabled tab.
    UnknownType,
    /// Without x and y Node-RED takes a node for a configuration node.
    Position,
    /// A subflow that contains itself.
    SubflowCycle,
    /// A request that is never answered.
    NoResponse,
    /// A request that is never answered when something fails.
    NoCatch,
    /// A secret in plain text.
    Secret,
    /// Part of the smoke flow in `flows.json`.
    Smoke,
}

impl fmt::Display for Rule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(out)
    }
}

/// One reason to refuse the flows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// As [`Source::name`] has it.
    pub file: String,
    /// From 1.
    pub line: usize,
    pub rule: Rule,
    /// The node's id; empty when the finding is about a whole file.
    pub id: String,
    /// The node's name, or else its type.
    pub node: String,
    /// Label of the tab, or name of the subflow, that the node is on.
    pub tab: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, rule, id, node, tab, message } = self;
        write!(out, "{file}:{line}: [{rule}] ")?;
        if !id.is_empty() {
            write!(out, "node \"{node}\" ({id})")?;
            if !tab.is_empty() {
                write!(out, " on \"{tab}\"")?;
            }
            out.write_str(": ")?;
        }
        out.write_str(message)
    }
}

/// Everything that is wrong, in the order of files and lines; nothing when the flows may be loaded.
pub fn judge(input: &Input<'_>) -> Vec<Finding> {
    let mut findings: Vec<Finding> =
        input.credential_files.iter().map(|file| credential_file(file)).collect();
    let types = catalogue::read(&input.catalogue, &mut findings);
    let flows = document::read(&[input.platform, input.smoke], &mut findings);
    let without_input = references::without_input(input.editor);
    structure::check(&flows, types.as_ref(), &without_input, input.platform.name, &mut findings);
    routes::check(&flows, &mut findings);
    schedules::check(&flows, &mut findings);
    secrets::check(&flows, &mut findings);
    // A file that is not read in full would make look lost what is not.
    if flows.complete {
        references::check(&flows, &references::known(input.editor), &mut findings);
        answers::check(&flows, &mut findings);
    }
    let place = |finding: &Finding| {
        let file = [input.platform.name, input.smoke.name].iter().position(|name| *name == finding.file);
        (file.map_or(0, |file| file + 1), finding.line, finding.rule)
    };
    findings.sort_by_key(place);
    findings.dedup();
    findings
}

fn credential_file(file: &str) -> Finding {
    let message = "Node-RED's credential file is here: the platform's credentials are named file references (NAME_FILE), \
                   so that nothing secret is deployed with the flows; delete the file";
    whole_file(file, 1, Rule::Secret, message)
}

fn whole_file(file: &str, line: usize, rule: Rule, message: impl Into<String>) -> Finding {
    Finding {
        file: file.to_owned(),
        line,
        rule,
        id: String::new(),
        node: String::new(),
        tab: String::new(),
        message: short(&message.into()),
    }
}

fn short(text: &str) -> String {
    shorten(text).into_owned()
}

fn finding(flows: &Flows<'_>, node: &Node<'_>, rule: Rule, message: impl Into<String>) -> Finding {
    let tab = node.z().and_then(|z| flows.get(z)).filter(|tab| tab.is_container());
    Finding {
        file: node.file.to_owned(),
        line: node.line,
        rule,
        id: short(&node.id),
        node: short(node.title()),
        tab: tab.map(|tab| short(tab.title())).unwrap_or_default(),
        message: short(&message.into()),
    }
}

#[cfg(test)]
mod tests;
