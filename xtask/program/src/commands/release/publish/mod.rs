//! `cargo xtask release publish`: makes a packaged release public. Each step first asks whether it is done already, so
//! that a rerun goes on where an earlier run, here or elsewhere, ended.

mod acts;
mod preflight;
mod steps;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use anyhow::Result;

use super::{FOLDER, Place};
use crate::context::Context;
use acts::Acts;
use foundation::exit::{Reported, refused};
use foundation::interrupt::Interrupt;
use foundation::stdout;
use runner::plan::perform::StepContext;
use runner::plan::report::{Outcome, Report};
use runner::plan::runner::{Runner, cores};
use runner::plan::show::Show;
use shipping::forge::github::{GitHub, TOKEN};
use shipping::forge::remote::Remote as _;
use steps::PublishRelease;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cargo xtask release publish                    only show the steps
  GH_TOKEN=$(gh auth token) cargo xtask release publish --execute

Credentials come from GH_TOKEN, which needs contents: write and checks: read, and with --registry also \
packages: write. Nothing asks for input. The release is a draft until the last step. After a failure or a \
kill, run the same command again.
Exit code 0 when the release is public (or, without --execute, could be published), 1 when there is a \
problem or a step failed, 2 when it cannot start.")]
pub struct Options {
    /// The folder that `release package` wrote [default: target/release-artifacts]
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Run the steps; without this they are only shown
    #[arg(long)]
    execute: bool,
    /// A key that may have signed the release: a minisign public key file, or its line that begins with RW
    #[arg(long, value_name = "KEY", env = "FLOWSHIP_PUBLIC_KEY", value_delimiter = ',')]
    public_key: Vec<String>,
    /// Sign the tag, the way git is configured
    #[arg(long)]
    sign_tag: bool,
    /// Push the release's images to this registry, for example ghcr.io/flowship; GH_TOKEN must be allowed to write packages
    #[arg(long, value_name = "HOST/PATH")]
    registry: Option<String>,
    #[command(flatten)]
    place: Place,
}

/// # Errors
/// Reported when something stands in the way or a step failed; refused when there is no release to publish.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    let folder = options.folder.clone().unwrap_or_else(|| context.path(FOLDER));
    let folder = folder.canonicalize().map_err(|error| {
        refused(format!("{}: {error}; build a release with `cargo xtask release package`", folder.display()))
    })?;
    let interrupt = Interrupt::listen()?;
    let ready = preflight::look(context, options, &folder, &interrupt)?;
    let plan = steps::plan(&ready, options.sign_tag);
    if !options.execute && context.json {
        stdout::json(&serde_json::json!({ "plan": plan, "problems": ready.problems }))?;
    } else if !options.execute {
        stdout::text(&plan.text())?;
    }
    for problem in &ready.problems {
        eprintln!("✗ {}\n  to do: {}", problem.seen, problem.remedy);
    }
    if let Some(evidence) = &ready.evidence {
        eprintln!("evidence: {evidence}");
    }
    if !ready.problems.is_empty() {
        eprintln!("nothing was done");
        return Err(Reported.into());
    }
    if !options.execute {
        eprintln!("nothing was done; --execute does it");
        return Ok(());
    }
    if std::env::var_os(TOKEN).is_none_or(|token| token.is_empty()) {
        let packages = if options.registry.is_some() { ", and packages" } else { "" };
        return Err(refused(format!(
            "{TOKEN} is not set: expected a token that may write the contents of the repository{packages}, such as \
             {TOKEN}=$(gh auth token)"
        )));
    }
    let remote = GitHub::open(&context.root, &options.place.remote, &interrupt)?;
    let acts = Acts { root: &context.root, remote: &remote, branch: options.place.branch(context) };
    let native = |action: &PublishRelease, step: &StepContext| acts.perform(action, step);
    let runner = Runner {
        // Uploads wait for the network, not for a processor.
        jobs: cores().max(4),
        ..Runner::new(context.target(), interrupt.clone(), &native)
    };
    let report = runner.run(&plan)?;
    conclude(context, &remote, &report, &runner.show)?;
    report.into_result()
}

/// Says how far it came.
fn conclude(context: &Context, remote: &GitHub, report: &Report, show: &Show) -> Result<()> {
    if context.json {
        stdout::json(report)?;
    }
    let url = report.steps.iter().find_map(|step| step.outputs.get("url"));
    if report.outcome == Outcome::Done {
        return match url {
            Some(url) if !context.json => stdout::text(&format!("public: {url}\n")),
            _ => Ok(()),
        };
    }
    let titles = |good: bool| {
        let steps = report.steps.iter().filter(|step| step.status.is_good() == good);
        let titles: Vec<_> = steps.map(|step| step.title.as_str()).collect();
        if titles.is_empty() { "nothing".to_owned() } else { titles.join(", ") }
    };
    show.say(&format!(
        "not public at {}\n  done: {}\n  not done: {}\n  to go on, run the same command again: what is done is seen and left \
         alone",
        remote.name(),
        titles(true),
        titles(false)
    ));
    Ok(())
}
