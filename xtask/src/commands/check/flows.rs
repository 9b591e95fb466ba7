//! `cargo xtask check flows`: would Node-RED start them, and would they answer?

use std::fs;
use std::io::{ErrorKind, Read as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::json;

use crate::checks::flows::{self, Finding, Input, Source};
use crate::context::Context;
use crate::exit::{Reported, refused};
use crate::files;
use crate::stdout;

const PLATFORM: &str = "flows/flows.json";
const SMOKE: &str = "flows/test-smoke.json";
const CATALOGUE: &str = "flows/catalogue.json";
const NODES: &str = "flows/nodes";

/// Bytes of flows that are judged: many times more than the editor sends.
const LIMIT: u64 = 64 * 1024 * 1024;

/// Names under which Node-RED stores credentials beside a flow file `flows.json`.
const CREDENTIAL_FILES: &[&str] =
    &["flows/flows_cred.json", "flows/flows.json_cred.json", "flows/.flows_cred.json"];

#[derive(Debug, clap::Args)]
pub struct Options {
    /// Judge what comes in on standard input in the place of flows/flows.json
    #[arg(long)]
    stdin: bool,
}

pub fn run(context: &Context, options: &Options) -> Result<()> {
    let findings = if options.stdin {
        let mut text = String::new();
        std::io::stdin()
            .take(LIMIT + 1)
            .read_to_string(&mut text)
            .map_err(|error| refused(format!("standard input: {error}; expected {}", wanted(PLATFORM))))?;
        if text.len() as u64 > LIMIT {
            return Err(refused(format!(
                "standard input: more than {LIMIT} bytes; expected {}",
                wanted(PLATFORM)
            )));
        }
        judge(&context.root, Some(text))?
    } else {
        judge_flows(&context.root)?
    };
    if context.json {
        stdout::json(&json!({ "findings": findings }))?;
    } else if findings.is_empty() {
        stdout::text("the flows are good\n")?;
    } else {
        stdout::text(&findings.iter().map(|finding| format!("{finding}\n")).collect::<String>())?;
    }
    match findings.len() {
        0 => Ok(()),
        count => {
            eprintln!("{count} {} in the flows", if count == 1 { "fault" } else { "faults" });
            Err(Reported.into())
        }
    }
}

/// Reads what is to be judged below a root, and judges it.
///
/// # Errors
/// Refused when a file is missing or cannot be read as text, all such files at once.
pub fn judge_flows(root: &Path) -> Result<Vec<Finding>> {
    judge(root, None)
}

/// `candidate` takes the place of the platform's flow file.
fn judge(root: &Path, candidate: Option<String>) -> Result<Vec<Finding>> {
    let mut missing = Vec::new();
    let mut text = |name: &str| {
        files::text(&root.join(name), files::TEXT).unwrap_or_else(|error| {
            missing.push(format!("{error}; expected {}", wanted(name)));
            String::new()
        })
    };
    let platform = candidate.unwrap_or_else(|| text(PLATFORM));
    let (smoke, catalogue) = (text(SMOKE), text(CATALOGUE));
    let editor: Vec<(String, String)> =
        editor_files(root)?.into_iter().map(|name| (text(&name), name)).collect();
    if !missing.is_empty() {
        return Err(refused(missing.join("\n")));
    }
    let editor: Vec<Source<'_>> = editor.iter().map(|(text, name)| Source { name, text }).collect();
    let credential_files: Vec<String> = CREDENTIAL_FILES
        .iter()
        .filter(|name| root.join(name).exists())
        .map(|name| (*name).to_owned())
        .collect();
    Ok(flows::judge(&Input {
        platform: Source { name: PLATFORM, text: &platform },
        smoke: Source { name: SMOKE, text: &smoke },
        catalogue: Source { name: CATALOGUE, text: &catalogue },
        editor: &editor,
        credential_files: &credential_files,
    }))
}

fn wanted(name: &str) -> &'static str {
    match name {
        PLATFORM => "the flows as the editor saves them, in UTF-8; restore the file",
        SMOKE => "the generated smoke flow; `cargo xtask generate` writes it",
        CATALOGUE => "the image's node types; `node runtime/catalogue.js --write` in flows/ writes it",
        _ => "a node's editor definition, in UTF-8",
    }
}

fn editor_files(root: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(root.join(NODES)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).context(NODES),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.context(NODES)?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".html") {
            names.push(format!("{NODES}/{name}"));
        }
    }
    names.sort();
    Ok(names)
}
