//! `cargo xtask check`: judgements that start no service.

mod advisories;
mod compliance;
mod findings_file;
mod flows;
mod licences;
mod npm_advisories;
mod secrets;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::context::Context;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  cargo xtask check flows\n  cargo xtask check flows ~/.node-red/flows.json\n  \
                        cargo xtask check secrets\n  cargo xtask check licences\n  cargo xtask check advisories\n  \
                        cargo xtask check npm-advisories\n  cargo xtask check compliance D1 C7"
)]
pub struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Judge the flows before Node-RED loads them; exit 1 with all findings
    Flows(flows::Options),
    /// Look for known vulnerabilities of the crates in Cargo.lock
    Advisories(advisories::Options),
    /// Ask the npm registry for known vulnerabilities of the packages in production
    NpmAdvisories,
    /// Judge the licences of all crates, and of the npm packages of production
    Licences,
    /// Look for secrets in the history of the repository, and in what is changed and not committed
    Secrets(secrets::Options),
    /// Judge the files against the catalogue of docs/reference/compliance.md; exit 1 with all findings
    Compliance(compliance::Options),
}

impl Options {
    /// Whether it judges a tree.
    pub fn needs_tree(&self) -> bool {
        !matches!(&self.what, What::Flows(options) if !options.needs_tree())
    }

    /// See [`crate::plan::register`]. The others only read, and one of them runs each time that a flow is saved.
    pub fn is_registered(&self) -> bool {
        !matches!(self.what, What::Flows(_) | What::Compliance(_))
    }
}

/// # Errors
/// When the judgement cannot be made, or is not good.
pub fn run(context: &Context, options: Options) -> Result<()> {
    match options.what {
        What::Flows(options) => flows::run(context, &options),
        What::Advisories(options) => advisories::run(context, &options),
        What::NpmAdvisories => npm_advisories::run(context),
        What::Licences => licences::run(context),
        What::Secrets(options) => secrets::run(context, &options),
        What::Compliance(options) => compliance::run(context, &options),
    }
}
