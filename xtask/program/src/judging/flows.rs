//! The flows of a tree, read and judged.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context as _, Result};
use vocabulary::problem::Problem;

use foundation::exit::refused;
use foundation::files;
use judges::checks::flows::code::Engines;
use judges::checks::flows::{self, Home, Input, Source};

const PLATFORM: &str = "flows/flows.json";
const SMOKE: &str = "flows/test-smoke.json";
/// The node types that are installed.
pub const CATALOGUE: &str = "flows/catalogue.json";
const NODES: &str = "flows/nodes";

/// Names under which Node-RED stores credentials beside a flow file `flows.json`.
const CREDENTIAL_FILES: &[&str] =
    &["flows/flows_cred.json", "flows/flows.json_cred.json", "flows/.flows_cred.json"];

/// Reads what is to be judged below a root, and judges it; code too, when there are engines. `candidate` takes the place
/// of the platform's flow file; `edge_limit` is after how many seconds without a byte the edge gives up.
///
/// # Errors
/// Refused when a file is missing or cannot be read as text, all such files at once.
pub fn judge(
    root: &Path,
    edge_limit: u16,
    candidate: Option<String>,
    engines: Option<Engines<'_>>,
) -> Result<Vec<Problem>> {
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
        files: &[Source { name: PLATFORM, text: &platform }, Source { name: SMOKE, text: &smoke }],
        home: Home::Platform,
        edge_limit,
        catalogue: Some(Source { name: CATALOGUE, text: &catalogue }),
        editor: &editor,
        credential_files: &credential_files,
        engines,
    }))
}

/// What a file should be; flows from anywhere have no name.
pub fn wanted(name: &str) -> &'static str {
    match name {
        PLATFORM => "the flows as the editor saves them, in UTF-8; restore the file",
        SMOKE => "the generated smoke flow; `cargo xtask generate` writes it",
        CATALOGUE => "the image's node types; `node runtime/catalogue.js --write` in flows/ writes it",
        "" => "the flows as the editor saves them, in UTF-8",
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
