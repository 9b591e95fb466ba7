//! The offline gate: flows that Node-RED would load and then quietly not run, or not answer, are refused here.
//!
//! [`document`] makes nodes of the files' text, [`graph`] follows messages, and the rules judge: [`structure`] what
//! holds the files together, [`references`] that configuration nodes are there, [`routes`] and [`schedules`] that Node-RED
//! takes what http ins and injects ask for, [`answers`] that every request is answered, [`endings`] where it may not be,
//! [`routing`] that each workflow has a rule and an end, [`secrets`] that none is written down, [`code`] that what is compiled parses.
//! Pure: the caller reads the files and asks the engines.

mod answers;
mod catalogue;
pub mod code;
mod document;
mod endings;
mod graph;
mod limits;
mod references;
mod routes;
mod routing;
mod schedules;
mod secrets;
mod structure;

use std::fmt;

use serde::de::IntoDeserializer as _;
use serde::de::value::{Error, StrDeserializer};
use serde::{Deserialize, Serialize};
use vocabulary::problem::{Level, Place, Problem};

use foundation::escape;
use foundation::shorten::shorten;

use code::Engines;
use document::{Flows, Node};
use graph::Graph;

/// A file as it was read.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// As findings name it, relative to the root.
    pub name: &'a str,
    pub text: &'a str,
}

/// What is judged together: files that Node-RED gets as one, and what it offers them.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    pub files: &'a [Source<'a>],
    pub home: Home,
    /// Seconds after which the edge gives up waiting for an answer.
    pub edge_limit: u16,
    /// `catalogue.json`: node type -> module and version. Without one, the types of Node-RED itself are known.
    pub catalogue: Option<Source<'a>>,
    /// The editor's definitions of our own nodes: `nodes/*.html`.
    pub editor: &'a [Source<'a>],
    /// Credential files of Node-RED's that lie beside the flows; there must be none.
    pub credential_files: &'a [String],
    /// What judges code; none where that is somebody else's work.
    pub engines: Option<Engines<'a>>,
}

/// Where the flows run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Home {
    /// In this platform: its settings hold, and the first file must be free of what the others have for smoke checks.
    Platform,
    /// In somebody's Node-RED, whose settings nobody knows.
    Elsewhere,
}

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
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
    /// A limit for requests that is none.
    Limit,
    /// An inject whose cron expression or interval Node-RED refuses.
    Schedule,
    /// An inject that each replica would start by itself.
    EveryReplica,
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
    /// A request that may not be answered, as its message has it.
    MayEnd,
    /// A workflow that a router has no rule for, or whose tasks cannot complete.
    Routing,
    /// Code of a function that does not parse.
    Code,
    /// A JSONata expression that does not parse.
    Jsonata,
    /// Another value that is not what it should be.
    Value,
    /// A workflow's schema that judges no input.
    Schema,
    /// Code and the like, of which nobody could say whether it parses.
    NotJudged,
    /// A secret in plain text.
    Secret,
    /// Part of the smoke flow in `flows.json`.
    Smoke,
}

impl Rule {
    /// The one that the finding is of.
    pub fn of(finding: &Problem) -> Option<Self> {
        Self::deserialize(finding.rule.as_str().into_deserializer() as StrDeserializer<'_, Error>).ok()
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(out)
    }
}

/// Everything that is wrong, in the order of files and lines; no error when the flows may be loaded.
pub fn judge(input: &Input<'_>) -> Vec<Problem> {
    let mut findings: Vec<Problem> =
        input.credential_files.iter().map(|file| credential_file(file)).collect();
    let types = catalogue::read(input.catalogue.as_ref(), &mut findings);
    let flows = document::read(input.files, &mut findings);
    let without_input = references::without_input(input.editor);
    structure::check(&flows, types.as_ref(), &without_input, input.home, &mut findings);
    if input.home == Home::Platform {
        structure::check_platform(&flows, input.files[0].name, &mut findings);
        limits::check(&flows, input.edge_limit, &mut findings);
        schedules::check_platform(&flows, &mut findings);
    }
    routes::check(&flows, &mut findings);
    schedules::check(&flows, &mut findings);
    secrets::check(&flows, &mut findings);
    if let Some(engines) = input.engines {
        code::check(&flows, input.files[0].name, input.home, engines, &mut findings);
    }
    // A file that is not read in full would make look lost what is not.
    if flows.complete {
        references::check(&flows, &references::known(input.editor), &mut findings);
        let graph = Graph::new(&flows);
        answers::check(&flows, &graph, &mut findings);
        if input.home == Home::Platform {
            routing::check(&flows, &graph, &mut findings);
        }
    }
    let place = |finding: &Problem| {
        let file = input.files.iter().position(|source| source.name == finding.place.file);
        (file.map_or(0, |file| file + 1), finding.place.line, Rule::of(finding))
    };
    findings.sort_by_cached_key(place);
    findings.dedup();
    findings
}

fn credential_file(file: &str) -> Problem {
    let message = "this is Node-RED's credential file; the platform reads secrets only from files that NAME_FILE \
                   names, so that no secret is deployed with the flows; delete this file";
    whole_file(file, 1, Rule::Secret, message)
}

fn whole_file(file: &str, line: usize, rule: Rule, message: impl Into<String>) -> Problem {
    Problem::new(Place::line(file, line), short(&message.into())).rule(rule)
}

fn short(text: &str) -> String {
    shorten(&escape::name(text)).into_owned()
}

fn finding(flows: &Flows<'_>, node: &Node<'_>, rule: Rule, message: impl Into<String>) -> Problem {
    let mut subject = format!("node \"{}\" ({})", short(node.title()), short(&node.id));
    if let Some(tab) = node.z().and_then(|z| flows.get(z)).filter(|tab| tab.is_container()) {
        subject += &format!(" on \"{}\"", short(tab.title()));
    }
    Problem::new(Place::line(node.file, node.line).of(subject), short(&message.into())).rule(rule)
}

fn warning(flows: &Flows<'_>, node: &Node<'_>, rule: Rule, message: impl Into<String>) -> Problem {
    finding(flows, node, rule, message).level(Level::Warning)
}

#[cfg(test)]
mod tests;
