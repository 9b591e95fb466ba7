//! `deploy`: rolls a release out to an environment, replica by replica.

use std::io::Read as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use vocabulary::model::ReleasePolicy;

use crate::context::Context;
use crate::deployment::Deployed;
use crate::deployment::history::Change;
use crate::deployment::releases::{self, Installed};
use crate::session::deploying::{self, Demands, How};
use crate::session::host;
use foundation::files;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask deploy staging --public-key release.pub        the release in target/release-artifacts
  cargo xtask deploy staging --bundle DOWNLOADS --public-key release.pub
  cargo xtask deploy staging --bundle DOWNLOADS --dry-run    only show the steps
  cargo xtask deploy staging --version 1.2.0                 a release that is already installed in staging

Each new replica must pass health and smoke checks before it takes requests; only then does an old one stop. If a step \
fails, the deploy is rolled back.
Exit code 0 when the release runs, 1 when it does not, 2 when the command or the environment is wrong.")]
pub struct Options {
    /// The environment: a file in ops/environments
    #[arg(value_name = "ENV")]
    environment: String,
    /// The folder with the release's files, or its bundle [default: target/release-artifacts]
    #[arg(long, value_name = "DIR|FILE")]
    bundle: Option<PathBuf>,
    /// A version that is already installed for ENV, instead of a bundle
    #[arg(long, value_name = "V", conflicts_with = "bundle")]
    version: Option<String>,
    #[command(flatten)]
    demands: Demands,
    #[command(flatten)]
    how: How,
    /// The folder of an installed release: how one release's program calls another's
    #[arg(long, value_name = "DIR", hide = true, requires_all = ["site", "change"])]
    installed: Option<PathBuf>,
    /// The environment's file instead of the tree's; `-` is standard input, which makes this machine its host
    #[arg(long, value_name = "FILE", hide = true)]
    site: Option<PathBuf>,
    #[arg(long, value_enum, hide = true)]
    change: Option<Change>,
}

/// # Errors
/// Refused when the command or the environment is wrong; reported when the release does not run.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    let deployed = Deployed::of(&options.environment)?;
    let change = options.change.unwrap_or(Change::Deploy);
    let wanted = options.how.wanted(change);
    if let (Some(folder), Some(site)) = (&options.installed, &options.site) {
        return deploying::carry_out(context, &deployed, &Installed::in_folder(folder), site, &wanted);
    }
    if options.version.is_some() {
        let site = ["--site".to_owned(), "-".to_owned()];
        let more = [&site[..], &options.demands.given_keys()?, &wanted.typed()].concat();
        if let Some(done) = host::forwarded(context, &deployed.name, &more) {
            return done;
        }
    }
    let source = match &options.version {
        Some(version) => deploying::source(&releases::named(&deployed.releases(), version)?.files())?,
        None => deploying::source(
            &options.bundle.clone().unwrap_or_else(|| context.path(ReleasePolicy::ARTIFACTS)),
        )?,
    };
    let site = options.site.as_ref().map(|_| site()).transpose()?;
    deploying::deliver(context, &deployed, site, &source, &options.demands, &wanted)
}

fn site() -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .take(files::TEXT)
        .read_to_end(&mut bytes)
        .context("cannot read the environment's file")?;
    Ok(bytes)
}
