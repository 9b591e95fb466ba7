//! `cargo xtask impact`: which files and lines a value of the platform makes.

use std::io::Write as _;

use anyhow::Result;

use super::why::existing;
use crate::context::Context;
use crate::exit::refused;
use crate::platform::platform;
use crate::review::ablation::{Model, Way};
use crate::review::impact::{Change, Effect, Impact, impact};
use crate::review::source;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "The value is left out, or changed where it cannot be, everything generated again in memory, and \
                        compared. An end of an address that only one value has is enough.\n\nExamples:\n  cargo xtask impact \
                        service/postgres\n  cargo xtask impact 'edge/node-red->postgres.sql'\n  cargo xtask impact \
                        secret/llm-api-key --json\n  cargo xtask impact service/edge/resources\n  cargo xtask impact --list"
)]
pub struct Options {
    /// The address of a value
    #[arg(value_name = "VALUE", required_unless_present = "list")]
    value: Option<String>,
    /// List the addresses of all values
    #[arg(long, conflicts_with = "value")]
    list: bool,
}

/// # Errors
/// Refused when the platform has no such value.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    let model = Model::new(platform());
    let Some(value) = &options.value else { return list(context, &model) };
    let part = model.find(value).map_err(|near| {
        let hint = near.map_or_else(String::new, |near| format!("did you mean {near}? "));
        refused(format!(
            "{value}: the platform has no such value; {hint}`cargo xtask impact --list` lists them"
        ))
    })?;
    let impacts = impact(&model, part);
    if context.json {
        println!("{}", serde_json::to_string_pretty(&impacts)?);
        return Ok(());
    }
    impacts.iter().for_each(|impact| show(context, impact));
    if impacts.is_empty() {
        println!("{} is empty: nothing of it can be left out", part.address);
    }
    Ok(())
}

fn list(context: &Context, model: &Model) -> Result<()> {
    let addresses: Vec<_> =
        model.root.walk().map(|part| part.address.as_str()).filter(|address| !address.is_empty()).collect();
    if context.json {
        println!("{}", serde_json::to_string_pretty(&addresses)?);
    } else {
        // Who reads only the first lines closes the pipe.
        let _ = writeln!(std::io::stdout(), "{}", addresses.join("\n"));
    }
    Ok(())
}

fn show(context: &Context, impact: &Impact) {
    let way = match impact.way {
        Way::LeftOut => "left out",
        Way::Emptied => "emptied",
        Way::Changed => "changed",
    };
    let source = existing(&context.root, source::of_value(&impact.names));
    let source = source.map_or_else(String::new, |path| format!(" ({path})"));
    let lines: usize = impact.files.iter().map(|file| file.removed + file.added).sum();
    println!("{}, {way}{source}: {} files, {lines} lines", impact.address, impact.files.len());
    let width = impact.files.iter().map(|file| file.path.len()).max().unwrap_or(0);
    for Change { path, family, effect, removed, added } in &impact.files {
        let effect = match effect {
            Effect::Changes => "",
            Effect::Vanishes => ", vanishes",
            Effect::Appears => ", appears",
        };
        println!(
            "  {path:width$}  {:>5} {:>5}  {family}{effect}",
            format!("-{removed}"),
            format!("+{added}")
        );
    }
    for family in &impact.relied_on_by {
        println!("  the family {family} makes nothing without it");
    }
}
