//! `cargo xtask generate`: the files that derive from the platform.

use anyhow::Result;
use serde_json::json;

use super::meaning;
use crate::artifacts::{self, Difference, FAMILIES, State};
use crate::context::Context;
use crate::exit::{Reported, refused};
use crate::platform::platform;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cargo xtask generate\n  cargo xtask generate --check\n  cargo xtask generate --diff \
                        --only workflows\n  cargo xtask generate --diff --semantic --against main"
)]
pub struct Options {
    /// Write nothing; fail and show the differences when a file is missing, stale, hand-edited or an orphan
    #[arg(long, conflicts_with = "list")]
    pub check: bool,
    /// Write nothing; show what would change
    #[arg(long, conflicts_with = "list")]
    pub diff: bool,
    /// Only this family of files; may be given several times
    #[arg(long, value_name = "FAMILY")]
    pub only: Vec<String>,
    /// List the families
    #[arg(long)]
    pub list: bool,
    #[command(flatten)]
    meaning: meaning::Meaning,
}

pub fn run(context: &Context, options: &Options) -> Result<()> {
    if options.list {
        return list(context);
    }
    let platform = platform();
    let violations = platform.validate();
    if !violations.is_empty() {
        let lines: Vec<_> = violations.iter().map(|violation| format!("\n  {violation}")).collect();
        return Err(refused(format!("the platform under xtask/src/platform is invalid:{}", lines.concat())));
    }
    if options.meaning.semantic {
        return meaning::run(context, &platform, &options.meaning);
    }
    known_families(&options.only)?;
    let artifacts = artifacts::generate(&platform, &options.only);
    let observed = artifacts::observe(&context.root, &artifacts)?;
    let differences = artifacts::compare(&artifacts, &observed, options.only.is_empty());
    let writes = !options.check && !options.diff;
    show(context, options, &differences, artifacts.len(), writes)?;
    if writes {
        return artifacts::apply(&context.root, &artifacts, &observed, &differences);
    }
    if options.check && !differences.is_empty() { Err(Reported.into()) } else { Ok(()) }
}

fn known_families(only: &[String]) -> Result<()> {
    let known: Vec<_> = FAMILIES.iter().map(|family| family.name).collect();
    let problems: Vec<_> = only
        .iter()
        .filter(|name| !known.contains(&name.as_str()))
        .map(|name| {
            let nearest = known
                .iter()
                .max_by(|left, right| strsim::jaro(left, name).total_cmp(&strsim::jaro(right, name)));
            format!("--only {name}: no such family; did you mean {}?", nearest.expect("there are families"))
        })
        .collect();
    if problems.is_empty() {
        return Ok(());
    }
    Err(refused(format!("{}; the families are {}", problems.join("; "), known.join(", "))))
}

fn list(context: &Context) -> Result<()> {
    if context.json {
        let families: Vec<_> =
            FAMILIES.iter().map(|family| json!({ "name": family.name, "what": family.what })).collect();
        println!("{}", serde_json::to_string_pretty(&families)?);
    } else {
        for family in FAMILIES {
            println!("{:22} {}", family.name, family.what);
        }
    }
    Ok(())
}

fn show(
    context: &Context,
    options: &Options,
    differences: &[Difference],
    total: usize,
    writes: bool,
) -> Result<()> {
    if context.json {
        println!("{}", serde_json::to_string_pretty(&json!({ "files": total, "differences": differences }))?);
        return Ok(());
    }
    for difference in differences {
        let word = match (difference.state, writes) {
            (State::Missing, false) => "missing",
            (State::Missing, true) => "wrote",
            (State::Stale, false) => "stale",
            (State::Stale | State::Mode, true) => "updated",
            (State::HandEdited, false) => "hand-edited",
            (State::HandEdited, true) => "overwrote hand edits in",
            (State::Mode, false) => "wrong mode",
            (State::Orphan, false) => "orphan",
            (State::Orphan, true) => "removed",
        };
        println!("{word} {}", difference.path);
        // What somebody typed must not vanish without having been shown.
        let shows_diff = options.diff || options.check || difference.state == State::HandEdited;
        if shows_diff {
            print!("{}", difference.diff);
        }
    }
    match (differences.len(), writes) {
        (0, _) => eprintln!("{total} generated files are up to date"),
        (count, true) => eprintln!("{count} of {total} generated files changed"),
        (count, false) => {
            eprintln!(
                "{count} generated files differ from the platform; to fix them run: cargo xtask generate"
            );
        }
    }
    Ok(())
}
