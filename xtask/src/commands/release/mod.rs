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
mod sign;
mod standing;
mod survey;
mod verify;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::context::Context;
use crate::platform::release::{ARTIFACTS as FOLDER, BRANCH};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(
    after_help = "A release, step by step:\n  cargo xtask release plan               what the next one would be, and what stands in its way\n  \
                        cargo xtask release prepare            enters its version and its notes; commit and push that\n  \
                        cargo xtask release package ..         builds and signs its files\n  cargo xtask release verify             judges them\n  cargo xtask release publish            shows how they become public; --execute does it\n\nEach step can be taken again: what is \
                        done already is seen and left alone."
)]
pub struct Options {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    plan: plan::Options,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Tell the next version, its notes, and everything that stands in the way; changes nothing
    Plan(plan::Options),
    /// Enter the version in Cargo.toml and its notes in CHANGELOG.md
    Prepare(prepare::Options),
    /// Make a new pair of keys, to sign releases and to verify them
    Key(key::Options),
    /// Build the operator's program for this machine, for a release that is packaged on another
    Operator(operator::Options),
    /// Make a release of the commit that is checked out
    Package(package::Options),
    /// Print what a release says to its users, as Markdown
    Notes(notes::Options),
    /// Sign a release that was packaged without the key
    Sign(sign::Options),
    /// See that the files of a release are what was released
    Verify(verify::Options),
    /// Make a packaged release public: tag, draft, files; shows the steps unless told to take them
    Publish(publish::Options),
}

/// Where releases come from and become public.
#[derive(Debug, Clone, Args)]
pub struct Place {
    /// The git remote whose host holds the releases
    #[arg(long, value_name = "NAME", default_value = "origin")]
    remote: String,
    /// The branch that holds what is released
    #[arg(long, value_name = "NAME", default_value = BRANCH)]
    branch: String,
}

impl Options {
    /// See [`crate::plan::register`].
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
