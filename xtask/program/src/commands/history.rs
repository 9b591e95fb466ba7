//! `history`: what was deployed to an environment, by whom, and how it ended.

use anyhow::Result;

use crate::context::Context;
use crate::deployment::Deployed;
use crate::deployment::history::{self, Entry};
use crate::session::host;
use foundation::columns;
use foundation::escape;
use foundation::stdout;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask history production
  cargo xtask history production --json

The newest comes last. Exit code 0, or 2 when nothing was deployed.")]
pub struct Options {
    /// The environment
    #[arg(value_name = "ENV")]
    environment: String,
}

/// # Errors
/// Refused when nothing was deployed.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    if let Some(done) = host::forwarded(context, &options.environment, &[]) {
        return done;
    }
    let deployed = Deployed::of(&options.environment)?;
    deployed.site()?;
    let entries = history::read(&deployed.folder())?;
    if context.json {
        return stdout::json(&entries);
    }
    stdout::text(&table(&entries))
}

fn table(entries: &[Entry]) -> String {
    let head = ["WHEN", "WHO", "CHANGE", "FROM", "TO", "RESULT", "TOOK"].map(str::to_owned);
    let row = |entry: &Entry| {
        [
            entry.at.clone(),
            format!("{}@{}", entry.who, entry.host),
            entry.change.name().to_owned(),
            entry.from.clone().unwrap_or_else(|| "-".to_owned()),
            entry.to.clone(),
            entry.result.words().to_owned(),
            format!("{:.1}s", entry.duration_ms as f64 / 1000.0),
        ]
    };
    let lines = columns::table(&[vec![head], entries.iter().map(row).collect()].concat());
    let about = |entry: &Entry| {
        let all = entry.migrations.iter().chain(&entry.settings).chain(&entry.why);
        all.map(|one| format!("    {}\n", escape::text(one))).collect::<String>()
    };
    let about = std::iter::once(String::new()).chain(entries.iter().map(about));
    let shown = lines.lines().zip(about).map(|(line, about)| format!("{line}\n{about}"));
    shown.collect()
}
