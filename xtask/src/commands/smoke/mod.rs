//! `cargo xtask smoke`: has a platform prove itself, check by check.

mod answer;
mod private;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use vocabulary::model::Platform;

use super::dev::opened::{Opened, recorded};
use super::dev::{DEFAULT, running};
use crate::context::Context;
use crate::engines::process::instance::{ADDRESS, Record, socket, units};
use crate::exit::{Reported, refused};
use crate::plan::argument::Arg;
use crate::plan::http::Request;
use crate::plan::interrupt::Interrupt;
use crate::plan::mask::Mask;
use crate::platform::{node_red, platform, secrets};
use crate::site;
use crate::stdout;
use answer::Answer;
pub use private::FAILED;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  cargo xtask smoke                      the platform that `cargo xtask dev` runs\n  cargo xtask smoke \
                        --private            a platform of its own on free ports, gone afterwards\n  cargo xtask smoke --json | jq \
                        .status\n  cargo xtask smoke --url https://ops.example.com --token-file ops-token\n\nExit code 0 when every check \
                        passed, 1 when one failed or is missing, 2 when nothing can be asked."
)]
pub struct Options {
    /// The environment whose platform runs here
    #[arg(value_name = "ENV", default_value = DEFAULT, conflicts_with_all = ["url", "private"])]
    environment: String,
    /// The operations address of any platform
    #[arg(long, requires = "token_file", conflicts_with = "private")]
    url: Option<String>,
    /// The file with the operations token of that platform
    #[arg(long, value_name = "FILE", env = "OPS_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// Bring up a platform of its own on free ports, ask it, and take it down
    #[arg(long)]
    private: bool,
    /// Give up after so many seconds [default: what the platform's definition says]
    #[arg(long, value_name = "SECONDS")]
    limit: Option<u64>,
}

impl Options {
    /// Whether it brings up a platform of its own.
    pub fn is_private(&self) -> bool {
        self.private
    }
}

/// Whom to ask.
struct Target {
    /// Base address of the operations port.
    url: String,
    token_file: PathBuf,
}

/// # Errors
/// Reported when a check failed or is missing; refused when there is nothing to ask.
pub fn run(context: &Context, options: &Options) -> Result<()> {
    let platform = platform();
    let interrupt = Interrupt::listen()?;
    let limit =
        options.limit.map_or(Duration::from_millis(platform.smoke.run_limit_ms.into()), Duration::from_secs);
    if options.private {
        return private::run(context, &interrupt, &|target| {
            ask(context, &platform, target, limit, &interrupt)
        });
    }
    let target = match (&options.url, &options.token_file) {
        (Some(url), Some(token_file)) => {
            Target { url: url.trim_end_matches('/').to_owned(), token_file: token_file.clone() }
        }
        _ => local(context, &platform, &options.environment)?,
    };
    ask(context, &platform, &target, limit, &interrupt)
}

/// The platform that runs here.
fn local(context: &Context, platform: &Platform, environment: &str) -> Result<Target> {
    running::client(context, environment)?;
    let (folder, record) = recorded(context, environment)?
        .ok_or_else(|| refused(format!("{environment} was never brought up here; run `cargo xtask dev`")))?;
    target(context, platform, &folder, &record)
}

fn target(context: &Context, platform: &Platform, folder: &Path, record: &Record) -> Result<Target> {
    let environment = site::load(&context.root, &record.environment, &site::known_services(platform))?;
    let units = units(platform, &environment);
    let port = units
        .iter()
        .find(|unit| unit.service.id == node_red::ID)
        .and_then(|unit| record.ports.get(&socket(unit, node_red::OPS.name)))
        .context("the record of the running platform has no operations port; run `cargo xtask dev` again")?;
    Ok(Target {
        url: format!("http://{ADDRESS}:{port}"),
        token_file: folder.join("secrets").join(secrets::OPS_TOKEN.0),
    })
}

/// Runs every check of a platform that is up, and shows nothing.
///
/// # Errors
/// When one did not pass.
pub fn prove(context: &Context, opened: &Opened, interrupt: &Interrupt) -> Result<()> {
    let target = target(context, &opened.platform, &opened.instance.folder, &opened.record())?;
    let limit = Duration::from_millis(opened.platform.smoke.run_limit_ms.into());
    let answer = answer_of(&opened.platform, &target, limit, interrupt)?;
    if answer.passed() { Ok(()) } else { Err(anyhow!("smoke failed:\n{}", answer.table())) }
}

/// Runs every check of the platform whose operations port is at `url`: its table.
///
/// # Errors
/// When one did not pass; the error holds the table.
pub fn prove_at(
    platform: &Platform,
    url: &str,
    token_file: &Path,
    limit: Duration,
    interrupt: &Interrupt,
) -> Result<String> {
    let target = Target { url: url.to_owned(), token_file: token_file.to_owned() };
    let answer = answer_of(platform, &target, limit, interrupt)?;
    if answer.passed() { Ok(answer.table()) } else { Err(anyhow!("smoke failed:\n{}", answer.table())) }
}

fn ask(
    context: &Context,
    platform: &Platform,
    target: &Target,
    limit: Duration,
    interrupt: &Interrupt,
) -> Result<()> {
    let answer = answer_of(platform, target, limit, interrupt)?;
    if context.json {
        stdout::json(&answer)?;
    } else {
        stdout::text(&answer.table())?;
    }
    if answer.passed() { Ok(()) } else { Err(Reported.into()) }
}

fn answer_of(platform: &Platform, target: &Target, limit: Duration, interrupt: &Interrupt) -> Result<Answer> {
    let mask = Mask::default();
    if !target.token_file.is_file() {
        return Err(refused(format!(
            "{}: no such file; expected the operations token of the platform",
            target.token_file.display()
        )));
    }
    let known = |word: &Arg| mask.resolve(word, &BTreeMap::new());
    let request = Request {
        method: "POST".to_owned(),
        url: known(&format!("{}/smoke", target.url).into())?,
        bearer: Some(known(&Arg::secret(secrets::OPS_TOKEN.0, &target.token_file))?),
        headers: BTreeMap::new(),
        body: None,
    };
    let stop = || interrupt.raised();
    let got = request.send(Instant::now() + limit, &stop).with_context(|| {
        format!("the platform did not answer within {} s; see `cargo xtask status`", limit.as_secs())
    })?;
    let names: Vec<_> = platform.smoke.checks.iter().map(|check| check.name).collect();
    Answer::read(got.status, &got.body, &names)
}
