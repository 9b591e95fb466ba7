//! Runs the smoke checks of a running platform.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use vocabulary::model::{Platform, Unit};

use super::opened::{Opened, recorded};
use super::running;
use super::smoke_report::SmokeReport;
use crate::context::Context;
use crate::engines::process::instance::{ADDRESS, Record, socket};
use foundation::exit::refused;
use foundation::program_name::PROGRAM;
use judges::site;
use runner::plan::argument::Arg;
use runner::plan::http::Request;
use runner::plan::mask::Mask;

/// The platform whose checks are run.
pub struct Target {
    /// Base address of the operations port.
    url: String,
    token_file: PathBuf,
}

impl Target {
    /// `url` is the base address of the operations port.
    pub fn at(url: &str, token_file: &Path) -> Self {
        Self { url: url.trim_end_matches('/').to_owned(), token_file: token_file.to_owned() }
    }

    /// The platform that runs here under the environment's own name.
    ///
    /// # Errors
    /// Refused when none runs.
    pub fn local(context: &Context, platform: &Platform, environment: &str) -> Result<Self> {
        running::client(context, environment)?;
        let (folder, record) = recorded(context, environment)?
            .ok_or_else(|| refused(format!("{environment} was never started here; run `{PROGRAM} dev`")))?;
        let mut environment = site::load(&context.root, &record.environment, &site::known(platform))?;
        environment.engine = record.engine;
        Self::of(platform, &platform.units(&environment), &folder, &record)
    }

    fn of(platform: &Platform, units: &[Unit<'_>], folder: &Path, record: &Record) -> Result<Self> {
        let port = units
            .iter()
            .find(|unit| platform.is_worker(unit))
            .and_then(|unit| record.ports.get(&socket(unit, platform.workers.operations.name)))
            .with_context(|| {
                format!(
                    "the record of the running platform has no operations port; run `{PROGRAM} dev` again"
                )
            })?;
        Ok(Self::at(
            &format!("http://{ADDRESS}:{port}"),
            &folder.join("secrets").join(platform.workers.operations_token.0),
        ))
    }

    /// Makes the platform run every check.
    ///
    /// # Errors
    /// Refused when the token is missing; otherwise when the platform does not answer within `limit`.
    pub fn ask(&self, platform: &Platform, limit: Duration, stop: &dyn Fn() -> bool) -> Result<SmokeReport> {
        let mask = Mask::default();
        if !self.token_file.is_file() {
            return Err(refused(format!(
                "{}: no such file; expected the operations token of the platform",
                self.token_file.display()
            )));
        }
        let known = |word: &Arg| mask.resolve(word, &BTreeMap::new());
        let request = Request {
            method: "POST".to_owned(),
            url: known(&format!("{}/smoke", self.url).into())?,
            bearer: Some(known(&Arg::secret(platform.workers.operations_token.0, &self.token_file))?),
            headers: BTreeMap::new(),
            body: None,
        };
        let got = request.send(Instant::now() + limit, stop).with_context(|| {
            format!("the platform did not answer within {} s; see `{PROGRAM} status`", limit.as_secs())
        })?;
        let names: Vec<_> = platform.smoke.checks.iter().map(|check| check.name).collect();
        SmokeReport::read(got.status, &got.body, &names)
    }

    /// Has the platform run every check, and returns their table.
    ///
    /// # Errors
    /// When a check did not pass; the error names each that did not, and why.
    pub fn prove(&self, platform: &Platform, stop: &dyn Fn() -> bool) -> Result<String> {
        let answer = self.ask(platform, limit(platform), stop)?;
        if answer.passed() {
            return Ok(answer.table());
        }
        Err(anyhow!("smoke failed: {}", answer.failures()))
    }
}

/// What the platform's definition gives the checks.
pub fn limit(platform: &Platform) -> Duration {
    Duration::from_millis(platform.smoke.run_limit_ms.into())
}

/// The platform that this run has brought up.
///
/// # Errors
/// When it has no operations port.
pub fn target(opened: &Opened) -> Result<Target> {
    Target::of(opened.platform, &opened.units(), &opened.instance.folder, &opened.record())
}
