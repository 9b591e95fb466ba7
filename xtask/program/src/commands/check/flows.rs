//! `cargo xtask check flows`: would Node-RED start them, and would they answer?

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::json;
use vocabulary::problem::{Level, Problem};

use super::findings_file;
use crate::context::Context;
use crate::judging::code;
use crate::judging::flows::{CATALOGUE, judge, wanted};
use crate::judging::migrations;
use crate::tools::{NpmProject, Toolbox, progress};
use foundation::exit::{Reported, refused};
use foundation::files;
use foundation::stdout;
use judges::checks::flows::code::{Engines, Text};
use judges::checks::flows::{self, Home, Input, Rule, Source};

/// As SARIF calls it.
const TOOL: &str = "flowship-flows";

/// Standard input, where a file is named.
const STDIN: &str = "-";

/// Bytes of flows that are judged: many times more than the editor sends.
const LIMIT: u64 = 64 * 1024 * 1024;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit code 1 if there are errors, 0 if there are only warnings.

Examples:
  cargo xtask check flows
  cargo xtask check flows --json
  cargo xtask check flows ~/.node-red/flows.json
  cargo xtask check flows a.json b.json --catalogue flows/catalogue.json
  cargo xtask check flows - < flows.json")]
pub struct Options {
    /// Flow files as Node-RED saves them, each checked separately; `-` is standard input [default: this platform's]
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The installed node types, in the form of flows/catalogue.json [default: Node-RED's own]
    #[arg(long, value_name = "FILE", requires = "files")]
    catalogue: Option<PathBuf>,
    /// Check the flows on standard input instead of flows/flows.json
    #[arg(long, conflicts_with = "files")]
    stdin: bool,
}

impl Options {
    /// Files that are named need no tree around them.
    pub fn needs_tree(&self) -> bool {
        self.files.is_empty()
    }
}

pub fn run(context: &Context, options: &Options) -> Result<()> {
    let engines = |texts: &[Text<'_>]| {
        let judged = code::is_there(&context.root).and_then(|()| {
            let toolbox = Toolbox::open(context)?;
            // Somebody who saves, or has a file judged, waits for no installation.
            if options.files.is_empty() && !options.stdin {
                let project = NpmProject { folder: &context.path("flows") };
                toolbox.npm_modules(project, progress::on_stderr().as_ref())?;
            }
            code::judge(&toolbox, &context.root, texts)
        });
        judged.map_err(|error| format!("{error:#}"))
    };
    let edge_limit = context.platform.draining.limit_seconds;
    let mut findings = if !options.files.is_empty() {
        judge_files(edge_limit, &options.files, options.catalogue.as_deref(), &engines)?
    } else if options.stdin {
        judge(&context.root, edge_limit, Some(standard_input()?), Some(&engines))?
    } else {
        let mut findings = judge(&context.root, edge_limit, None, Some(&engines))?;
        findings.extend(migrations::judge(context.platform, &context.root)?);
        // A release has no gates that would collect them.
        if !context.is_bundle() {
            findings_file::write(context, "flows", TOOL, env!("CARGO_PKG_VERSION"), &findings)?;
        }
        findings
    };
    // What a release holds was judged before it was packaged, and it brings no engines.
    for finding in findings
        .iter_mut()
        .filter(|finding| context.is_bundle() && Rule::of(finding) == Some(Rule::NotJudged))
    {
        finding.level = Level::Warning;
    }
    let errors = findings.iter().filter(|finding| finding.is_error()).count();
    if context.json {
        stdout::json(&json!({ "findings": findings }))?;
    } else {
        let mut lines: String = findings.iter().map(|finding| format!("{finding}\n")).collect();
        if errors == 0 {
            lines += "no problems in the flows\n";
        }
        stdout::text(&lines)?;
    }
    let warnings = findings.len() - errors;
    let told: Vec<String> = [(errors, "fault"), (warnings, "warning")]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, noun)| format!("{count} {noun}{}", if count == 1 { "" } else { "s" }))
        .collect();
    if !told.is_empty() {
        eprintln!("{} in the flows", told.join(" and "));
    }
    if errors == 0 { Ok(()) } else { Err(Reported.into()) }
}

/// Judges files from anywhere, each by itself.
fn judge_files(
    edge_limit: u16,
    paths: &[PathBuf],
    catalogue: Option<&Path>,
    engines: Engines<'_>,
) -> Result<Vec<Problem>> {
    let mut problems = Vec::new();
    let mut read = |path: &Path, what: &str| {
        let text = if path == Path::new(STDIN) {
            standard_input()
        } else {
            files::text(path, LIMIT).map_err(|error| refused(format!("{error}; expected {what}")))
        };
        text.map_err(|error| problems.push(error.to_string())).unwrap_or_default()
    };
    let catalogue = catalogue.map(|path| (files::shown(path), read(path, wanted(CATALOGUE))));
    let texts: Vec<(String, String)> =
        paths.iter().map(|path| (files::shown(path), read(path, wanted("")))).collect();
    if !problems.is_empty() {
        return Err(refused(problems.join("\n")));
    }
    let mut findings = Vec::new();
    for (name, text) in &texts {
        findings.extend(flows::judge(&Input {
            files: &[Source { name, text }],
            home: Home::Elsewhere,
            edge_limit,
            catalogue: catalogue.as_ref().map(|(name, text)| Source { name, text }),
            editor: &[],
            credential_files: &[],
            engines: Some(engines),
        }));
    }
    findings.dedup();
    Ok(findings)
}

fn standard_input() -> Result<String> {
    let mut text = String::new();
    std::io::stdin()
        .take(LIMIT + 1)
        .read_to_string(&mut text)
        .map_err(|error| refused(format!("standard input: {error}; expected {}", wanted(""))))?;
    if text.len() as u64 > LIMIT {
        return Err(refused(format!("standard input: more than {LIMIT} bytes; expected {}", wanted(""))));
    }
    Ok(text)
}
