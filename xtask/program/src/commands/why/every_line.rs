//! `cargo xtask why FILE`: the same for every line of a file, in one search.

use anyhow::Result;
use serde_json::json;

use super::as_json;
use crate::context::Context;
use artifacts::review::ablation::Model;
use artifacts::review::why::{Answer, Cause, why};
use artifacts::{Artifact, Committed};
use foundation::stdout;

/// So many values are shown for a line.
const SHOWN: usize = 3;

/// # Errors
/// When stdout cannot be written.
pub fn show(context: &Context, family: &Committed, artifact: &Artifact) -> Result<()> {
    let all = why(&Model::new(context.platform)?, family, std::slice::from_ref(artifact), None);
    let lines = artifact.contents.lines().enumerate().map(|(at, text)| (at + 1, text, all.of_line(at)));
    if context.json {
        let line = |(number, text, answer): (usize, &str, Answer)| {
            let causes: Vec<_> = answer.causes.iter().map(|cause| as_json(context, cause)).collect();
            json!({ "line": number, "text": text, "causes": causes })
        };
        let lines: Vec<_> = lines.map(line).collect();
        return stdout::json(&json!({
            "file": artifact.path,
            "family": family.name,
            "family_source": context.existing(vec![family.source.to_owned()]),
            "relied_on": all.relied_on,
            "lines": lines,
        }));
    }
    let line = |(number, text, answer): (usize, &str, Answer)| {
        let mut makers = Vec::new();
        innermost(&answer.causes, &mut makers);
        let more = makers.len().saturating_sub(SHOWN);
        makers.truncate(SHOWN);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let made_by =
            if makers.is_empty() { "the family itself".to_owned() } else { makers.join(", ") + &more };
        format!("{number:>5}  {text}\n       <- {made_by}\n")
    };
    let head = format!("{}: written by the family {} ({})\n", artifact.path, family.name, family.source);
    stdout::text(&lines.map(line).fold(head, |all, line| all + &line))
}

fn innermost(causes: &[Cause], found: &mut Vec<String>) {
    for cause in causes {
        if cause.parts.is_empty() {
            found.push(cause.address.clone());
        } else {
            innermost(&cause.parts, found);
        }
    }
}
