//! `cargo xtask check`: judgements that start no service.

mod advisories;
mod compliance;
mod dashboards;
mod edge;
mod findings_file;
mod firewall;
mod flows;
mod go_advisories;
mod licences;
mod npm_advisories;
mod secrets;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::context::Context;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask check flows
  cargo xtask check flows ~/.node-red/flows.json
  cargo xtask check edge
  cargo xtask check dashboards
  cargo xtask check firewall
  cargo xtask check secrets
  cargo xtask check licences
  cargo xtask check advisories
  cargo xtask check npm-advisories
  cargo xtask check go-advisories
  cargo xtask check compliance D1 C7")]
pub struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Check flows before Node-RED loads them
    Flows(flows::Options),
    /// Have HAProxy check the configuration of the edge
    Edge(edge::Options),
    /// Have Grafana's own schema check the dashboards, and find pictures of the docs that are out of date
    Dashboards,
    /// Have nftables check the rulesets of the environments' hosts; needs root
    Firewall,
    /// Look for known vulnerabilities in the crates of Cargo.lock
    Advisories(advisories::Options),
    /// Ask the npm registry for known vulnerabilities in the production packages
    NpmAdvisories,
    /// Look for known vulnerabilities in the services' programs that are written in Go
    GoAdvisories,
    /// Check the licences of all crates and of the production npm packages
    Licences,
    /// Look for secrets in the git history and in uncommitted changes
    Secrets(secrets::Options),
    /// Check the files against docs/reference/compliance.md
    Compliance(compliance::Options),
}

impl Options {
    /// Whether it judges a tree.
    pub fn needs_tree(&self) -> bool {
        !matches!(&self.what, What::Flows(options) if !options.needs_tree())
    }

    /// See [`runner::plan::register`]. The others only read, and one of them runs each time that a flow is saved.
    pub fn is_registered(&self) -> bool {
        !matches!(self.what, What::Flows(_) | What::Compliance(_))
    }
}

/// # Errors
/// When the judgement cannot be made, or is not good.
pub fn run(context: &Context, options: Options) -> Result<()> {
    match options.what {
        What::Flows(options) => flows::run(context, &options),
        What::Edge(options) => edge::run(context, &options),
        What::Dashboards => dashboards::run(context),
        What::Firewall => firewall::run(context),
        What::Advisories(options) => advisories::run(context, &options),
        What::NpmAdvisories => npm_advisories::run(context),
        What::GoAdvisories => go_advisories::run(context),
        What::Licences => licences::run(context),
        What::Secrets(options) => secrets::run(context, &options),
        What::Compliance(options) => compliance::run(context, &options),
    }
}
