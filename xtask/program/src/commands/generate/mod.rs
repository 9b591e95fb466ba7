//! `cargo xtask generate`: the files that derive from the platform.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Result, anyhow};
use serde_json::json;

mod meaning;
use crate::context::Context;
use crate::generated::{self, Difference, LEDGER, State};
use artifacts::Committed;
use foundation::exit::{Reported, refused};
use foundation::files::shown;
use foundation::nearest::hint;
use foundation::stdout;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask generate
  cargo xtask generate --check
  cargo xtask generate --diff --only workflows
  cargo xtask generate --diff --semantic --against main")]
pub struct Options {
    /// Write nothing; show the differences and fail if a file is missing, outdated, edited by hand or no longer generated
    #[arg(long, conflicts_with = "list")]
    pub check: bool,
    /// Write nothing; show what would change
    #[arg(long, conflicts_with = "list")]
    pub diff: bool,
    /// Only this family of files; can be repeated
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
    let platform = context.platform;
    let violations = platform.validate();
    if !violations.is_empty() {
        let lines: Vec<_> = violations.iter().map(|violation| format!("\n  {violation}")).collect();
        return Err(refused(format!("the platform under xtask/platform/src is invalid:{}", lines.concat())));
    }
    if options.meaning.semantic {
        return meaning::run(context, platform, &options.meaning);
    }
    known_families(&options.only)?;
    let artifacts = generated::artifacts(platform, &options.only)?;
    let observed =
        generated::observe(&context.root, &artifacts).map_err(|problems| refused(problems.to_string()))?;
    if let Some(why) = &observed.no_index {
        eprintln!("git cannot be asked ({why}): orphaned files are found only through {LEDGER}");
    }
    let differences = generated::compare(&artifacts, &observed, options.only.is_empty());
    if options.check || options.diff {
        show(context, options, &differences, artifacts.len())?;
        return if options.check && !differences.is_empty() { Err(Reported.into()) } else { Ok(()) };
    }
    let changes = generated::prepare(&context.root, &artifacts, &observed, &differences)
        .map_err(|problems| anyhow!("{problems}\nnothing has changed"))?;
    if !context.json {
        stdout::text(&edits(&differences))?;
    }
    let (changed, problems) = changes.carry_out();
    show_changed(context, &differences, artifacts.len(), &changed)?;
    if problems.0.is_empty() { Ok(()) } else { Err(problems.into()) }
}

fn known_families(only: &[String]) -> Result<()> {
    let known: Vec<_> = generated::families().iter().map(|family| family.name).collect();
    let problems: Vec<_> = only
        .iter()
        .filter(|name| !known.contains(&name.as_str()))
        .map(|name| format!("--only {name}: unknown family{}", hint(name, known.iter().copied())))
        .collect();
    if problems.is_empty() {
        return Ok(());
    }
    Err(refused(format!("{}\nthe families are {}", problems.join("\n"), known.join(", "))))
}

fn list(context: &Context) -> Result<()> {
    if context.json {
        let families: Vec<_> = generated::families()
            .iter()
            .map(|family| json!({ "name": family.name, "what": family.what }))
            .collect();
        return stdout::json(&families);
    }
    let line = |family: &Committed| format!("{:22} {}\n", family.name, family.what);
    stdout::text(&generated::families().iter().map(line).collect::<String>())
}

fn show(context: &Context, options: &Options, differences: &[Difference], total: usize) -> Result<()> {
    if context.json {
        return stdout::json(&json!({ "files": total, "differences": differences }));
    }
    let shown = differences.iter().map(|difference| {
        format!("{} {}\n{}", difference.state.word(), shown(Path::new(&difference.path)), difference.diff)
    });
    stdout::text(&shown.collect::<String>())?;
    match differences.len() {
        0 => eprintln!("{total} generated files are up to date"),
        count => {
            let files = if count == 1 { "1 file differs" } else { &format!("{count} files differ") };
            let only: String = options.only.iter().map(|name| format!(" --only {name}")).collect();
            eprintln!("{files} from the platform's definition; to update, run: cargo xtask generate{only}");
        }
    }
    Ok(())
}

/// What somebody typed and this run overwrites must not vanish without having been shown.
fn edits(differences: &[Difference]) -> String {
    let edited = differences.iter().filter(|difference| difference.state.holds_hand_edits());
    edited.map(|one| format!("{} {}\n{}", one.state.word(), shown(Path::new(&one.path)), one.diff)).collect()
}

fn show_changed(
    context: &Context,
    differences: &[Difference],
    total: usize,
    changed: &BTreeSet<String>,
) -> Result<()> {
    let changes: Vec<_> =
        differences.iter().filter(|difference| changed.contains(&difference.path)).collect();
    if context.json {
        return stdout::json(&json!({ "files": total, "differences": changes }));
    }
    let line = |one: &&Difference| format!("{} {}\n", done(one.state), shown(Path::new(&one.path)));
    stdout::text(&changes.iter().map(line).collect::<String>())?;
    match changes.len() {
        0 if differences.is_empty() => eprintln!("{total} generated files are up to date"),
        1 => eprintln!("1 generated file changed"),
        count => eprintln!("{count} generated files changed"),
    }
    Ok(())
}

fn done(state: State) -> &'static str {
    match state {
        State::Missing => "wrote",
        State::Stale | State::LineEnds | State::Mode => "updated",
        State::HandEdited => "overwrote hand edits in",
        State::Orphan => "removed",
        State::EditedOrphan => "removed, with hand edits,",
    }
}
