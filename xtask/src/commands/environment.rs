//! `cargo xtask environment`: what the environments' files say, checked and with every default filled in.

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use serde_json::json;

use crate::context::Context;
use crate::exit::Refused;
use crate::platform::platform;
use crate::site::{self, KnownService, Problem, SettingDoc};
use crate::stdout;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  cargo xtask environment list\n  cargo xtask environment show production --json\n  \
                        cargo xtask environment check\n  cargo xtask environment settings"
)]
pub struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List the environments
    List,
    /// Show one environment with every default filled in, as TOML
    Show {
        /// The stem of a file in ops/environments
        #[arg(value_name = "ENV")]
        name: String,
    },
    /// Check every environment's file; exit 2 with all that is wrong
    Check,
    /// List everything that can be set: key, type, default, when it is needed, what it is
    Settings,
}

/// # Errors
/// Refused when a file that is asked for is wrong.
pub fn run(context: &Context, options: Options) -> Result<()> {
    let known = site::known_services(&platform());
    match options.what {
        What::List => list(context, &known),
        What::Show { name } => show(context, &name, &known),
        What::Check => check(context, &known),
        What::Settings => settings(context),
    }
}

fn list(context: &Context, known: &[KnownService]) -> Result<()> {
    let environments = site::load_all(&context.root, known)?;
    if context.json {
        return stdout::json(&environments);
    }
    let mut rows = vec![["NAME", "TIER", "ENGINE", "HOSTS", "DOMAIN"].map(str::to_owned)];
    rows.extend(environments.iter().map(|environment| {
        [
            environment.name.clone(),
            environment.tier.to_string(),
            environment.engine.to_string(),
            environment.hosts.len().to_string(),
            environment.domain.clone(),
        ]
    }));
    stdout::text(&table(&rows))
}

fn show(context: &Context, name: &str, known: &[KnownService]) -> Result<()> {
    let environment = site::load(&context.root, name, known)?;
    if context.json {
        return stdout::json(&environment);
    }
    stdout::text(&toml::to_string(&environment).context("an environment as TOML")?)
}

fn check(context: &Context, known: &[KnownService]) -> Result<()> {
    let files = site::files(&context.root)?;
    let problems: Vec<Problem> = site::judge(&files, known).err().unwrap_or_default();
    if context.json {
        stdout::json(&json!({ "files": files.len(), "problems": problems }))?;
    }
    if !problems.is_empty() {
        return Err(Refused(site::listing(&problems)).into());
    }
    if !context.json {
        stdout::text(&format!("{} environments are good\n", files.len()))?;
    }
    Ok(())
}

fn settings(context: &Context) -> Result<()> {
    let settings = site::settings();
    if context.json {
        return stdout::json(&settings);
    }
    let text: String = settings.iter().map(paragraph).collect();
    stdout::text(&text)
}

fn paragraph(setting: &SettingDoc) -> String {
    let default = if setting.default.is_empty() { String::new() } else { format!(" [{}]", setting.default) };
    format!("{}{default}  ({})\n    {}\n    {}\n", setting.key, setting.needed, setting.kind, setting.what)
}

/// Columns as wide as their widest cell, two spaces between.
fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let widths: [usize; N] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    rows.iter()
        .map(|row| {
            let cells: Vec<String> =
                row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            format!("{}\n", cells.join("  ").trim_end())
        })
        .collect()
}
