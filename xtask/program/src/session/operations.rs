//! The operations port of a running platform: who asks it has the operations token.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::Value;
use vocabulary::model::{Platform, Unit};

use super::deployed::State;
use super::opened::recorded;
use super::running;
use crate::context::Context;
use crate::deployment::Deployed;
use crate::engines::process::instance::{ADDRESS, Record, socket};
use foundation::exit::refused;
use foundation::program_name::PROGRAM;
use judges::site;
use runner::plan::argument::Arg;
use runner::plan::http::{Request, Response};
use runner::plan::mask::Mask;
use runner::supervisor::protocol::HealthState;

/// Where to ask, and with what.
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

    /// What was deployed to the environment on this machine, else what a checkout runs under its name.
    ///
    /// # Errors
    /// Refused when none runs.
    pub fn of(context: &Context, environment: &str) -> Result<Self> {
        match Deployed::found(environment) {
            Some(deployed) => Self::deployed(context, &deployed),
            None => Self::local(context, environment),
        }
    }

    fn deployed(context: &Context, deployed: &Deployed) -> Result<Self> {
        let platform = context.platform;
        let state = State::of(context, deployed)?;
        let workers = state.workers(platform);
        // Of two that differ while a deploy is at work, one that serves.
        let worker = workers
            .values()
            .find(|worker| !worker.held && worker.status.health == HealthState::Healthy)
            .with_context(|| {
                format!("no replica of {0} is healthy; see `{PROGRAM} status {0}`", deployed.name)
            })?;
        let operations = platform.workers.operations.name;
        let port = worker
            .status
            .ports
            .get(operations)
            .with_context(|| format!("{} has no port {operations}", worker.status.name.0))?;
        let token = deployed.folder().join("secrets").join(platform.workers.operations_token.0);
        Ok(Self::at(&format!("http://{ADDRESS}:{port}"), &token))
    }

    fn local(context: &Context, environment: &str) -> Result<Self> {
        let platform = context.platform;
        running::client(context, environment)?;
        let (folder, record) = recorded(context, environment)?
            .ok_or_else(|| refused(format!("{environment} was never started here; run `{PROGRAM} dev`")))?;
        let file = site::load(&context.root, &record.environment, &site::known(platform))?;
        let environment = record.running(file);
        Self::recorded(platform, &platform.units(&environment), &folder, &record)
    }

    /// A platform that was brought up with this record in its folder.
    ///
    /// # Errors
    /// When it has no operations port.
    pub fn recorded(platform: &Platform, units: &[Unit<'_>], folder: &Path, record: &Record) -> Result<Self> {
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

    /// Sends a request to a path of the operations port, and waits for the answer.
    ///
    /// # Errors
    /// Refused when the token is missing; otherwise when no answer comes within `limit`.
    pub fn send(
        &self,
        platform: &Platform,
        method: &str,
        path: &str,
        body: Option<&Value>,
        limit: Duration,
        stop: &dyn Fn() -> bool,
    ) -> Result<Response> {
        let mask = Mask::default();
        if !self.token_file.is_file() {
            return Err(refused(format!(
                "{}: no such file; expected the operations token of the platform",
                self.token_file.display()
            )));
        }
        let known = |word: &Arg| mask.resolve(word, &BTreeMap::new());
        let body = body.map(|body| known(&body.to_string().as_str().into())).transpose()?;
        let headers = body.as_ref().map(|_| known(&"application/json".into())).transpose()?;
        let request = Request {
            method: method.to_owned(),
            url: known(&format!("{}{path}", self.url).into())?,
            bearer: Some(known(&Arg::secret(platform.workers.operations_token.0, &self.token_file))?),
            headers: headers.map(|kind| ("content-type".to_owned(), kind)).into_iter().collect(),
            body,
            trusts: None,
        };
        request.send(Instant::now() + limit, stop)
    }
}
