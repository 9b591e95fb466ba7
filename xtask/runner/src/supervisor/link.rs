//! Lets the runner's steps ask the supervisor.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result};

use super::client::Client;
use crate::plan::action::ServiceRequest;
use crate::plan::mask::Outputs;
use crate::plan::perform::{StepContext, Supervision};
use crate::plan::service::ServiceName;

/// Reaches the supervisor of whatever state folder a step names.
#[derive(Debug, Clone, Copy)]
pub struct Link;

impl Supervision for Link {
    fn request(&self, state: &Path, request: &ServiceRequest, step: &StepContext) -> Result<Outputs> {
        let pid = |pid: Option<u32>| pid.map(|pid| ("pid".to_owned(), pid.to_string())).into_iter().collect();
        match request {
            ServiceRequest::Start(spec) => {
                let status = Client::start_or_connect(state)?.start(spec)?;
                step.log.line(&format!(
                    "{} runs as process {:?}; its log: {}",
                    status.name,
                    status.pid,
                    status.log.display()
                ));
                Ok(pid(status.pid))
            }
            ServiceRequest::Restart(name) => {
                let client = Client::connect(state)?.with_context(|| none(state))?;
                Ok(pid(client.restart(name)?.pid))
            }
            // What does not run needs no stopping.
            ServiceRequest::Stop(name) => match Client::connect(state)? {
                Some(client) => client.stop(name).map(|_| Outputs::new()),
                None => Ok(Outputs::new()),
            },
            ServiceRequest::Remove(name) => match Client::connect(state)? {
                Some(client) => client.remove(name).map(|()| Outputs::new()),
                None => Ok(Outputs::new()),
            },
            ServiceRequest::Shutdown => match Client::connect(state)? {
                Some(client) => client.shutdown().map(|()| Outputs::new()),
                None => super::recover(state).map(|_| Outputs::new()),
            },
        }
    }

    fn await_healthy(&self, state: &Path, service: &ServiceName, step: &StepContext) -> Result<()> {
        let client = Client::connect(state)?.with_context(|| none(state))?;
        let limit = step.deadline.saturating_duration_since(Instant::now());
        client.wait_healthy(service, limit, step.stop).map(|_| ())
    }
}

fn none(state: &Path) -> String {
    format!("no supervisor runs in {}", state.display())
}
