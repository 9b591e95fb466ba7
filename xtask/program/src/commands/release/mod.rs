//! `cargo xtask release`: a release, from its plan to its verification.

mod carry_out;
mod key;
mod notes;
mod operator;
mod operator_build;
mod package;
mod plan;
mod prepare;
mod publish;
mod remote_state;
mod sign;
mod survey;
mod verify;

use anyhow::Result;
use clap::{Args, Subcommand};
use vocabulary::model::ReleasePolicy;

use crate::context::Context;

/// Where `release package` puts a release.
const FOLDER: &str = ReleasePolicy::ARTIFACTS;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "\
A release, step by step:
  cargo xtask release plan               show the next version and every problem
  cargo xtask release prepare            write the version and the notes; then commit and push
  cargo xtask release package ..         build and sign the files
  cargo xtask release verify             check the files
  cargo xtask release publish            show the steps; --execute runs them

You can repeat each step: what is already done is left alone.")]
pub struct Options {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    plan: plan::Options,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Show the next version, its notes, and every problem that blocks it
    Plan(plan::Options),
    /// Write the version into Cargo.toml and the notes into CHANGELOG.md
    Prepare(prepare::Options),
    /// Make a key pair for signing and verifying releases
    Key(key::Options),
    /// Build `flowship` for this machine, for a release that is packaged on another machine
    Operator(operator::Options),
    /// Build the release of the checked-out commit
    Package(package::Options),
    /// Print the release notes as Markdown
    Notes(notes::Options),
    /// Sign a release that was packaged with --unsigned
    Sign(sign::Options),
    /// Check that the files of a release are genuine and complete
    Verify(verify::Options),
    /// Publish a packaged release: tag, draft, files; without --execute, only show the steps
    Publish(publish::Options),
}

/// Where releases come from and become public.
#[derive(Debug, Clone, Args)]
pub struct Place {
    /// The git remote whose host has the releases
    #[arg(long, value_name = "NAME", default_value = "origin")]
    remote: String,
    /// The branch that releases are made from [default: the platform's]
    #[arg(long, value_name = "NAME")]
    branch: Option<String>,
}

impl Place {
    fn branch<'a>(&'a self, context: &Context) -> &'a str {
        self.branch.as_deref().unwrap_or(context.platform.release.branch)
    }
}

impl Options {
    /// See [`runner::plan::register`].
    pub fn is_registered(&self) -> bool {
        match &self.what {
            Some(What::Operator(_) | What::Package(_) | What::Publish(_)) => true,
            Some(What::Verify(options)) => options.rebuild(),
            _ => false,
        }
    }
}

/// # Errors
/// As the subcommand says.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    match &options.what {
        None => plan::run(context, &options.plan),
        Some(What::Plan(options)) => plan::run(context, options),
        Some(What::Prepare(options)) => prepare::run(context, options),
        Some(What::Key(options)) => key::run(context, options),
        Some(What::Operator(options)) => operator::run(context, options),
        Some(What::Package(options)) => package::run(context, options),
        Some(What::Publish(options)) => publish::run(context, options),
        Some(What::Sign(options)) => sign::run(context, options),
        Some(What::Notes(options)) => notes::run(context, options),
        Some(What::Verify(options)) => verify::run(context, options),
    }
}
