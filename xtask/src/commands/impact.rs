//! `cargo xtask impact`: which files and lines a value of the platform makes.

use anyhow::Result;

use crate::context::Context;
use crate::generated;
use crate::review::ablation::{Model, Way};
use crate::review::impact::{Change, Effect, Impact, impact};
use crate::review::source;
use foundation::exit::refused;
use foundation::stdout;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
It removes the definition (or changes it, if the platform needs it), generates everything again in memory, \
and compares.

Examples:
  cargo xtask impact service/postgres
  cargo xtask impact 'edge/node-red->postgres.sql'
  cargo xtask impact secret/llm-api-key --json
  cargo xtask impact service/edge/resources
  cargo xtask impact --list")]
pub struct Options {
    /// The address of a definition, or its end if that is unique
    #[arg(value_name = "VALUE", required_unless_present = "list")]
    value: Option<String>,
    /// List all addresses
    #[arg(long, conflicts_with = "value")]
    list: bool,
}

/// # Errors
/// Refused when the platform has no such value.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    let model = Model::new(context.platform)?;
    let Some(value) = &options.value else { return list(context, &model) };
    let part = model.find(value).map_err(|near| {
        let near = near.map_or_else(String::new, |near| format!("; the nearest is {near}"));
        refused(format!(
            "{value}: the platform has no such value{near} (`cargo xtask impact --list` lists them)"
        ))
    })?;
    let impacts = impact(&model, &generated::families(), part);
    if context.json {
        return stdout::json(&impacts);
    }
    if impacts.is_empty() {
        return stdout::text(&format!("{} is empty, so nothing can be removed from it\n", part.address));
    }
    stdout::text(&impacts.iter().map(|impact| shown(context, impact)).collect::<String>())
}

fn list(context: &Context, model: &Model) -> Result<()> {
    let addresses: Vec<_> =
        model.root.walk().map(|part| part.address.as_str()).filter(|address| !address.is_empty()).collect();
    if context.json { stdout::json(&addresses) } else { stdout::text(&format!("{}\n", addresses.join("\n"))) }
}

fn shown(context: &Context, impact: &Impact) -> String {
    let way = match impact.way {
        Way::LeftOut => "left out",
        Way::Emptied => "emptied",
        Way::Changed => "changed",
    };
    let source = context.existing(source::of_value(&impact.names));
    let source = source.map_or_else(String::new, |path| format!(" ({path})"));
    let lines: usize = impact.files.iter().map(|file| file.removed + file.added).sum();
    let files = match impact.files.len() {
        1 => "1 file".to_owned(),
        count => format!("{count} files"),
    };
    let mut out = format!("{}, {way}{source}: {files}, {lines} lines\n", impact.address);
    let width = impact.files.iter().map(|file| file.path.len()).max().unwrap_or(0);
    for Change { path, family, effect, removed, added } in &impact.files {
        let effect = match effect {
            Effect::Changes => "",
            Effect::Vanishes => ", vanishes",
            Effect::Appears => ", appears",
        };
        let (removed, added) = (format!("-{removed}"), format!("+{added}"));
        out += &format!("  {path:width$}  {removed:>5} {added:>5}  {family}{effect}\n");
    }
    for family in &impact.relied_on_by {
        out += &format!("  the family {family} generates nothing without it\n");
    }
    out
}
