//! `promote`: rolls out to one environment what another one runs.

use std::path::Path;

use anyhow::Result;

use crate::context::Context;
use crate::deployment::Deployed;
use crate::deployment::history::{self, Change};
use crate::deployment::releases;
use crate::session::deploying::{self, Demands, How};
use crate::session::host;
use foundation::exit::refused;
use foundation::program_name::PROGRAM;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask promote staging production --public-key release.pub
  cargo xtask promote staging production --version 1.2.0    only if staging runs 1.2.0
  cargo xtask promote staging production --dry-run          only show the steps

Deploys to TO exactly the release files that FROM runs. Nothing is downloaded or built, so newer releases have no \
influence.
Exit code 0 when TO runs the release, 1 when it does not, 2 when the command or an environment is wrong.")]
pub struct Options {
    /// The environment that runs the release
    #[arg(value_name = "FROM")]
    from: String,
    /// The environment to deploy it to
    #[arg(value_name = "TO")]
    to: String,
    /// Stop if FROM runs another version, or release ID, than this
    #[arg(long, value_name = "V")]
    version: Option<String>,
    #[command(flatten)]
    demands: Demands,
    #[command(flatten)]
    how: How,
}

/// # Errors
/// Refused when FROM runs nothing; as a deploy otherwise.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    let [from, to] = [Deployed::of(&options.from)?, Deployed::of(&options.to)?];
    if from.name == to.name {
        return Err(refused(format!("{}: expected two different environments", from.name)));
    }
    let wanted = options.how.wanted(Change::Promote);
    let deliver = |source: &Path| deploying::deliver(context, &to, None, source, &options.demands, &wanted);
    let expected = |current: &str| match &options.version {
        Some(version) if !releases::is_named(current, version) => Err(refused(format!(
            "{} runs {current}, not {version}; `{PROGRAM} history {0}` lists its deploys",
            from.name
        ))),
        _ => Ok(()),
    };
    if let Some(host) = host::of(context, &from.name) {
        return deliver(host::fetch(&host, &from.name, &expected)?.path());
    }
    from.site()?;
    let entries = history::read(&from.folder())?;
    let Some(current) = history::current(&entries) else {
        return Err(refused(format!(
            "no release has been deployed to {0}; see `{PROGRAM} history {0}`",
            from.name
        )));
    };
    expected(current)?;
    let release = releases::named(&from.releases(), current)?;
    deliver(&release.files())
}
