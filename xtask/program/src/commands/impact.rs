//! `cargo xtask impact`: which files and lines a value of the platform makes.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::context::Context;
use crate::generated;
use artifacts::review::ablation::{Model, Way};
use artifacts::review::impact::{Change, Effect, Impact, impact};
use artifacts::review::part::Part;
use artifacts::review::source;
use foundation::exit::refused;
use foundation::nearest::{closest, nearest};
use foundation::stdout;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
It removes the definition (or changes it, if the platform needs it), generates everything again in memory, \
and compares.

Examples:
  cargo xtask impact service/postgres
  cargo xtask impact 'edge/node-red->postgres.sql'
  cargo xtask impact secret/llm-api-key --json
  cargo xtask impact service/portal/resources
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
    let part = find(&model, value).map_err(|near| {
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

/// The value at an address; the address may be shortened to an end that only one has, such as
/// `alert/PostgresDown`.
///
/// # Errors
/// The nearest address, whole or by its end; nothing when none is like it.
fn find<'a>(model: &'a Model, address: &str) -> Result<&'a Part, Option<String>> {
    let all = || model.root.walk().filter(|part| !part.address.is_empty());
    if let Some(part) = all().find(|part| part.address == address) {
        return Ok(part);
    }
    let end = format!("/{address}");
    let mut ending = all().filter(|part| part.address.ends_with(&end));
    match (ending.next(), ending.next()) {
        (Some(only), None) => Ok(only),
        (Some(first), Some(_)) => Err(Some(first.address.clone())),
        (None, _) => Err(closest_to(model, address).map(str::to_owned)),
    }
}

/// By its end, so that `postgers` finds `service/postgres`; or else the most alike of the services. What has a name
/// of its own counts, and not each of its fields.
fn closest_to<'a>(model: &'a Model, address: &str) -> Option<&'a str> {
    let addresses = || model.root.walk().map(|part| part.address.as_str()).filter(|whole| !whole.is_empty());
    if let Some(whole) = nearest(address, addresses()) {
        return Some(whole);
    }
    let words = address.matches('/').count();
    let mut ends: BTreeMap<&str, &str> = BTreeMap::new();
    // An element without a name is called by its position, which is no name to mistype.
    let named = |part: &&Part| part.is_item() && !part.address.ends_with(|last: char| last.is_ascii_digit());
    for part in model.root.walk().filter(named) {
        let start = part.address.rmatch_indices('/').nth(words).map_or(0, |(at, _)| at + 1);
        ends.entry(&part.address[start..]).or_insert(&part.address);
    }
    let near = nearest(address, ends.keys().copied()).map(|near| ends[near]);
    near.or_else(|| {
        let services = addresses().filter_map(|whole| whole.strip_prefix("service/"));
        let service = closest(address, services.filter(|name| !name.contains('/')))?;
        addresses().find(|whole| whole.strip_prefix("service/") == Some(service))
    })
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

#[cfg(test)]
mod tests {
    use second_platform::platform;

    use super::*;

    #[test]
    fn addresses_may_be_short_but_not_ambiguous() {
        let model = Model::new(&platform()).unwrap();
        for (typed, expected) in [
            ("service/portal", Ok("service/portal")),
            ("alert/EngineNotReady", Ok("service/flow-engine/alert/EngineNotReady")),
            ("resources/memory_mib", Err(Some("service/portal/resources/memory_mib"))),
            ("services/store", Err(Some("service/store"))),
            ("edge/flowengine->store.queries", Err(Some("edge/flow-engine->store.queries"))),
            ("stroe", Err(Some("service/store"))),
            ("flow-engnie", Err(Some("service/flow-engine"))),
            ("%%%%", Err(None)),
            ("", Err(None)),
        ] {
            let found = find(&model, typed).map(|part| part.address.clone());
            assert_eq!(found, expected.map(str::to_owned).map_err(|near| near.map(str::to_owned)), "{typed}");
        }
    }
}
