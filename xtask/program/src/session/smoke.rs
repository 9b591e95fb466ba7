//! Runs the smoke checks of a running platform.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use vocabulary::model::Platform;

use super::opened::Opened;
use super::operations::Target;
use super::smoke_edge;
pub use super::smoke_report::SmokeReport;
use crate::context::Context;
use crate::deployment::Deployed;
use foundation::program_name::PROGRAM;

impl Target {
    /// Makes the platform run every check.
    ///
    /// # Errors
    /// Refused when the token is missing; otherwise when the platform does not answer within `limit`.
    pub fn ask(&self, platform: &Platform, limit: Duration, stop: &dyn Fn() -> bool) -> Result<SmokeReport> {
        let got = self.send(platform, "POST", "/smoke", None, limit, stop).with_context(|| {
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

/// Has an environment that runs here run every check. One that was deployed also takes a task through its edge.
///
/// # Errors
/// As [`Target::of`] and [`Target::ask`].
pub fn environment(
    context: &Context,
    name: &str,
    limit: Duration,
    stop: &dyn Fn() -> bool,
) -> Result<SmokeReport> {
    let until = Instant::now() + limit;
    let report = Target::of(context, name)?.ask(context.platform, limit, stop)?;
    let edge = Deployed::found(name).map(|deployed| smoke_edge::check(context, &deployed, until, stop));
    let edge = edge.transpose()?;
    Ok(match edge.flatten() {
        Some(check) => report.and(check),
        None => report,
    })
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
    Target::recorded(opened.platform, &opened.units(), &opened.instance.folder, &opened.record())
}
