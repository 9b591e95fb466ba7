//! `cargo xtask generate`: the files that derive from the platform.

use std::path::Path;

use anyhow::Result;
use serde_json::json;

use super::meaning;
use crate::artifacts::{self, Difference, FAMILIES, Family, State};
use crate::context::Context;
use crate::exit::{Reported, refused};
use crate::files::shown;
use crate::nearest::nearest;
use crate::platform::platform;
use crate::stdout;

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

/// # Errors
/// Reported when `--check` finds a difference; refused when the platform is invalid or a family unknown.
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
            let hint = nearest(name, known.iter().copied());
            let hint = hint.map_or(String::new(), |hint| format!("; did you mean {hint}?"));
            format!("--only {name}: no family is called so{hint}")
        })
        .collect();
    if problems.is_empty() {
        return Ok(());
    }
    Err(refused(format!("{}\nthe families are {}", problems.join("\n"), known.join(", "))))
}

fn list(context: &Context) -> Result<()> {
    if context.json {
        let families: Vec<_> =
            FAMILIES.iter().map(|family| json!({ "name": family.name, "what": family.what })).collect();
        return stdout::json(&families);
    }
    let line = |family: &Family| format!("{:22} {}\n", family.name, family.what);
    stdout::text(&FAMILIES.iter().map(line).collect::<String>())
}

fn show(
    context: &Context,
    options: &Options,
    differences: &[Difference],
    total: usize,
    writes: bool,
) -> Result<()> {
    if context.json {
        return stdout::json(&json!({ "files": total, "differences": differences }));
    }
    let mut text = String::new();
    for difference in differences {
        text.push_str(&format!(
            "{} {}\n",
            word(difference.state, writes),
            shown(Path::new(&difference.path))
        ));
        // What somebody typed must not vanish without having been shown.
        if !writes || difference.state.holds_hand_edits() {
            text.push_str(&difference.diff);
        }
    }
    stdout::text(&text)?;
    match (differences.len(), writes) {
        (0, _) => eprintln!("{total} generated files are up to date"),
        (1, true) => eprintln!("1 generated file changed"),
        (count, true) => eprintln!("{count} generated files changed"),
        (count, false) => {
            let files = if count == 1 { "1 file differs" } else { &format!("{count} files differ") };
            let only: String = options.only.iter().map(|name| format!(" --only {name}")).collect();
            eprintln!("{files} from what the platform says; to fix that run: cargo xtask generate{only}");
        }
    }
    Ok(())
}

fn word(state: State, writes: bool) -> &'static str {
    match (state, writes) {
        (State::Missing, false) => "missing",
        (State::Missing, true) => "wrote",
        (State::Stale, false) => "stale",
        (State::Stale | State::Mode, true) => "updated",
        (State::HandEdited, false) => "hand-edited",
        (State::HandEdited, true) => "overwrote hand edits in",
        (State::Mode, false) => "wrong mode",
        (State::Orphan, false) => "orphan",
        (State::Orphan, true) => "removed",
        (State::EditedOrphan, false) => "orphan with hand edits",
        (State::EditedOrphan, true) => "removed, with hand edits,",
    }
}
