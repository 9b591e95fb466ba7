//! `cargo xtask check flows`: would Node-RED start them, and would they answer?

use std::fs;
use std::io::ErrorKind;
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

/// Names under which Node-RED stores credentials beside a flow file `flows.json`.
const CREDENTIAL_FILES: &[&str] =
    &["flows/flows_cred.json", "flows/flows.json_cred.json", "flows/.flows_cred.json"];

pub fn run(context: &Context) -> Result<()> {
    let findings = judge_flows(&context.root)?;
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
    let mut missing = Vec::new();
    let mut text = |name: &str| {
        files::text(&root.join(name), files::TEXT).unwrap_or_else(|error| {
            missing.push(format!("{error}; expected {}", wanted(name)));
            String::new()
        })
    };
    let (platform, smoke, catalogue) = (text(PLATFORM), text(SMOKE), text(CATALOGUE));
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
